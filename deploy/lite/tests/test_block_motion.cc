// The motion of blocks against Python's, displacement by displacement.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "allocation_counter.h"
#include "block_motion.h"
#include "fixtures.h"

using namespace mobileseg;

TEST_CASE("blocks move as in Python") {
  const auto arrays = read_npz(fixtures::root() + "/tracking/motion.npz");
  BlockMotion motion;
  GreyCells first, second;
  int index = 0;
  for (; arrays.count("first." + std::to_string(index)) != 0; ++index) {
    CAPTURE(index);
    const std::string end = "." + std::to_string(index);
    first.read(fixtures::view(arrays.at("first" + end)));
    second.read(fixtures::view(arrays.at("second" + end)));
    const Array& grey = arrays.at("grey" + end);
    REQUIRE(static_cast<std::int64_t>(first.values.size()) == grey.shape.count());
    CHECK(std::equal(first.values.begin(), first.values.end(), grey.as<std::int32_t>()));
    const std::vector<Displacement>& found = motion.search(first, second);
    const Array& expected = arrays.at("motion" + end);
    REQUIRE(motion.blocks().height == expected.shape[0]);
    REQUIRE(motion.blocks().width == expected.shape[1]);
    const auto* values = expected.as<std::int32_t>();
    for (std::size_t i = 0; i < found.size(); ++i) {
      CAPTURE(i);
      REQUIRE(found[i][0] == values[2 * i]);
      REQUIRE(found[i][1] == values[2 * i + 1]);
    }
    const std::size_t before = allocations();
    first.read(fixtures::view(arrays.at("first" + end)));
    motion.search(first, second);
    CHECK(allocations() == before);
  }
  CHECK(index >= 6);
}
