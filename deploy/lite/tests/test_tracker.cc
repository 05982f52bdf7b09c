// The tracker against Python's: the same ids, overlaps and tracks after every frame of every clip.
#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "allocation_counter.h"
#include "assignment.h"
#include "clip_fixture.h"
#include "mobileseg/error.h"
#include "tracker.h"

using namespace mobileseg;

namespace {

std::vector<std::int64_t> numbers(const Array& array) {
  const auto* first = array.as<std::int64_t>();
  return std::vector<std::int64_t>(first, first + array.shape.count());
}

std::vector<std::int64_t> row_of(const Tracker::Track& one) {
  return {one.id,          one.label,       one.box[0],     one.box[1], one.box[2], one.box[3],
          one.velocity[0], one.velocity[1], one.mask.count, one.hits,   one.missed, one.confirmed ? 1 : 0};
}

}  // namespace

TEST_CASE("costs are assigned as in Python") {
  const auto arrays = read_npz(fixtures::root() + "/tracking/assignments.npz");
  Assignment assignment;
  for (int index = 0; arrays.count("costs." + std::to_string(index)) != 0; ++index) {
    CAPTURE(index);
    const Array& costs = arrays.at("costs." + std::to_string(index));
    const std::vector<int>& found = assignment.solve(numbers(costs), static_cast<std::size_t>(costs.shape[0]),
                                                     static_cast<std::size_t>(costs.shape[1]));
    const std::vector<std::int64_t> expected = numbers(arrays.at("columns." + std::to_string(index)));
    CHECK(std::vector<std::int64_t>(found.begin(), found.end()) == expected);
  }
}

TEST_CASE("ids, overlaps and tracks are those of Python") {
  for (const std::string& name : fixtures::Clip::names()) {
    CAPTURE(name);
    const fixtures::Clip clip(name);
    Tracker tracker(clip.options());
    Result result;
    for (int round = 0; round < 2; ++round) {
      for (int frame = 0; frame < clip.length(); ++frame) {
        CAPTURE(frame);
        clip.fill(frame, &result);
        tracker.run(&result);
        std::vector<std::int64_t> ids;
        for (const Instance& one : result.instances) ids.push_back(one.track_id);
        REQUIRE(ids == numbers(clip.at("ids", frame)));
        REQUIRE(tracker.overlaps() == numbers(clip.at("overlaps", frame)));
        std::vector<std::int64_t> rows;
        for (const Tracker::Track& one : tracker.tracks()) {
          const std::vector<std::int64_t> row = row_of(one);
          rows.insert(rows.end(), row.begin(), row.end());
        }
        REQUIRE(rows == numbers(clip.at("tracks", frame)));
      }
      tracker.reset();  // and once more from the start
    }
  }
}

TEST_CASE("the tracker allocates nothing when it has seen as many objects before") {
  const fixtures::Clip clip("crowd");
  Tracker tracker(clip.options());
  Result result;
  clip.fill(0, &result);
  tracker.run(&result);
  tracker.run(&result);
  tracker.run(&result);
  const std::size_t before = allocations();
  for (int frame = 0; frame < 5; ++frame) tracker.run(&result);
  CHECK(allocations() == before);
}

TEST_CASE("a frame of another size and a box that is no number are refused") {
  Tracker tracker{TrackingOptions()};
  Result result;
  result.size = {40, 60};
  tracker.run(&result);
  result.size = {60, 40};
  CHECK_THROWS_AS(tracker.run(&result), Error);
  tracker.reset();
  tracker.run(&result);
  Instance one;
  one.box.x2 = std::numeric_limits<float>::quiet_NaN();
  result.instances.push_back(one);
  CHECK_THROWS_WITH_AS(tracker.run(&result), doctest::Contains("not finite"), Error);
}

TEST_CASE("options that cannot be used are refused") {
  TrackingOptions options;
  options.low_score = 0.4;
  CHECK_THROWS_AS(Tracker{options}, Error);
  options = TrackingOptions();
  options.overlap = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(Tracker{options}, Error);
  options = TrackingOptions();
  options.max_age = -1;
  CHECK_THROWS_AS(Tracker{options}, Error);
  options = TrackingOptions();
  options.min_hits = 0;
  CHECK_THROWS_AS(Tracker{options}, Error);
}
