#include "query_masks.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "simd.h"

namespace mobileseg {
namespace {

constexpr std::size_t kBlock = 16;  // cells that are computed together
constexpr int kFiner = 2;           // the published form judges masks at twice the grid
constexpr double kEpsilon = 1e-6;

// `source` has `stride` values per row.
void resize_plane(const float* source, std::size_t stride, const AxisTaps& down, const AxisTaps& across,
                  std::vector<float>* wide, float* target) {
  const auto width = static_cast<std::size_t>(across.target());
  wide->resize(static_cast<std::size_t>(down.source) * width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(down.source); ++y) {
    resize_row(source + y * stride, across, wide->data() + y * width);
  }
  for (std::size_t y = 0; y < static_cast<std::size_t>(down.target()); ++y) {
    blend_rows(wide->data() + static_cast<std::size_t>(down.low[y]) * width,
               wide->data() + static_cast<std::size_t>(down.high[y]) * width, down.weight[y], across.target(),
               target + y * width);
  }
}

float sigmoid(float x) {
  return 1.0F / (1.0F + std::exp(-x));
}

}  // namespace

void QueryMasks::start(const MaskFeatures& features, Size image) {
  features_ = features;
  image_ = image;
  const Size grid = features.grid;
  logits_.resize(grid.pixels());
  const Size reach{grid.height * stride_, grid.width * stride_};
  twice_ = options_.resize_twice || reach != input_;
  if (!twice_) {
    assembly_.start(logits_.data(), 1, grid, image);
    return;
  }
  const Size fine{grid.height * kFiner, grid.width * kFiner};
  fine_.resize(fine.pixels());
  whole_.resize(reach.pixels());
  line_.resize(static_cast<std::size_t>(image.width));
  const Size sizes[3][2] = {{grid, fine}, {fine, reach}, {input_, image}};
  for (int step = 0; step < 3; ++step) {
    down_[step].set(sizes[step][0].height, sizes[step][1].height);
    across_[step].set(sizes[step][0].width, sizes[step][1].width);
  }
}

// Into logits_, a block of cells at a time: so many sums fit into registers.
void QueryMasks::multiply(const float* kernel) {
  const std::size_t cells = logits_.size();
  std::size_t cell = 0;
  for (; cell + kBlock <= cells; cell += kBlock) {
    simd::F4 sums[kBlock / 4] = {simd::splat(0), simd::splat(0), simd::splat(0), simd::splat(0)};
    const float* values = features_.values + cell;
    for (std::size_t k = 0; k < features_.channels; ++k, values += cells) {
      const simd::F4 weight = simd::splat(kernel[k]);
      for (std::size_t part = 0; part < kBlock / 4; ++part) {
        sums[part] = sums[part] + simd::load(values + 4 * part) * weight;
      }
    }
    for (std::size_t part = 0; part < kBlock / 4; ++part) {
      simd::store(logits_.data() + cell + 4 * part, sums[part]);
    }
  }
  for (; cell < cells; ++cell) {
    float sum = 0;
    for (std::size_t k = 0; k < features_.channels; ++k) {
      sum += features_.values[k * cells + cell] * kernel[k];
    }
    logits_[cell] = sum;
  }
}

float QueryMasks::foreground(const std::vector<float>& logits) {
  double sum = 0;
  std::size_t count = 0;
  const auto add = [&](float probability) {
    if (!(probability > options_.mask_threshold)) return;
    sum += static_cast<double>(probability);
    ++count;
  };
  std::size_t cell = 0;
  for (; cell + 4 <= logits.size(); cell += 4) {
    float lanes[4];
    simd::store(lanes, simd::sigmoid(simd::load(logits.data() + cell)));
    for (const float one : lanes) add(one);
  }
  for (; cell < logits.size(); ++cell) add(sigmoid(logits[cell]));
  return static_cast<float>(sum / (static_cast<double>(count) + kEpsilon));
}

// No pixel that is more than a cell away from the cells above the threshold can be.
void QueryMasks::find_cells() {
  const double threshold = static_cast<double>(options_.mask_threshold);
  const float least = threshold > 0 ? static_cast<float>(std::log(threshold / (1 - threshold)))
                                    : -std::numeric_limits<float>::infinity();
  const int height = features_.grid.height, width = features_.grid.width;
  int top = height, bottom = 0, left = width, right = 0;
  const float* cell = logits_.data();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x, ++cell) {
      if (!(*cell >= least)) continue;
      top = std::min(top, y);
      bottom = y + 1;
      left = std::min(left, x);
      right = std::max(right, x + 1);
    }
  }
  box_ = Box();
  if (bottom == 0) return;
  const auto columns = static_cast<float>(width), rows = static_cast<float>(height);
  box_ = {static_cast<float>(left) / columns, static_cast<float>(top) / rows,
          static_cast<float>(right) / columns, static_cast<float>(bottom) / rows};
}

float QueryMasks::make(const float* kernel) {
  multiply(kernel);
  if (!twice_) {
    find_cells();
    return foreground(logits_);
  }
  const auto width = static_cast<std::size_t>(features_.grid.width);
  resize_plane(logits_.data(), width, down_[0], across_[0], &wide_, fine_.data());
  return foreground(fine_);
}

MaskRegion QueryMasks::region() const {
  if (!twice_) return assembly_.region(box_);
  MaskRegion whole;
  whole.size = image_;
  return whole;
}

void QueryMasks::draw(const MaskRegion& region, std::uint8_t* bytes) {
  if (!twice_) {
    const float one = 1;
    assembly_.draw(&one, box_, region, options_.mask_threshold, bytes);
    return;
  }
  for (float& value : fine_) value = sigmoid(value);
  resize_plane(fine_.data(), static_cast<std::size_t>(across_[1].source), down_[1], across_[1], &wide_,
               whole_.data());
  // Only the input's part of all that the grid covers is of the image.
  const auto reach = static_cast<std::size_t>(across_[1].target());
  const auto width = static_cast<std::size_t>(image_.width);
  wide_.resize(static_cast<std::size_t>(input_.height) * width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(input_.height); ++y) {
    resize_row(whole_.data() + y * reach, across_[2], wide_.data() + y * width);
  }
  for (std::size_t y = 0; y < static_cast<std::size_t>(image_.height); ++y) {
    blend_rows(wide_.data() + static_cast<std::size_t>(down_[2].low[y]) * width,
               wide_.data() + static_cast<std::size_t>(down_[2].high[y]) * width, down_[2].weight[y],
               image_.width, line_.data());
    for (std::size_t x = 0; x < width; ++x) bytes[x] = line_[x] > options_.mask_threshold ? 1 : 0;
    bytes += width;
  }
}

}  // namespace mobileseg
