// Masks of queries: the product of a kernel and the mask features of a frame, enlarged to the image and
// compared with a threshold (mobileseg/video/mobileinst/postprocess.py).
#ifndef MOBILESEG_SRC_QUERY_MASKS_H_
#define MOBILESEG_SRC_QUERY_MASKS_H_

#include <cstddef>
#include <vector>

#include "mask_assembly.h"
#include "mobileseg/image.h"
#include "mobileseg/result.h"
#include "resize.h"

namespace mobileseg {

struct QueryOptions {
  float score_threshold = 0.05F;  // queries whose score is not above it are dropped
  int max_detections = 100;
  float mask_threshold = 0.45F;
  bool rescore = true;        // scores are multiplied by the mean probability of the mask's pixels
  bool resize_twice = false;  // to the input of the network, then to the image, as published
};

// The mask features of a frame, float32 [channels, grid].
struct MaskFeatures {
  const float* values;
  std::size_t channels;
  Size grid;
};

// Keeps its memory.
class QueryMasks {
 public:
  // `stride` is pixels of the network's input per cell of the mask features, `input` the input's size.
  QueryMasks(const QueryOptions& options, int stride, Size input)
      : options_(options), stride_(stride), input_(input) {}

  // For every frame, before its masks; the features must last until the last one.
  void start(const MaskFeatures& features, Size image);
  // Computes the next mask: how sure it is, which is the mean probability of its cells above the threshold.
  float make(const float* kernel);
  // The part of the image in which the mask that was made may be set.
  MaskRegion region() const;
  // Fills the bytes of that region.
  void draw(const MaskRegion& region, std::uint8_t* bytes);

 private:
  void multiply(const float* kernel);
  float foreground(const std::vector<float>& logits);
  void find_cells();

  const QueryOptions options_;
  const int stride_;
  const Size input_;
  MaskFeatures features_{nullptr, 0, {}};
  Size image_;
  bool twice_ = false;  // the longer way: asked for, or the grid reaches further than the input
  std::vector<float> logits_;
  Box box_;  // around the cells above the threshold, in parts of the grid
  MaskAssembly assembly_;
  // Of the longer way: the grid at twice its size, all that it covers, and the taps of the three steps.
  std::vector<float> fine_, whole_, wide_, line_;
  AxisTaps down_[3], across_[3];
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_QUERY_MASKS_H_
