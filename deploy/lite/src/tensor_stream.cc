#include "tensor_stream.h"

#include <algorithm>

#include "mobileseg/error.h"

namespace mobileseg {

TensorStream::TensorStream(const Manifest& manifest, Engine* engine, Background* background)
    : manifest_(&manifest), engine_(engine), background_(background) {
  for (const auto& kept : manifest.state) {
    for (const auto& pair : kept.second) {
      const auto same = [&](const Slot& slot) { return slot.name == pair.first; };
      if (std::any_of(slots_.begin(), slots_.end(), same)) continue;
      slots_.emplace_back();
      slots_.back().name = pair.first;
    }
  }
  const std::vector<std::string> runs = manifest.deployed();
  for (const auto& pipeline : manifest.pipelines) {
    const bool all = std::all_of(
        pipeline.second.begin(), pipeline.second.end(),
        [&](const std::string& graph) { return std::find(runs.begin(), runs.end(), graph) != runs.end(); });
    if (all) plans_[pipeline.first] = plan_of(pipeline.first);
  }
  for (const auto& plan : plans_) {
    for (const auto& other : plans_) {
      if (other.first == plan.first || other.second.kept.empty()) continue;
      laters_[{plan.first, other.first}] = later_of(plan.second, plan.first, other.first);
    }
  }
}

TensorStream::Source TensorStream::source_of(const Known& made, const std::string& name) {
  const auto found = made.find(name);
  if (found != made.end()) return found->second;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].name == name) return {Source::Kind::kKept, 0, i};
  }
  return {Source::Kind::kImage};  // the manifest has been checked: there is nothing else
}

TensorStream::Plan TensorStream::plan_of(const std::string& pipeline) {
  Plan plan;
  Known made;
  for (const std::string& name : manifest_->pipelines.at(pipeline)) {
    Step step{name, &manifest_->graph(name).inputs, {}};
    for (const TensorSpec& input : *step.inputs) step.sources.push_back(source_of(made, input.name));
    const std::vector<OutputSpec>& outputs = engine_->outputs(name);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      made[outputs[i].name] = {Source::Kind::kMade, plan.steps.size(), i};
      plan.specs.push_back(outputs[i]);
    }
    plan.steps.push_back(std::move(step));
  }
  const auto state = manifest_->state.find(pipeline);
  if (state == manifest_->state.end()) return plan;
  for (const auto& pair : state->second) {
    plan.kept.push_back({source_of({}, pair.first).place, source_of(made, pair.second)});
  }
  return plan;
}

// Those graphs of a pipeline on which what it keeps depends, in their order.
std::vector<std::string> TensorStream::needed(const std::string& pipeline) const {
  std::vector<std::string> wanted;
  for (const auto& pair : manifest_->state.at(pipeline)) wanted.push_back(pair.second);
  const std::vector<std::string>& graphs = manifest_->pipelines.at(pipeline);
  std::vector<std::string> found;
  for (auto graph = graphs.rbegin(); graph != graphs.rend(); ++graph) {
    const std::vector<OutputSpec>& outputs = engine_->outputs(*graph);
    const bool used = std::any_of(outputs.begin(), outputs.end(), [&](const OutputSpec& spec) {
      return std::find(wanted.begin(), wanted.end(), spec.name) != wanted.end();
    });
    if (!used) continue;
    found.insert(found.begin(), *graph);
    for (const TensorSpec& input : manifest_->graph(*graph).inputs) wanted.push_back(input.name);
  }
  return found;
}

// What is left of `ahead` in a frame that runs `pipeline`, whose tensors are copied.
TensorStream::Later TensorStream::later_of(const Plan& plan, const std::string& pipeline,
                                           const std::string& ahead) {
  Later later;
  Known made;  // by the frame
  for (std::size_t step = 0; step < plan.steps.size(); ++step) {
    const std::vector<OutputSpec>& outputs = engine_->outputs(plan.steps[step].graph);
    for (std::size_t i = 0; i < outputs.size(); ++i) made[outputs[i].name] = {Source::Kind::kMade, step, i};
  }
  std::map<std::string, Ahead::Source> known;
  const auto source = [&](const std::string& name) {
    const auto found = known.find(name);
    if (found != known.end()) return found->second;
    later.copied.push_back(source_of(made, name));
    return known[name] = {true, 0, later.copied.size() - 1};
  };
  std::vector<Ahead::Step> steps;
  const std::vector<std::string>& runs = manifest_->pipelines.at(pipeline);
  for (const std::string& graph : needed(ahead)) {
    if (std::find(runs.begin(), runs.end(), graph) != runs.end()) continue;
    Ahead::Step step{graph, &manifest_->graph(graph).inputs, {}};
    for (const TensorSpec& input : *step.inputs) step.sources.push_back(source(input.name));
    const std::vector<OutputSpec>& outputs = engine_->outputs(graph);
    for (std::size_t i = 0; i < outputs.size(); ++i) known[outputs[i].name] = {false, steps.size(), i};
    steps.push_back(std::move(step));
  }
  std::vector<Ahead::Source> results;
  for (const auto& pair : manifest_->state.at(ahead)) {
    later.slots.push_back(source_of({}, pair.first).place);
    results.push_back(source(pair.second));
  }
  later.job = std::make_unique<Ahead>(engine_, background_, std::move(steps), std::move(results),
                                      later.copied.size());
  return later;
}

