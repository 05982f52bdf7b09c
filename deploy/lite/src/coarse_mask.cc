#include "coarse_mask.h"

#include <algorithm>
#include <cstddef>

namespace mobileseg {
namespace {

constexpr int kSide = 160;  // points along the longer side of an image, at most

// Points on one axis: the first one inside of a region, and how many there are.
struct Span {
  int first;
  int count;
};

Span points_in(int start, int length, int step) {
  const int middle = step / 2;
  const int first = std::max(0, static_cast<int>(-floor_div(middle - start, step)));
  const int left = length - (first * step + middle - start);
  return {first, left > 0 ? (left + step - 1) / step : 0};
}

}  // namespace

int CoarseMask::spacing(Size size) {
  return (std::max(size.height, size.width) + kSide - 1) / kSide;
}

void CoarseMask::sample(const Result& result, const Instance& instance) {
  const int step = spacing(result.size);
  const MaskRegion& region = instance.mask;
  const Span rows = points_in(region.top, region.size.height, step);
  const Span columns = points_in(region.left, region.size.width, step);
  const std::uint8_t* mask = result.mask(instance);
  top = rows.first;
  left = columns.first;
  height = rows.count;
  width = columns.count;
  count = 0;
  bitmap.clear();
  for (int y = 0; y < height; ++y) {
    const auto row = static_cast<std::size_t>((top + y) * step + step / 2 - region.top);
    const std::uint8_t* line = mask + row * static_cast<std::size_t>(region.size.width);
    for (int x = 0; x < width; ++x) {
      const std::uint8_t set = line[(left + x) * step + step / 2 - region.left] != 0 ? 1 : 0;
      bitmap.push_back(set);
      count += set;
    }
  }
}

std::int64_t shared_points(const CoarseMask& first, const CoarseMask& second, std::int64_t rows,
                           std::int64_t columns) {
  const std::int64_t top = first.top + rows;
  const std::int64_t left = first.left + columns;
  const std::int64_t y1 = std::max<std::int64_t>(top, second.top);
  const std::int64_t x1 = std::max<std::int64_t>(left, second.left);
  const std::int64_t y2 = std::min<std::int64_t>(top + first.height, second.top + second.height);
  const std::int64_t x2 = std::min<std::int64_t>(left + first.width, second.left + second.width);
  int count = 0;
  for (std::int64_t y = y1; y < y2 && x1 < x2; ++y) {
    const std::uint8_t* one = first.bitmap.data() + (y - top) * first.width + (x1 - left);
    const std::uint8_t* other = second.bitmap.data() + (y - second.top) * second.width + (x1 - second.left);
    for (std::int64_t x = 0; x < x2 - x1; ++x) count += one[x] & other[x];
  }
  return count;
}

}  // namespace mobileseg
