#include "ahead.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mobileseg {

void OwnedTensor::copy(const TensorView& value) {
  bytes.resize(static_cast<std::size_t>(value.shape.count()) * size_of(value.dtype));
  std::memcpy(bytes.data(), value.data, bytes.size());
  view = value;
  view.data = bytes.data();
}

void OwnedTensor::swap(OwnedTensor* other) {
  bytes.swap(other->bytes);
  std::swap(view, other->view);
  other->bytes.reserve(bytes.size());  // the next copy allocates nothing
}

Ahead::Ahead(Engine* engine, Background* background, std::vector<Step> steps, std::vector<Source> results,
             std::size_t copies)
    : engine_(engine),
      background_(background),
      steps_(std::move(steps)),
      kept_(std::move(results)),
      copies_(copies),
      results_(kept_.size()) {}

Ahead::~Ahead() {
  wait();
}

void Ahead::start(Size input) {
  input_ = input;
  failure_ = nullptr;
  background_->start(this);
}

void Ahead::wait() {
  background_->wait(this);
}

std::vector<OwnedTensor>& Ahead::take() {
  wait();
  if (failure_) std::rethrow_exception(failure_);
  return results_;
}

bool Ahead::runs(const std::string& graph) const {
  return std::any_of(steps_.begin(), steps_.end(), [&](const Step& step) { return step.graph == graph; });
}

void Ahead::run() noexcept {
  try {
    for (Step& step : steps_) {
      engine_->begin(step.graph, input_);
      for (std::size_t i = 0; i < step.sources.size(); ++i) {
        give_input(engine_, step.graph, (*step.inputs)[i], view_of(step.sources[i]));
      }
      step.outputs = &engine_->run(step.graph);
    }
    for (std::size_t i = 0; i < kept_.size(); ++i) results_[i].copy(view_of(kept_[i]));
  } catch (...) {
    failure_ = std::current_exception();
  }
}

const TensorView& Ahead::view_of(const Source& source) const {
  if (source.copied) return copies_[source.place].view;
  return (*steps_[source.step].outputs)[source.place];
}

}  // namespace mobileseg
