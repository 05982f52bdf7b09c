#include "mobileseg/segmenter.h"

#include <chrono>
#include <utility>

#include "instance.h"
#include "mobileseg/error.h"
#include "npz.h"
#include "preprocess.h"
#include "semantic.h"

namespace mobileseg {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace

struct Segmenter::State {
  State(Manifest read, std::unique_ptr<Engine> loaded)
      : manifest(std::move(read)),
        engine(std::move(loaded)),
        preprocessor(manifest.input),
        semantic(manifest.classes.size()) {
    if (manifest.task == Task::kInstance) {
      instance = std::make_unique<InstancePostprocessor>(manifest.detection, manifest.classes.size(),
                                                         read_anchors(manifest), engine->outputs(),
                                                         manifest.input.size);
    } else {
      answer = pick_output(engine->outputs());
    }
  }

  Manifest manifest;
  std::unique_ptr<Engine> engine;
  Preprocessor preprocessor;
  SemanticPostprocessor semantic;
  std::unique_ptr<InstancePostprocessor> instance;
  std::size_t answer = 0;
};

Segmenter::Segmenter(Manifest manifest, std::unique_ptr<Engine> engine)
    : state_(std::make_unique<State>(std::move(manifest), std::move(engine))) {}

Segmenter::~Segmenter() = default;
Segmenter::Segmenter(Segmenter&&) noexcept = default;
Segmenter& Segmenter::operator=(Segmenter&&) noexcept = default;

const Manifest& Segmenter::manifest() const {
  return state_->manifest;
}

const Engine& Segmenter::engine() const {
  return *state_->engine;
}

void Segmenter::run(const ImageView& image, Result* result) {
  State& state = *state_;
  const Clock::time_point start = Clock::now();
  const Geometry place = state.preprocessor.geometry(image.size);
  state.preprocessor.run(image, state.engine->input(place.input));
  const Clock::time_point prepared = Clock::now();
  const std::vector<TensorView>& outputs = state.engine->run();
  const Clock::time_point inferred = Clock::now();
  result->task = state.manifest.task;
  result->size = image.size;
  if (state.instance) {
    state.instance->run(outputs, image.size, result);
  } else {
    state.semantic.run(state.engine->outputs()[state.answer], outputs[state.answer], place, &result->labels);
  }
  const Clock::time_point finished = Clock::now();
  result->times = {milliseconds(start, prepared), milliseconds(prepared, inferred),
                   milliseconds(inferred, finished)};
}

}  // namespace mobileseg
