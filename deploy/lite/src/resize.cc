#include "resize.h"

#include <cmath>

#include "simd.h"

namespace mobileseg {

void AxisTaps::set(int source_length, int target_length) {
  if (source == source_length && target() == target_length) return;
  source = source_length;
  const auto count = static_cast<std::size_t>(target_length);
  low.resize(count);
  high.resize(count);
  weight.resize(count);
  const double scale = static_cast<double>(source_length) / target_length;
  for (std::size_t i = 0; i < count; ++i) {
    const auto position = static_cast<float>((static_cast<double>(i) + 0.5) * scale - 0.5);
    const auto below = static_cast<std::int32_t>(std::floor(position));
    const bool inside = below >= 0 && below < source_length - 1;
    low[i] = below < 0 ? 0 : (below > source_length - 1 ? source_length - 1 : below);
    high[i] = inside ? below + 1 : low[i];
    weight[i] = inside ? position - static_cast<float>(below) : 0.0F;
  }
}

void NearestTaps::set(int source_length, int target_length) {
  const auto count = static_cast<std::size_t>(target_length);
  if (source == source_length && index.size() == count) return;
  source = source_length;
  index.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto doubled = (2 * static_cast<std::int64_t>(i) + 1) * source_length;
    index[i] = static_cast<std::int32_t>(doubled / (2 * static_cast<std::int64_t>(target_length)));
  }
}

void resize_row(const float* source, const AxisTaps& taps, float* target) {
  const int count = taps.target();
  const std::int32_t* low = taps.low.data();
  const std::int32_t* high = taps.high.data();
  const float* weight = taps.weight.data();
  for (int i = 0; i < count; ++i) {
    target[i] = source[low[i]] * (1.0F - weight[i]) + source[high[i]] * weight[i];
  }
}

void blend_rows(const float* above, const float* below, float weight, int count, float* target) {
  const simd::F4 first = simd::splat(1.0F - weight);
  const simd::F4 second = simd::splat(weight);
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    simd::store(target + i, simd::load(above + i) * first + simd::load(below + i) * second);
  }
  for (; i < count; ++i) target[i] = above[i] * (1.0F - weight) + below[i] * weight;
}

// Compilers turn this loop into vector code by themselves; widening bytes by hand would gain nothing.
void blend_rows(const std::uint8_t* above, const std::uint8_t* below, float weight, int count,
                float* target) {
  const float rest = 1.0F - weight;
  for (int i = 0; i < count; ++i) {
    target[i] = static_cast<float>(above[i]) * rest + static_cast<float>(below[i]) * weight;
  }
}

}  // namespace mobileseg
