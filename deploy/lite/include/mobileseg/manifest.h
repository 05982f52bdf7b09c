// deploy.json: everything a program must know about an artefact folder.
#ifndef MOBILESEG_MANIFEST_H_
#define MOBILESEG_MANIFEST_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "mobileseg/image.h"
#include "mobileseg/result.h"
#include "mobileseg/tensor.h"

namespace mobileseg {

// value = (pixel * scale - mean) / std per channel in the graph's colour order, unless the graph does it.
struct InputSpec {
  std::string name;
  Size size;             // of a dynamic graph, the size it was traced with
  bool dynamic = false;  // any size whose sides are multiples of `multiple`
  int multiple = 1;
  ColorOrder color = ColorOrder::kRgb;
  bool channels_last = false;
  DType dtype = DType::kFloat32;
  bool stretch = true;  // resize to `size`; otherwise the picture keeps its size and is padded to `multiple`
  double scale = 1.0 / 255.0;
  std::array<double, 3> mean{{0.5, 0.5, 0.5}};
  std::array<double, 3> std{{0.5, 0.5, 0.5}};
  bool normalized_in_graph = false;

  Shape shape(Size input) const;
  Size padded(Size content) const;
};

enum class OutputKind {
  kLabels,         // [1, H, W] class indices
  kProbabilities,  // [1, K, h, w]
  kLogits,         // [1, K, h, w]
  kBoxes,          // [1, P, 4] offsets from the anchors
  kScores,         // [1, P, K + 1] after softmax, the background first
  kCoefficients,   // [1, P, k] or, with detections, [M, k]
  kPrototypes,     // [1, k, h, w]
  kDetections,     // [M, 6]: class (negative: none), score, x1, y1, x2, y2; the suppression is in the graph
};

enum class OutputResize { kLabelsNearest, kScoresBilinear, kInGraph, kNone };

struct OutputSpec {
  std::string name;
  OutputKind kind = OutputKind::kLabels;
  DType dtype = DType::kInt32;
  Shape shape;  // -1 where the size follows a dynamic input
  OutputResize resize = OutputResize::kNone;
};

enum class NmsKind { kFast, kCrossClass, kTraditional };

// Instance folders: how raw outputs become detections.
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

// The file of one graph for Paddle Lite, and its own tensor names where they differ from the manifest's.
struct GraphFile {
  std::string model;
  std::map<std::string, std::string> inputs;
  std::map<std::string, std::string> outputs;
  std::vector<OutputSpec> output_specs;  // empty: as Manifest::outputs
};

class Manifest {
 public:
  // Throws Error(kRuntime) when the folder or its deploy.json cannot be used.
  static Manifest read(const std::string& folder);
  // `yaml_hash` receives the hash of the deploy.yaml that the text repeats.
  static Manifest parse(const std::string& text, const std::string& source, std::string* yaml_hash = nullptr);

  // The file of a graph for 'lite_arm' or 'lite_x86'; throws when the folder has none.
  const GraphFile& graph_file(const std::string& graph, const std::string& engine) const;
  const std::vector<OutputSpec>& outputs_of(const GraphFile& file) const {
    return file.output_specs.empty() ? outputs : file.output_specs;
  }
  // Path of a file of the folder, after its content has been compared with its hash.
  std::string verified_path(const std::string& file) const;
  std::string path(const std::string& file) const { return folder + "/" + file; }

  std::string folder;
  std::string name;
  Task task = Task::kSemantic;
  InputSpec input;
  std::vector<OutputSpec> outputs;
  std::vector<std::string> classes;
  std::vector<std::array<std::uint8_t, 3>> palette;  // RGB, one per class
  std::vector<int> category_ids;                     // instance: number of every class in COCO's format
  int ignore_index = 255;
  std::map<std::string, std::map<std::string, GraphFile>> graphs;
  std::map<std::string, std::string> files;  // name -> sha256
  std::map<std::string, std::string> versions;
  std::string golden;  // empty when the folder has none
  // Share of labels or detections that a graph must have in common with the reference; 0: the exact rule.
  // Graphs of lower precision have it.
  double least_equal = 0;
  DetectionSpec detection;

 private:
  void check(const std::string& source) const;
};

}  // namespace mobileseg

#endif  // MOBILESEG_MANIFEST_H_
