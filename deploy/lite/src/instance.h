// From the raw outputs of a network of the YOLACT family to instances.
#ifndef MOBILESEG_SRC_INSTANCE_H_
#define MOBILESEG_SRC_INSTANCE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "instance_settings.h"
#include "mask_assembly.h"
#include "mobileseg/manifest.h"
#include "mobileseg/result.h"
#include "mobileseg/tensor.h"
#include "nms.h"
#include "npz.h"

namespace mobileseg {

// Kinds of outputs of an instance segmentation model.
namespace kinds {
constexpr const char* kBoxes = "boxes";                // [1, P, 4] offsets from the anchors
constexpr const char* kScores = "scores";              // [1, P, K + 1] after softmax, the background first
constexpr const char* kCoefficients = "coefficients";  // [1, P, k] or, with detections, [M, k]
constexpr const char* kPrototypes = "prototypes";      // [1, k, h, w]
// [M, 6]: class (negative: none), score, x1, y1, x2, y2; the NMS is in the graph.
constexpr const char* kDetections = "detections";
}  // namespace kinds

class InstancePostprocessor {
 public:
  // `classes` is the number of classes that the manifest names.
  // `anchors` is float32 [P, 4] (unused when the graph gives detections), `input` the size of the network's
  // input, in whose pixels `inclusive_pixels` counts. Throws Error(kRuntime) when the anchors are not of that
  // form, or `outputs` lacks one.
  InstancePostprocessor(const DetectionSpec& spec, std::size_t classes, Array anchors,
                        const std::vector<OutputSpec>& outputs, Size input);

  // `values` in the order of `outputs`; fills size, instances and mask_bytes of the result.
  // Throws Error(kRuntime) for shapes that do not fit each other or the classes, predictions that are no
  // numbers, and labels that are no class.
  void run(const std::vector<TensorView>& values, Size image, Result* result);

 private:
  // What is to be drawn, best first: the class, the box in parts of the image, the row of its coefficients.
  struct Found {
    Box box;
    float score;
    int label;
    std::size_t row;
  };

  void find(const std::vector<TensorView>& values);                // from raw predictions
  void find_in_detections(const std::vector<TensorView>& values);  // from a graph with the suppression inside
  void check(const std::vector<TensorView>& values) const;
  void collect(const float* scores, const float* loc, std::size_t columns);
  void add_candidates(const float* scores, std::size_t columns, std::uint32_t box);
  Box decoded(const float* loc, std::size_t anchor) const;
  Box in_pixels(const Box& box, Size image) const;

  DetectionSpec spec_;
  std::size_t classes_;
  SuppressionOptions suppression_options_;
  Array anchors_;
  Size input_;
  bool suppressed_ = false;  // the graph gives detections
  // Places in the outputs.
  std::size_t loc_ = 0, conf_ = 0, mask_ = 0, proto_ = 0, detections_ = 0;
  std::vector<std::uint32_t> chosen_;  // anchors whose best class is above the threshold
  std::vector<Box> boxes_;             // of these, in parts of the image
  std::vector<Box> scaled_;            // in pixels of the input, for `inclusive_pixels`
  std::vector<Found> found_;
  Suppression suppression_;
  MaskAssembly masks_;
};

// The anchors of a folder, checked against their hash; empty when its graph needs none.
Array read_anchors(const Manifest& manifest);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_INSTANCE_H_
