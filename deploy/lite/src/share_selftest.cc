#include "share_selftest.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "compare.h"
#include "instance.h"
#include "mobileseg/error.h"
#include "nms.h"
#include "preprocess.h"
#include "semantic.h"

namespace mobileseg {
namespace {

constexpr float kOverlap = 0.5F;

struct Share {
  double equal = 0;
  double all = 0;
};

Share& operator+=(Share& sum, const Share& more) {
  sum.equal += more.equal;
  sum.all += more.all;
  return sum;
}

Share of_labels(const std::vector<std::uint8_t>& labels, const Array& expected) {
  if (expected.dtype != DType::kUint8 || expected.bytes.size() != labels.size())
    throw Error(ErrorKind::kRuntime, "golden.npz holds labels of another size");
  Share share;
  for (std::size_t i = 0; i < labels.size(); ++i) share.equal += labels[i] == expected.bytes[i] ? 1 : 0;
  share.all = static_cast<double>(labels.size());
  return share;
}

// Both lists fall in score; the best are paired first.
Share of_instances(const Result& result, const Golden& golden, int item) {
  const Array& boxes = golden.at("result", item, "boxes");
  const Array& classes = golden.at("result", item, "classes");
  const Array& scores = golden.at("result", item, "scores");
  const std::int64_t count = classes.shape.count();
  if (boxes.dtype != DType::kFloat32 || boxes.shape != Shape{count, 4} || scores.shape.count() != count)
    throw Error(ErrorKind::kRuntime, "golden.npz holds instances that do not fit each other");
  Share share;
  std::vector<bool> used(result.instances.size(), false);
  for (const Instance& instance : result.instances) share.all += static_cast<double>(instance.score);
  for (std::int64_t i = 0; i < count; ++i) {
    const double score = value_at(scores.view(), i);
    const int label = static_cast<int>(value_at(classes.view(), i));
    share.all += score;
    const float* corners = boxes.as<float>() + 4 * i;
    const Box expected{corners[0], corners[1], corners[2], corners[3]};
    std::size_t best = used.size();
    float most = kOverlap;
    for (std::size_t j = 0; j < used.size(); ++j) {
      if (used[j] || result.instances[j].label != label) continue;
      const float both = intersection_over_union(result.instances[j].box, expected, 0.0F);
      if (both > most || (both == most && best == used.size())) {
        most = both;
        best = j;
      }
    }
    if (best == used.size()) continue;
    used[best] = true;
    share.equal += score + static_cast<double>(result.instances[best].score);
  }
  return share;
}

std::string percent(double share) {
  const auto tenths = static_cast<int>(share * 1000);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
}

}  // namespace

Check check_share(const Manifest& manifest, const Golden& golden, Engine* engine) {
  Preprocessor preprocessor(manifest.input);
  const bool instances = manifest.task == Task::kInstance;
  SemanticPostprocessor semantic(manifest.classes.size());
  std::unique_ptr<InstancePostprocessor> detector;
  if (instances) {
    detector = std::make_unique<InstancePostprocessor>(manifest.detection, manifest.classes.size(),
                                                       read_anchors(manifest), engine->outputs(),
                                                       manifest.input.size);
  }
  Share share;
  Result result;
  for (int item = 0; item < golden.items(); ++item) {
    const ImageView image = golden.image(item);
    const Geometry place = preprocessor.geometry(image.size);
    preprocessor.run(image, engine->input(place.input));
    const std::vector<TensorView>& values = engine->run();
    if (instances) {
      detector->run(values, image.size, &result);
      share += of_instances(result, golden, item);
    } else {
      const std::size_t output = pick_output(engine->outputs());
      semantic.run(engine->outputs()[output], values[output], place, &result.labels);
      share += of_labels(result.labels, golden.at("labels", item));
    }
  }
  const double found = share.all > 0 ? share.equal / share.all : 1.0;
  const std::string detail = percent(found) + " of the " + (instances ? "detections, by score," : "labels") +
                             " agree, " + percent(manifest.least_equal) + " are asked for";
  return {"inference", found >= manifest.least_equal ? Check::Status::kOk : Check::Status::kFailed, detail};
}

}  // namespace mobileseg
