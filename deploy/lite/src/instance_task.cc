// Instance segmentation: objects with box, score, class and mask.
#include "instance_task.h"

#include <algorithm>
#include <limits>
#include <set>
#include <sstream>
#include <utility>

#include "instance.h"
#include "instance_selftest.h"
#include "instance_settings.h"
#include "json_fields.h"
#include "mobileseg/error.h"
#include "tracker.h"

namespace mobileseg {
namespace {

float fraction(const Field& field) {
  const double value = field.number();
  if (!(value >= 0 && value <= 1)) field.fail("expected a number from 0 to 1");
  return static_cast<float>(value);
}

float variance(const Field& field) {
  const double value = field.number();
  if (!(value > 0 && value <= 100)) field.fail("expected a number above 0 and up to 100");
  return static_cast<float>(value);
}

DetectionSpec detection_spec(const Field& field) {
  DetectionSpec spec;
  if (field.has("anchors")) spec.anchors = field["anchors"].text();
  if (field.has("variances")) {
    const std::vector<Field> items = field["variances"].items();
    if (items.size() != 2) field["variances"].fail("expected 2 numbers");
    spec.variances = {{variance(items[0]), variance(items[1])}};
  }
  if (field.has("score_threshold")) spec.score_threshold = fraction(field["score_threshold"]);
  if (field.has("nms")) {
    spec.nms = field["nms"].choice<NmsKind>({{"fast", NmsKind::kFast},
                                             {"cross_class", NmsKind::kCrossClass},
                                             {"traditional", NmsKind::kTraditional}});
  }
  if (field.has("iou_threshold")) spec.iou_threshold = fraction(field["iou_threshold"]);
  if (field.has("top_k")) spec.top_k = static_cast<int>(field["top_k"].integer(1, 1 << 20));
  if (field.has("max_detections")) {
    spec.max_detections = static_cast<int>(field["max_detections"].integer(1, 1 << 20));
  }
  if (field.has("mask_threshold")) spec.mask_threshold = fraction(field["mask_threshold"]);
  if (field.has("threshold_after_nms")) spec.threshold_after_nms = field["threshold_after_nms"].boolean();
  if (field.has("inclusive_pixels")) spec.inclusive_pixels = field["inclusive_pixels"].boolean();
  if (field.has("truncate_boxes")) spec.truncate_boxes = field["truncate_boxes"].boolean();
  return spec;
}

// The outputs that make objects, one of every kind; graphs may also give each other features, of another
// number in every pipeline.
std::vector<OutputSpec> predictions_of(const std::vector<OutputSpec>& outputs) {
  std::vector<OutputSpec> found;
  for (const OutputSpec& spec : outputs) {
    const auto same = [&](const OutputSpec& other) { return other.kind == spec.kind; };
    if (spec.kind != kFeatures && std::none_of(found.begin(), found.end(), same)) found.push_back(spec);
  }
  return found;
}

class InstancePipeline : public Pipeline {
 public:
  InstancePipeline(const Manifest& manifest, const std::vector<OutputSpec>& outputs)
      : wanted_(predictions_of(outputs)),
        postprocessor_(detection_of(manifest), manifest.classes.size(), read_anchors(manifest), wanted_,
                       manifest.image.size) {
    values_.reserve(wanted_.size());
  }

  StepPlan next(const ImageView& /*image*/) override { return {&main_}; }

  void finish(const FrameOutputs& outputs, const Geometry& place, Result* result) override {
    pick(outputs);
    postprocessor_.run(values_, place.image, result);
    if (tracker_) follow(tracker_.get(), result);
  }

  bool remembers() const override { return tracker_ && tracker_->started(); }

  void reset() override {
    if (tracker_) tracker_->reset();
  }

  void track(const TrackingOptions& options) override { tracker_ = std::make_unique<Tracker>(options); }

 private:
  void pick(const FrameOutputs& outputs) {
    values_.clear();
    for (const OutputSpec& wanted : wanted_) {
      std::size_t place = 0;
      while (place < outputs.specs.size() && outputs.specs[place].kind != wanted.kind) ++place;
      if (place == outputs.specs.size()) {
        throw Error(ErrorKind::kRuntime, "the graphs of this frame give no " + wanted.kind,
                    "export the folder again");
      }
      values_.push_back(outputs.values[place]);
    }
  }