void* TensorStream::begin(const StepPlan& step_plan, Size size) {
  const auto found = plans_.find(*step_plan.pipeline);
  if (found == plans_.end()) {
    throw Error(ErrorKind::kRuntime,
                "artefact '" + manifest_->name + "' has no pipeline '" + *step_plan.pipeline + "'");
  }
  plan_ = &found->second;
  next_later_ = nullptr;
  if (step_plan.ahead != nullptr) {
    next_later_ = &laters_.at({*step_plan.pipeline, *step_plan.ahead});
    next_delay_ = step_plan.delay;
  }
  if (coming_ != nullptr) --left_;
  for (const Step& step : plan_->steps) {
    for (std::size_t i = 0; i < step.sources.size(); ++i) {
      const Source& source = step.sources[i];
      if (source.kind != Source::Kind::kKept || slots_[source.place].filled) continue;
      throw Error(ErrorKind::kRuntime,
                  "the graph '" + step.graph + "' takes " + slots_[source.place].name +
                      " of an earlier frame, and there was none",
                  "begin a stream with a frame of a pipeline that gives them");
    }
  }
  input_ = size;
  for (const Step& step : plan_->steps) {
    background_->wait_for_graph(step.graph);
    engine_->begin(step.graph, size);
  }
  image_.dtype = manifest_->image.dtype;
  image_.shape = manifest_->image.shape(size);
  // The first graph that takes the image has it made where it wants it.
  for (const Step& step : plan_->steps) {
    for (std::size_t i = 0; i < step.sources.size(); ++i) {
      if (step.sources[i].kind != Source::Kind::kImage) continue;
      void* memory = engine_->input(step.graph, (*step.inputs)[i], image_.shape);
      image_.data = memory;
      return memory;
    }
  }
  image_bytes_.resize(static_cast<std::size_t>(image_.shape.count()) * size_of(image_.dtype));
  image_.data = image_bytes_.data();
  return image_bytes_.data();
}

const TensorView& TensorStream::view_of(const Source& source) const {
  if (source.kind == Source::Kind::kImage) return image_;
  if (source.kind == Source::Kind::kKept) return slots_[source.place].now.view;
  return (*plan_->steps[source.step].outputs)[source.place];
}

void TensorStream::feed(const Step& step) {
  bool placed = false;  // of the image, which lies in the input of the first graph that takes it
  for (const Step& earlier : plan_->steps) {
    if (&earlier == &step) break;
    for (const Source& source : earlier.sources) placed = placed || source.kind == Source::Kind::kImage;
  }
  for (std::size_t i = 0; i < step.sources.size(); ++i) {
    if (step.sources[i].kind == Source::Kind::kImage && !placed) {
      placed = true;
      continue;
    }
    give_input(engine_, step.graph, (*step.inputs)[i], view_of(step.sources[i]));
  }
}

FrameOutputs TensorStream::run() {
  values_.clear();
  if (coming_ != nullptr && left_ <= 0) take_later();
  for (Step& step : plan_->steps) {
    feed(step);
    step.outputs = &engine_->run(step.graph);
    values_.insert(values_.end(), step.outputs->begin(), step.outputs->end());
  }
  if (next_later_ != nullptr) {
    next_later_->job->wait();
    for (std::size_t i = 0; i < next_later_->copied.size(); ++i)
      next_later_->job->copies()[i].copy(view_of(next_later_->copied[i]));
  }
  keep();
  if (next_later_ != nullptr) {
    coming_ = next_later_;
    left_ = next_delay_;
    coming_->job->start(input_);
  }
  return {plan_->specs, values_};
}

// All is copied before anything is replaced: what is kept may be what was kept under another name.
void TensorStream::keep() {
  for (const Keeping& keeping : plan_->kept) {
    slots_[keeping.slot].next.copy(view_of(keeping.source));
  }
  for (const Keeping& keeping : plan_->kept) {
    Slot& slot = slots_[keeping.slot];
    slot.now.swap(&slot.next);
    slot.filled = true;
  }
  if (!plan_->kept.empty()) coming_ = nullptr;  // of an earlier frame
}

// Puts what was computed in the background in the place of what is kept.
void TensorStream::take_later() {
  Later& later = *coming_;
  coming_ = nullptr;  // should an engine have failed, the old goes on
  std::vector<OwnedTensor>& results = later.job->take();
  for (std::size_t i = 0; i < later.slots.size(); ++i) {
    Slot& slot = slots_[later.slots[i]];
    slot.now.swap(&results[i]);
    slot.filled = true;
  }
}

void TensorStream::reset() {
  for (Slot& slot : slots_) slot.filled = false;
  coming_ = nullptr;
}

bool TensorStream::keeps() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.filled; });
}

}  // namespace mobileseg
