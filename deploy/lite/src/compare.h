// Two arrays that should hold the same, and the first place where they do not.
#ifndef MOBILESEG_SRC_COMPARE_H_
#define MOBILESEG_SRC_COMPARE_H_

#include <string>

#include "mobileseg/tensor.h"

namespace mobileseg {

// A view of every stride-th pixel, as export stores large arrays: `row_axis` and `column_axis` are thinned
// out, and of tensors between graphs the channels, axis 1, as well.
struct Subsample {
  int stride = 1;
  int row_axis = 2;
  int column_axis = 3;
  int channel_stride = 1;

  int step(int axis) const {
    if (axis == row_axis || axis == column_axis) return stride;
    return axis == 1 ? channel_stride : 1;
  }
};

// What an element may differ by.
struct Limit {
  Limit(double everywhere) : all(everywhere) {}  // NOLINT: a number is a limit
  Limit(double everywhere, double slope) : all(everywhere), steepness(slope) {}

  double at(double expected) const { return all + steepness * expected * (1.0 - expected); }

  double all;
  double steepness = 0;  // of probabilities p: times p * (1 - p)
};

struct Difference {
  bool same = true;
  double largest = 0;    // of all elements
  std::int64_t off = 0;  // elements that differ by more than the limit
  std::int64_t count = 0;
  std::string
      where;  // 'at [0, 1, 3, 5] 0.125 instead of 0.25', the first one beyond the limit; or two shapes
};

// Compares `made`, thinned out, with `expected`. `excused` (same shape as `expected`, or null) marks elements
// that may differ.
Difference compare(const TensorView& made, const TensorView& expected, const Limit& limit,
                   const Subsample& sample = Subsample(), const std::uint8_t* excused = nullptr);

// The element at a place, whatever its type.
double value_at(const TensorView& tensor, std::int64_t index);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_COMPARE_H_