  const std::string main_ = kMain;        // every frame is an image by itself
  const std::vector<OutputSpec> wanted_;  // in the order of `values_`
  std::vector<TensorView> values_;
  InstancePostprocessor postprocessor_;
  std::unique_ptr<Tracker> tracker_;
};

std::string output_problem(const std::string& where, const std::vector<OutputSpec>& outputs,
                           bool has_anchors) {
  static const std::set<std::string> kRaw = {kinds::kBoxes, kinds::kScores, kinds::kCoefficients,
                                             kinds::kPrototypes};
  static const std::set<std::string> kSuppressed = {kinds::kDetections, kinds::kCoefficients,
                                                    kinds::kPrototypes};
  std::set<std::string> given;
  for (const OutputSpec& spec : outputs) given.insert(spec.kind);
  given.erase(kFeatures);
  if (given != kRaw && given != kSuppressed) {
    std::string names;
    for (const std::string& kind : given) names += (names.empty() ? "" : ", ") + kind;
    return where + ": " + (names.empty() ? "nothing" : names) +
           " is given, an instance segmentation model gives boxes, scores, coefficients, prototypes or "
           "detections, coefficients, prototypes";
  }
  if (given == kRaw && !has_anchors) {
    return where + ": boxes are relative to anchors, and settings.detection.anchors names no file of them";
  }
  return "";
}

class InstanceTask : public Task {
 public:
  ResultForm form() const override { return ResultForm::kInstances; }

  std::shared_ptr<const TaskSettings> settings(const Field* section, Manifest* manifest) const override {
    auto found = std::make_shared<InstanceSettings>();
    if (section == nullptr) {
      throw Error(ErrorKind::kRuntime, "artefact '" + manifest->name + "' has no settings.detection",
                  "export the model again with `mobileseg export`");
    }
    found->detection = detection_spec((*section)["detection"]);
    if (section->has("category_ids")) {
      manifest->category_ids.clear();
      for (const Field& item : (*section)["category_ids"].items())
        manifest->category_ids.push_back(static_cast<int>(item.integer(0, std::numeric_limits<int>::max())));
    }
    return found;
  }

  std::string problem(const Manifest& manifest) const override {
    if (manifest.pipelines.count(kMain) == 0) return std::string("pipelines has no '") + kMain + "'";
    return detection_problem(manifest);
  }

  std::unique_ptr<Pipeline> pipeline(const Manifest& manifest,
                                     const std::vector<OutputSpec>& outputs) const override {
    return std::make_unique<InstancePipeline>(manifest, outputs);
  }

  Difference compare_output(const Golden& golden, int item, const OutputSpec& spec, const TensorView& value,
                            double* scale) const override {
    return compare_instance_output(golden, item, spec, value, scale);
  }

  Check replay(const Manifest& manifest, const std::vector<OutputSpec>& outputs,
               const Golden& golden) const override {
    return check_instances(manifest, predictions_of(outputs), golden);
  }

  Share share(const Result& result, const Golden& golden, int item) const override {
    return share_of_instances(result, golden, item);
  }

  const char* shared() const override { return "detections, by score,"; }
};

}  // namespace

const DetectionSpec& detection_of(const Manifest& manifest) {
  return static_cast<const InstanceSettings&>(*manifest.settings).detection;
}

void follow(Tracker* tracker, Result* result) {
  tracker->run(result);
  drop_untracked(result);
}

void drop_untracked(Result* result) {
  std::vector<Instance>& all = result->instances;
  all.erase(std::remove_if(all.begin(), all.end(), [](const Instance& one) { return one.track_id < 0; }),
            all.end());
}

std::string detection_problem(const Manifest& manifest) {
  if (manifest.image.dynamic) {
    return "image is dynamic, and the anchors of an instance segmentation model belong to one size";
  }
  if (manifest.image.resize == ResizeMode::kKeepRatio) {
    return "image.resize.mode is keep-ratio, and objects are taken back to the image by stretching alone";
  }
  if (manifest.category_ids.size() != manifest.classes.size()) {
    return "settings.category_ids has " + std::to_string(manifest.category_ids.size()) + " numbers for " +
           std::to_string(manifest.classes.size()) + " classes";
  }
  const bool anchors = !detection_of(manifest).anchors.empty();
  std::string found = output_problem("outputs", manifest.outputs_of(), anchors);
  std::set<std::string> engines;
  for (const auto& graph : manifest.graphs) {
    for (const auto& engine : graph.second.files) engines.insert(engine.first);
  }
  for (const std::string& engine : engines) {
    if (found.empty()) found = output_problem(engine, manifest.outputs_of(engine), anchors);
  }
  return found;
}

const Task& instance_task() {
  static const InstanceTask task;
  return task;
}

}  // namespace mobileseg
