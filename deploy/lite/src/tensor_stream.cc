#include "tensor_stream.h"

#include <algorithm>
#include <cstring>

#include "mobileseg/error.h"

namespace mobileseg {

TensorStream::TensorStream(const Manifest& manifest, Engine* engine) : manifest_(&manifest), engine_(engine) {
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

void* TensorStream::begin(const std::string& pipeline, Size size) {
  const auto found = plans_.find(pipeline);
  if (found == plans_.end()) {
    throw Error(ErrorKind::kRuntime, "artefact '" + manifest_->name + "' has no pipeline '" + pipeline + "'");
  }
  plan_ = &found->second;
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
  engine_->begin(size);
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
  if (source.kind == Source::Kind::kKept) return slots_[source.place].view;
  return (*plan_->steps[source.step].outputs)[source.place];
}

void TensorStream::feed(const Step& step) {
  bool placed = false;  // of the image, which lies in the input of the first graph that takes it
  for (const Step& earlier : plan_->steps) {
    if (&earlier == &step) break;
    for (const Source& source : earlier.sources) placed = placed || source.kind == Source::Kind::kImage;
  }
  for (std::size_t i = 0; i < step.sources.size(); ++i) {
    const TensorSpec& spec = (*step.inputs)[i];
    if (step.sources[i].kind == Source::Kind::kImage && !placed) {
      placed = true;
      continue;
    }
    const TensorView& value = view_of(step.sources[i]);
    if (!fits(value, spec.dtype, spec.shape)) {
      throw Error(ErrorKind::kRuntime,
                  "the graph '" + step.graph + "' takes '" + spec.name + "' as " + name_of(spec.dtype) + " " +
                      spec.shape.str() + ", and is given " + name_of(value.dtype) + " " + value.shape.str(),
                  "export the folder again");
    }
    engine_->share(step.graph, spec, value);
  }
}

FrameOutputs TensorStream::run() {
  values_.clear();
  for (Step& step : plan_->steps) {
    feed(step);
    step.outputs = &engine_->run(step.graph);
    values_.insert(values_.end(), step.outputs->begin(), step.outputs->end());
  }
  keep();
  return {plan_->specs, values_};
}

// All is copied before anything is replaced: what is kept may be what was kept under another name.
void TensorStream::keep() {
  for (const Keeping& keeping : plan_->kept) {
    const TensorView& value = view_of(keeping.source);
    Slot& slot = slots_[keeping.slot];
    slot.next_bytes.resize(static_cast<std::size_t>(value.shape.count()) * size_of(value.dtype));
    std::memcpy(slot.next_bytes.data(), value.data, slot.next_bytes.size());
    slot.next_view = value;
  }
  for (const Keeping& keeping : plan_->kept) {
    Slot& slot = slots_[keeping.slot];
    slot.bytes.swap(slot.next_bytes);
    slot.next_bytes.reserve(slot.bytes.size());  // the next frame allocates nothing
    slot.view = slot.next_view;
    slot.view.data = slot.bytes.data();
    slot.filled = true;
  }
}

void TensorStream::reset() {
  for (Slot& slot : slots_) slot.filled = false;
}

bool TensorStream::keeps() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.filled; });
}

}  // namespace mobileseg
