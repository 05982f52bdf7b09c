#include "mask_assembly.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "simd.h"

namespace mobileseg {
namespace {

constexpr int kBlock = 16;       // cells that are computed together
constexpr float kMargin = 1.0F;  // cells that the cut is wider than the box, on every side

// target = above * (1 - weight) + below * weight > threshold, as 0 or 1.
void blend_and_compare(const float* above, const float* below, float weight, float threshold, int count,
                       std::uint8_t* target) {
  const float rest = 1.0F - weight;
  for (int i = 0; i < count; ++i) target[i] = above[i] * rest + below[i] * weight > threshold ? 1 : 0;
}

}  // namespace

void MaskAssembly::start(const float* prototypes, int kinds, Size grid, Size image) {
  prototypes_ = prototypes;
  kinds_ = kinds;
  grid_ = grid;
  image_ = image;
  vertical_.set(grid.height, image.height);
  horizontal_.set(grid.width, image.width);
  row_.assign(static_cast<std::size_t>(grid.width), 0.0F);
  zeros_.assign(static_cast<std::size_t>(image.width), 0.0F);
  wide_.resize(static_cast<std::size_t>(grid.height) * static_cast<std::size_t>(image.width));
}

// A cell x belongs to the cut where low <= x < high.
MaskAssembly::Span MaskAssembly::cut(float a, float b, int cells) {
  const auto size = static_cast<float>(cells);
  const float low = std::max(std::min(a, b) * size - kMargin, 0.0F);
  const float high = std::min(std::max(a, b) * size + kMargin, size);
  Span span;
  span.first = static_cast<int>(std::ceil(std::min(low, size)));
  span.end = std::max(static_cast<int>(std::ceil(std::max(high, 0.0F))), span.first);
  return span;
}

// Pixel x looks at position (x + 0.5) * cells / pixels - 0.5 of the grid, so those less than a cell away from
// the cut are touched; a pixel more on both sides is taken for the rounding.
MaskAssembly::Span MaskAssembly::touched(const Span& cut, int cells, int pixels) {
  const double scale = static_cast<double>(pixels) / cells;
  const double low = std::floor((cut.first - 0.5) * scale - 0.5);
  const double high = std::ceil((cut.end + 0.5) * scale - 0.5) + 1;
  const double limit = pixels;
  return {static_cast<int>(std::min(std::max(low, 0.0), limit)),
          static_cast<int>(std::min(std::max(high, 0.0), limit))};
}

MaskRegion MaskAssembly::region(const Box& box) const {
  const Span rows = cut(box.y1, box.y2, grid_.height);
  const Span columns = cut(box.x1, box.x2, grid_.width);
  MaskRegion region;
  if (rows.length() == 0 || columns.length() == 0) return region;
  const Span down = touched(rows, grid_.height, image_.height);
  const Span across = touched(columns, grid_.width, image_.width);
  region.top = down.first;
  region.left = across.first;
  region.size = {down.length(), across.length()};
  return region;
}

// One row of probabilities inside the cut, into row_, a block of cells at a time: so many sums fit into
// registers. A block may begin before or end behind the cut, where it is not kept.
void MaskAssembly::row_of_mask(const float* coefficients, int y, const Span& columns) {
  const std::size_t plane = grid_.pixels();
  const float* start = prototypes_ + static_cast<std::size_t>(y) * static_cast<std::size_t>(grid_.width);
  if (grid_.width < kBlock) {
    for (int x = columns.first; x < columns.end; ++x) {
      float sum = 0;
      const float* cell = start + x;
      for (int k = 0; k < kinds_; ++k, cell += plane) sum += *cell * coefficients[k];
      row_[static_cast<std::size_t>(x)] = 1.0F / (1.0F + std::exp(-sum));
    }
    return;
  }
  for (int x = columns.first; x < columns.end; x += kBlock) {
    const int begin = std::min(x, grid_.width - kBlock);
    simd::F4 sums[kBlock / 4] = {simd::splat(0), simd::splat(0), simd::splat(0), simd::splat(0)};
    const float* cells = start + begin;
    for (int k = 0; k < kinds_; ++k, cells += plane) {
      const simd::F4 weight = simd::splat(coefficients[k]);
      for (int part = 0; part < kBlock / 4; ++part) {
        sums[part] = sums[part] + simd::load(cells + 4 * part) * weight;
      }
    }
    float block[kBlock];
    for (int part = 0; part < kBlock / 4; ++part) simd::store(block + 4 * part, simd::sigmoid(sums[part]));
    const int end = std::min(begin + kBlock, columns.end);
    std::copy(block + (x - begin), block + (end - begin), row_.begin() + x);
  }
}

void MaskAssembly::draw(const float* coefficients, const Box& box, const MaskRegion& region, float threshold,
                        std::uint8_t* bytes) {
  const Span rows = cut(box.y1, box.y2, grid_.height);
  const Span columns = cut(box.x1, box.x2, grid_.width);
  const int width = region.size.width;
  const auto stride = static_cast<std::size_t>(width);
  for (int y = rows.first; y < rows.end; ++y) {
    row_of_mask(coefficients, y, columns);
    float* wide = wide_.data() + static_cast<std::size_t>(y - rows.first) * stride;
    for (int x = 0; x < width; ++x) {
      const auto at = static_cast<std::size_t>(region.left + x);
      const auto low = static_cast<std::size_t>(horizontal_.low[at]);
      const auto high = static_cast<std::size_t>(horizontal_.high[at]);
      wide[x] = row_[low] * (1.0F - horizontal_.weight[at]) + row_[high] * horizontal_.weight[at];
    }
  }
  std::fill(row_.begin() + columns.first, row_.begin() + columns.end, 0.0F);

  const auto wide_row = [&](int y) {
    if (y < rows.first || y >= rows.end) return static_cast<const float*>(zeros_.data());
    return static_cast<const float*>(wide_.data() + static_cast<std::size_t>(y - rows.first) * stride);
  };
  for (int y = 0; y < region.size.height; ++y) {
    const auto at = static_cast<std::size_t>(region.top + y);
    blend_and_compare(wide_row(vertical_.low[at]), wide_row(vertical_.high[at]), vertical_.weight[at],
                      threshold, width, bytes + static_cast<std::size_t>(y) * stride);
  }
}

}  // namespace mobileseg
