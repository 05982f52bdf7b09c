#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "simd.h"

using namespace mobileseg;

namespace {

float first_of(simd::F4 value) {
  float lanes[4];
  simd::store(lanes, value);
  return lanes[0];
}

}  // namespace

TEST_CASE("exponential and sigmoid of four lanes are those of the standard library") {
  double worst = 0;
  for (double x = -87; x <= 87; x += 0.0137) {
    const auto value = static_cast<float>(x);
    const double expected = std::exp(static_cast<double>(value));
    worst = std::max(worst, std::fabs(first_of(simd::exp(simd::splat(value))) - expected) / expected);
    const double expected_sigmoid = 1 / (1 + std::exp(-static_cast<double>(value)));
    CHECK(std::fabs(first_of(simd::sigmoid(simd::splat(value))) - expected_sigmoid) < 3e-7);
  }
  CHECK(worst < 3e-7);
  CHECK(first_of(simd::sigmoid(simd::splat(1e30F))) == 1);
  CHECK(first_of(simd::sigmoid(simd::splat(-1e30F))) < 1e-30F);
}

TEST_CASE("comparison and transposition") {
  const float a[4] = {1, 5, 3, 7};
  const float b[4] = {2, 4, 3, 6};
  CHECK(simd::greater(simd::load(a), simd::load(b)) == 10U);
  float rows[16];
  for (int i = 0; i < 16; ++i) rows[i] = static_cast<float>(i);
  simd::F4 lanes[4] = {simd::load(rows), simd::load(rows + 4), simd::load(rows + 8), simd::load(rows + 12)};
  simd::transpose(&lanes[0], &lanes[1], &lanes[2], &lanes[3]);
  for (int i = 0; i < 4; ++i) {
    float column[4];
    simd::store(column, lanes[i]);
    for (int j = 0; j < 4; ++j) CHECK(column[j] == static_cast<float>(4 * j + i));
  }
}
