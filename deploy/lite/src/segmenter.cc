#include "mobileseg/segmenter.h"

#include <chrono>
#include <utility>

#include "background.h"
#include "mobileseg/error.h"
#include "preprocess.h"
#include "task.h"
#include "tasks.h"
#include "tensor_stream.h"

namespace mobileseg {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

std::string text_of(Size size) {
  return std::to_string(size.height) + "x" + std::to_string(size.width);
}

// Outputs of the graphs as the engine gives them.
std::vector<OutputSpec> outputs_of(const Manifest& manifest, const Engine& engine) {
  std::vector<OutputSpec> specs;
  for (const std::string& graph : manifest.deployed()) {
    const std::vector<OutputSpec>& outputs = engine.outputs(graph);
    specs.insert(specs.end(), outputs.begin(), outputs.end());
  }
  return specs;
}

}  // namespace

struct Stream::State {
  State(const Manifest& manifest, Engine* engine, Background* background, const StreamOptions& options)
      : task(task_of(manifest.task)),
        preprocessor(manifest.image),
        pipeline(task.pipeline(manifest, outputs_of(manifest, *engine))),
        tensors(manifest, engine, background) {
    if (options.track) pipeline->track(options.tracking);
    if (options.smooth != 0) pipeline->smooth(options.smooth);  // NaN as well, to be refused
  }

  const Task& task;
  Preprocessor preprocessor;
  std::unique_ptr<Pipeline> pipeline;
  TensorStream tensors;
  Size size;  // of the frames
};

Stream::Stream(std::unique_ptr<State> state) : state_(std::move(state)) {}
Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;

void Stream::step(const ImageView& image, Result* result) {
  State& state = *state_;
  const Clock::time_point start = Clock::now();
  const Geometry place = state.preprocessor.geometry(image.size);
  if (image.size != state.size && (state.tensors.keeps() || state.pipeline->remembers())) {
    throw Error(ErrorKind::kRuntime,
                "a frame is " + text_of(image.size) + " (height x width), those before it were " +
                    text_of(state.size),
                "call reset() before frames of another size, or bring all of them to one size");
  }
  state.size = image.size;
  const StepPlan plan = state.pipeline->next(image);
  state.preprocessor.run(image, state.tensors.begin(plan, place.input));
  const Clock::time_point prepared = Clock::now();
  const FrameOutputs outputs = state.tensors.run();
  const Clock::time_point inferred = Clock::now();
  result->form = state.task.form();
  result->size = image.size;
  if (*plan.pipeline == kMain) {
    result->pipeline.clear();
  } else {
    result->pipeline = *plan.pipeline;
  }
  state.pipeline->finish(outputs, place, result);
  const Clock::time_point finished = Clock::now();
  result->times = {milliseconds(start, prepared), milliseconds(prepared, inferred),
                   milliseconds(inferred, finished)};
}

void Stream::reset() {
  state_->tensors.reset();
  state_->pipeline->reset();
  state_->size = Size();
}

struct Segmenter::State {
  State(Manifest read, std::unique_ptr<Engine> loaded)
      : manifest(std::move(read)),
        engine(std::move(loaded)),
        single(std::make_unique<Stream::State>(manifest, engine.get(), &background, StreamOptions())) {}

  const Manifest manifest;
  const std::unique_ptr<Engine> engine;
  Background background;
  Stream single;  // for streams of one frame
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

ResultForm Segmenter::form() const {
  return task_of(state_->manifest.task).form();
}

Stream Segmenter::stream(const StreamOptions& options) {
  State& state = *state_;
  return Stream(
      std::make_unique<Stream::State>(state.manifest, state.engine.get(), &state.background, options));
}

void Segmenter::run(const ImageView& image, Result* result) {
  state_->single.reset();
  state_->single.step(image, result);
}

}  // namespace mobileseg
