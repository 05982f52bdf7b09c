#include "numbers.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "mobileseg/error.h"
#include "simd.h"

namespace mobileseg {
namespace {

// Whether all values are finite: times 0 they are 0, whereas infinity and NaN become NaN and stay so in a
// sum.
bool all_finite(const float* values, std::size_t count) {
  simd::F4 sum = simd::splat(0.0F);
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) sum = sum + simd::load(values + i) * simd::splat(0.0F);
  float lanes[4];
  simd::store(lanes, sum);
  float rest = lanes[0] + lanes[1] + lanes[2] + lanes[3];
  for (; i < count; ++i) rest += values[i] * 0.0F;
  return !std::isnan(rest);
}

}  // namespace

void require_no_nan(const char* what, const float* values, std::size_t count) {
  if (all_finite(values, count)) return;
  if (std::none_of(values, values + count, [](float value) { return std::isnan(value); })) return;
  throw Error(ErrorKind::kRuntime, std::string(what) + " hold values that are no numbers (NaN)",
              "check the weights");
}

void require_finite(const char* what, const float* values, std::size_t count) {
  if (all_finite(values, count)) return;
  throw Error(ErrorKind::kRuntime, std::string(what) + " hold values that are infinite or no numbers (NaN)",
              "check the weights");
}

}  // namespace mobileseg
