// Masks on a coarse grid, as mobileseg/tracking/grid.py samples them.
#ifndef MOBILESEG_SRC_COARSE_MASK_H_
#define MOBILESEG_SRC_COARSE_MASK_H_

#include <cstdint>
#include <vector>

#include "mobileseg/image.h"
#include "mobileseg/result.h"

namespace mobileseg {

// The quotient rounded down, as Python's //; the divisor is positive.
inline std::int64_t floor_div(std::int64_t value, std::int64_t divisor) {
  const std::int64_t quotient = value / divisor;
  return value % divisor < 0 ? quotient - 1 : quotient;
}

// The points of the grid that a mask covers; everything outside of the bitmap is clear.
struct CoarseMask {
  int top = 0;  // in points
  int left = 0;
  int height = 0;
  int width = 0;
  int count = 0;                     // points set
  std::vector<std::uint8_t> bitmap;  // [height, width], 0 or 1

  // Pixels between the points for an image of this size.
  static int spacing(Size size);
  // Samples the mask of an instance; the memory is used again.
  void sample(const Result& result, const Instance& instance);
};

// Points that both cover when the first is moved.
std::int64_t shared_points(const CoarseMask& first, const CoarseMask& second, std::int64_t rows,
                           std::int64_t columns);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_COARSE_MASK_H_
