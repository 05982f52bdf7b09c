// Video instance segmentation: objects of frames, most of which build on an earlier one that was computed
// whole.
#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "instance_task.h"
#include "json_fields.h"
#include "keyframes.h"
#include "task.h"
#include "tolerances.h"
#include "video_settings.h"

namespace mobileseg {
namespace {

// Pipelines.
constexpr const char* kKey = "key";        // of a frame that is computed whole
constexpr const char* kNonkey = "nonkey";  // of one that builds on the latest of those

// Objects of at least this score are looked for in later frames.
constexpr float kSure = 0.3F;

// As many objects of a frame have memory from the start.
constexpr int kReservedObjects = 1 << 12;

// What export keeps at most of a tensor between graphs.
constexpr std::int64_t kKeptPixels = 12;  // of a side
constexpr std::int64_t kKeptChannels = 16;

double share(const Field& field) {
  const double value = field.number();
  if (!(value > 0 && value <= 1)) field.fail("expected a number above 0 and up to 1");
  return value;
}

// A condition that is not known here would make other frames key frames than in Python, so it is refused.
KeyframeRule keyframe_rule(const Field& section) {
  KeyframeRule rule;
  for (const auto& member : section.members()) {
    const Field& value = member.second;
    if (member.first == "every") {
      rule.every = static_cast<int>(value.integer(1, std::numeric_limits<int>::max()));
    } else if (member.first == "scene_cut") {
      rule.scene_cut = value.is_null() ? 0 : share(value);
    } else if (member.first == "lost_objects") {
      rule.lost_objects = value.is_null() ? 0 : share(value);
    } else if (member.first == "delay") {
      rule.delay = static_cast<int>(value.integer(0, std::numeric_limits<int>::max()));
    } else {
      value.fail("this program knows no such condition of a key frame");
    }
  }
  if (rule.delay > 0 && rule.delay >= rule.every) {
    section.fail("delay is " + std::to_string(rule.delay) + " and every is " + std::to_string(rule.every) +
                 ": a key frame must be used before the next");
  }
  return rule;
}

class VideoPipeline : public Pipeline {
 public:
  VideoPipeline(const Manifest& manifest, const std::vector<OutputSpec>& outputs)
      : rule_(static_cast<const VideoSettings&>(*manifest.settings).keyframes),
        objects_(instance_task().pipeline(manifest, outputs)) {
    const auto most =
        static_cast<std::size_t>(std::min(detection_of(manifest).max_detections, kReservedObjects));
    key_objects_.reserve(most);
    objects_now_.reserve(most);
  }

  StepPlan next(const ImageView& image) override {
    double difference = 0;
    if (rule_.scene_cut > 0) {
      seen_ = thumbnail(image);
      if (age_ > 0) difference = thumbnail_difference(key_seen_, seen_);
    }
    if (!is_key(age_, rule_, difference, lost_)) return {&nonkey_};
    const bool at_once = age_ == 0 || rule_.delay == 0 || is_broken(rule_, difference, lost_);
    age_ = 0;  // should an engine fail, the next frame is a key frame again
    lost_ = 0;
    key_seen_ = seen_;
    if (at_once) return {&key_};
    return {&nonkey_, &key_, rule_.delay};
  }

  void finish(const FrameOutputs& outputs, const Geometry& place, Result* result) override {
    objects_->finish(outputs, place, result);
    if (rule_.lost_objects > 0) {
      look_at(*result, age_ == 0 ? &key_objects_ : &objects_now_);
      if (age_ > 0) lost_ = lost_share(key_objects_, objects_now_);
    }
    ++age_;
    if (tracker_) follow(tracker_.get(), result);  // the rule looks at all objects, as in Python
  }

  bool remembers() const override { return age_ > 0 || objects_->remembers(); }

  void reset() override {
    age_ = 0;
    lost_ = 0;
    objects_->reset();
    if (tracker_) tracker_->reset();
  }

  void track(const TrackingOptions& options) override { tracker_ = std::make_unique<Tracker>(options); }

 private:
  static void look_at(const Result& result, std::vector<SeenObject>* seen) {
    seen->clear();
    for (const Instance& one : result.instances) {
      if (one.score >= kSure) seen->push_back({one.box, one.label});
    }
  }

  const std::string key_ = kKey;
  const std::string nonkey_ = kNonkey;
  const KeyframeRule rule_;
  const std::unique_ptr<Pipeline> objects_;
  int age_ = 0;      // frames since the latest key frame; 0 before one is finished
  double lost_ = 0;  // share of the key frame's objects that the latest frame lost
  Thumbnail seen_{}, key_seen_{};
  std::vector<SeenObject> key_objects_, objects_now_;
  std::unique_ptr<Tracker> tracker_;
};

// A tensor between graphs: export keeps evenly spaced channels, rows and columns of [1, C, h, w]
// (`mobileseg.video.export.thinned`).
Difference compare_features(const Golden& golden, int item, const OutputSpec& spec, const TensorView& value,
                            double* scale) {
  const auto step = [](std::int64_t count, std::int64_t kept) {
    return static_cast<int>(std::max<std::int64_t>(1, (count + kept - 1) / kept));
  };
  Subsample sample;
  if (value.shape.rank() == 4) {
    sample.stride = step(std::max(value.shape[2], value.shape[3]), kKeptPixels);
    sample.channel_stride = step(value.shape[1], kKeptChannels);
  }
  *scale = golden.scalar("scale", item, spec.name);
  return compare(value, golden.at("output", item, spec.name).view(), kOutputLimit * *scale, sample);
}

class VideoTask : public Task {
 public:
  ResultForm form() const override { return ResultForm::kInstances; }

  std::shared_ptr<const TaskSettings> settings(const Field* section, Manifest* manifest) const override {
    const std::shared_ptr<const TaskSettings> of_objects = instance_task().settings(section, manifest);
    auto found = std::make_shared<VideoSettings>();
    static_cast<InstanceSettings&>(*found) = static_cast<const InstanceSettings&>(*of_objects);
    if (section->has("keyframes")) found->keyframes = keyframe_rule((*section)["keyframes"]);
    return found;
  }

  std::string problem(const Manifest& manifest) const override {
    for (const char* name : {kKey, kNonkey}) {
      if (manifest.pipelines.count(name) == 0) return std::string("pipelines has no '") + name + "'";
    }
    return detection_problem(manifest);
  }

  std::unique_ptr<Pipeline> pipeline(const Manifest& manifest,
                                     const std::vector<OutputSpec>& outputs) const override {
    return std::make_unique<VideoPipeline>(manifest, outputs);
  }

  Difference compare_output(const Golden& golden, int item, const OutputSpec& spec, const TensorView& value,
                            double* scale) const override {
    if (spec.kind == kFeatures) return compare_features(golden, item, spec, value, scale);
    return instance_task().compare_output(golden, item, spec, value, scale);
  }

  Check replay(const Manifest& manifest, const std::vector<OutputSpec>& outputs,
               const Golden& golden) const override {
    return instance_task().replay(manifest, outputs, golden);
  }

  Share share(const Result& result, const Golden& golden, int item) const override {
    return instance_task().share(result, golden, item);
  }

  const char* shared() const override { return instance_task().shared(); }
};

}  // namespace

const Task& video_task() {
  static const VideoTask task;
  return task;
}

}  // namespace mobileseg
