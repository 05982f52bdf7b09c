// Smoothing of label video against Python's, to the last bit.
#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "fixtures.h"
#include "label_filter.h"
#include "mobileseg/error.h"

using namespace mobileseg;

TEST_CASE("probabilities are averaged as in Python") {
  const auto arrays = read_npz(fixtures::root() + "/tracking/smooth.npz");
  const auto* place = arrays.at("place").as<std::int64_t>();  // content, covered
  const Size content = {static_cast<int>(place[0]), static_cast<int>(place[1])};
  const Size covered = {static_cast<int>(place[2]), static_cast<int>(place[3])};
  LabelFilter filter(arrays.at("weight").as<double>()[0]);
  for (int round = 0; round < 2; ++round) {
    int frame = 0;
    std::vector<float> scores;
    for (; arrays.count("image." + std::to_string(frame)) != 0; ++frame) {
      CAPTURE(frame);
      const Array& given = arrays.at("scores." + std::to_string(frame));
      const auto* first = given.as<float>();
      scores.assign(first, first + given.shape.count());
      filter.see(fixtures::view(arrays.at("image." + std::to_string(frame))));
      filter.smooth(static_cast<std::size_t>(given.shape[0]),
                    {static_cast<int>(given.shape[1]), static_cast<int>(given.shape[2])}, content, covered,
                    scores.data());
      const Array& expected = arrays.at("expected." + std::to_string(frame));
      CHECK(std::memcmp(scores.data(), expected.bytes.data(), scores.size() * sizeof(float)) == 0);
    }
    CHECK(frame >= 5);
    filter.reset();
  }
}

TEST_CASE("weights are below one") {
  CHECK_THROWS_AS(LabelFilter{1.0}, Error);
  CHECK_THROWS_AS(LabelFilter{-0.1}, Error);
  CHECK_THROWS_AS(LabelFilter{std::numeric_limits<double>::quiet_NaN()}, Error);
}
