// The suite's one pixel rule: bilinear, half-pixel centres, float32; and for labels the pixel under the
// centre.
#ifndef MOBILESEG_SRC_RESIZE_H_
#define MOBILESEG_SRC_RESIZE_H_

#include <cstdint>
#include <vector>

namespace mobileseg {

// Where every target position of one axis lies between two source positions:
// value = source[low] * (1 - weight) + source[high] * weight.
struct AxisTaps {
  std::vector<std::int32_t> low;
  std::vector<std::int32_t> high;
  std::vector<float> weight;
  int source = 0;

  int target() const { return static_cast<int>(low.size()); }
  // Computes the taps unless they are those of these two lengths already.
  void set(int source_length, int target_length);
};

// Source index of every target position: floor((i + 0.5) * source / target), in exact integers.
struct NearestTaps {
  std::vector<std::int32_t> index;
  int source = 0;

  void set(int source_length, int target_length);
};

// One row, resized along it.
void resize_row(const float* source, const AxisTaps& taps, float* target);

// target = above * (1 - weight) + below * weight, `count` values.
void blend_rows(const float* above, const float* below, float weight, int count, float* target);
void blend_rows(const std::uint8_t* above, const std::uint8_t* below, float weight, int count, float* target);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_RESIZE_H_
