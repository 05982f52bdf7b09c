// The section of an instance segmentation model in a manifest.
#ifndef MOBILESEG_SRC_INSTANCE_SETTINGS_H_
#define MOBILESEG_SRC_INSTANCE_SETTINGS_H_

#include <array>
#include <string>
#include <vector>

#include "mobileseg/manifest.h"

namespace mobileseg {

enum class NmsKind { kFast, kCrossClass, kTraditional };

// How raw outputs become detections.
struct DetectionSpec {
  // .npy, float32 [P, 4]: centre x, centre y, width, height in parts of the input; empty when the graph
  // decodes.
  std::string anchors;
  std::array<float, 2> variances{{0.1F, 0.2F}};
  float score_threshold = 0.05F;
  NmsKind nms = NmsKind::kFast;
  float iou_threshold = 0.5F;
  int top_k = 200;
  int max_detections = 100;
  float mask_threshold = 0.5F;
  bool threshold_after_nms = true;
  bool inclusive_pixels = false;
  bool truncate_boxes = false;
};

struct InstanceSettings : TaskSettings {
  DetectionSpec detection;

  std::vector<std::string> files() const override {
    return detection.anchors.empty() ? std::vector<std::string>()
                                     : std::vector<std::string>{detection.anchors};
  }
};

// Of a manifest of the task.
const DetectionSpec& detection_of(const Manifest& manifest);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_INSTANCE_SETTINGS_H_
