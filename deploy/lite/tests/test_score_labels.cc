#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <tuple>
#include <vector>

#include "score_labels.h"

using namespace mobileseg;

namespace {

// The rule written out in double: what a class scores at a pixel of the grid.
double score_at(const std::vector<float>& scores, int k, Size source, Size size, int y, int x) {
  const auto taps = [](int at, int target, int length) {
    const double position =
        std::min(std::max((at + 0.5) * length / target - 0.5, 0.0), static_cast<double>(length - 1));
    const int low = static_cast<int>(position);
    return std::make_tuple(low, std::min(low + 1, length - 1), position - low);
  };
  const auto at = [&](int row, int column) {
    return static_cast<double>(
        scores[static_cast<std::size_t>((k * source.height + row) * source.width + column)]);
  };
  const auto rows = taps(y, size.height, source.height), columns = taps(x, size.width, source.width);
  const auto along = [&](int row) {
    const double share = std::get<2>(columns);
    return at(row, std::get<0>(columns)) * (1 - share) + at(row, std::get<1>(columns)) * share;
  };
  return along(std::get<0>(rows)) * (1 - std::get<2>(rows)) + along(std::get<1>(rows)) * std::get<2>(rows);
}

int nearest(int at, int target, int length) {
  return static_cast<int>((2 * static_cast<std::int64_t>(at) + 1) * length / (2 * target));
}

// Every label has the highest score; of equal ones (to rounding) any.
void check(int classes, Size source, Size size, Size content, Size image, bool whole_numbers) {
  CAPTURE(classes);
  CAPTURE(image.height);
  CAPTURE(image.width);
  std::mt19937 random(static_cast<unsigned>(classes * 1000 + source.width));
  std::normal_distribution<float> normal;
  std::vector<float> scores(static_cast<std::size_t>(classes) * source.pixels());
  for (float& score : scores) score = whole_numbers ? std::round(normal(random)) : normal(random);
  std::vector<std::uint8_t> labels(image.pixels(), 99);
  ScoreLabels().run(scores.data(), classes, source, size, content, image, labels.data());
  int wrong = 0, higher = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const int row = nearest(y, image.height, content.height),
                column = nearest(x, image.width, content.width);
      const int label = labels[static_cast<std::size_t>(y * image.width + x)];
      REQUIRE(label < classes);
      const double ours = score_at(scores, label, source, size, row, column);
      for (int k = 0; k < classes; ++k) {
        const double theirs = score_at(scores, k, source, size, row, column);
        if (theirs > ours + 1e-5) ++wrong;
        if (whole_numbers && size == source && theirs >= ours && k < label) ++higher;
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(higher == 0);  // the lower class wins a tie
}

}  // namespace

TEST_CASE("labels have the highest of the scores that double precision gives") {
  for (const int classes : {1, 2, 19, 255}) {
    check(classes, {5, 7}, {37, 53}, {37, 53}, {37, 53}, false);
    check(classes, {4, 6}, {32, 48}, {32, 48}, {1, 1}, false);
  }
  for (const bool ties : {false, true}) {
    check(3, {1, 1}, {9, 11}, {9, 11}, {9, 11}, ties);
    check(3, {1, 1}, {1, 1}, {1, 1}, {5, 3}, ties);
    check(5, {1, 9}, {8, 72}, {8, 72}, {8, 72}, ties);
    check(5, {9, 1}, {72, 8}, {72, 8}, {30, 30}, ties);
    check(6, {8, 12}, {64, 96}, {40, 77}, {81, 150}, ties);
    check(6, {8, 12}, {64, 96}, {40, 77}, {13, 22}, ties);
    check(4, {20, 22}, {20, 22}, {20, 22}, {20, 22}, ties);
    check(4, {40, 30}, {13, 17}, {13, 17}, {13, 17}, ties);
    check(9, {16, 96}, {64, 96}, {64, 96}, {64, 96}, ties);
  }
}
