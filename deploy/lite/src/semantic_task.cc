// Semantic segmentation: a label for every pixel.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "json_fields.h"
#include "semantic.h"
#include "semantic_selftest.h"
#include "task.h"

namespace mobileseg {
namespace {

class SemanticPipeline : public Pipeline {
 public:
  SemanticPipeline(const Manifest& manifest, const std::vector<OutputSpec>& outputs)
      : postprocessor_(manifest.classes.size()), answer_(pick_output(outputs)), outputs_(outputs) {}

  StepPlan next(const ImageView& image) override {
    if (filter_) filter_->see(image);
    seen_ = true;
    return {&main_};
  }

  void finish(const FrameOutputs& outputs, const Geometry& place, Result* result) override {
    postprocessor_.run(outputs.specs[answer_], outputs.values[answer_], place, &result->labels,
                       filter_.get());
  }

  bool remembers() const override { return filter_ && seen_; }

  void reset() override {
    seen_ = false;
    if (filter_) filter_->reset();
  }

  void smooth(double weight) override {
    answer_ = pick_output(outputs_, true);
    filter_ = std::make_unique<LabelFilter>(weight);
  }

 private:
  const std::string main_ = kMain;  // every frame is an image by itself
  SemanticPostprocessor postprocessor_;
  std::size_t answer_;
  const std::vector<OutputSpec> outputs_;
  std::unique_ptr<LabelFilter> filter_;
  bool seen_ = false;  // a frame
};

std::string output_problem(const std::string& where, const std::vector<OutputSpec>& outputs,
                           std::size_t classes) {
  for (const OutputSpec& spec : outputs) {
    const bool labels = spec.kind == kinds::kLabels;
    const std::string which = where + ": '" + spec.name + "' ";
    if (!labels && spec.kind != kinds::kProbabilities && spec.kind != kinds::kLogits) {
      return where + " has " + spec.kind +
             ", a semantic segmentation graph returns labels or probabilities or logits";
    }
    if (spec.shape.rank() != (labels ? 3 : 4)) {
      return which + "has the shape " + spec.shape.str() + ", expected " +
             (labels ? "[1, H, W]" : "[1, K, h, w]");
    }
    if (!labels && spec.shape[1] != static_cast<std::int64_t>(classes)) {
      return which + "has " + std::to_string(spec.shape[1]) + " channels for " + std::to_string(classes) +
             " classes";
    }
    if (labels && spec.upsample != Size())
      return which + "are labels, which cannot be upsampled as scores are";
  }
  return "";
}

class SemanticTask : public Task {
 public:
  ResultForm form() const override { return ResultForm::kLabels; }

  std::shared_ptr<const TaskSettings> settings(const Field* section, Manifest* /*manifest*/) const override {
    if (section != nullptr && !section->members().empty()) {
      section->fail("'" + section->members()[0].first + "' does not belong to a semantic segmentation model");
    }
    return nullptr;
  }

  std::string problem(const Manifest& manifest) const override {
    const auto main = manifest.pipelines.find(kMain);
    if (main == manifest.pipelines.end()) return std::string("pipelines has no '") + kMain + "'";
    for (const std::string& name : main->second) {
      const GraphSpec& graph = manifest.graph(name);
      std::string found =
          output_problem("graphs." + name + ".outputs", graph.outputs, manifest.classes.size());
      for (const auto& engine : graph.files) {
        if (!found.empty() || engine.second.output_specs.empty()) continue;
        found = output_problem("graphs." + name + ".files." + engine.first, engine.second.output_specs,
                               manifest.classes.size());
      }
      if (!found.empty()) return found;
    }
    return "";
  }

  std::unique_ptr<Pipeline> pipeline(const Manifest& manifest,
                                     const std::vector<OutputSpec>& outputs) const override {
    return std::make_unique<SemanticPipeline>(manifest, outputs);
  }

  Difference compare_output(const Golden& golden, int item, const OutputSpec& spec, const TensorView& value,
                            double* scale) const override {
    return compare_semantic_output(golden, item, spec, value, scale);
  }

  Check replay(const Manifest& manifest, const std::vector<OutputSpec>& outputs,
               const Golden& golden) const override {
    return check_labels(manifest, outputs, golden);
  }

  Share share(const Result& result, const Golden& golden, int item) const override {
    return share_of_labels(result, golden, item);
  }

  const char* shared() const override { return "labels"; }
};

}  // namespace

const Task& semantic_task() {
  static const SemanticTask task;
  return task;
}

}  // namespace mobileseg
