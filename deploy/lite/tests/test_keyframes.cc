// The rule of key frames: pictures, differences, lost objects and decisions equal those of Python.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "fixtures.h"
#include "keyframes.h"

using namespace mobileseg;

namespace {

std::map<std::string, Array> stored() {
  return read_npz(fixtures::root() + "/keyframes/keyframes.npz");
}

std::vector<SeenObject> objects_of(const Array& boxes, const Array& classes) {
  std::vector<SeenObject> objects;
  for (std::int64_t i = 0; i < classes.shape[0]; ++i) {
    const float* corners = boxes.as<float>() + 4 * i;
    const auto label = static_cast<int>(classes.as<std::int64_t>()[i]);
    objects.push_back({{corners[0], corners[1], corners[2], corners[3]}, label});
  }
  return objects;
}

}  // namespace

TEST_CASE("thumbnails and their differences are equal to Python's, whatever the order of the colours") {
  const auto arrays = stored();
  std::vector<Thumbnail> pictures;
  for (int index = 0; arrays.count("image." + std::to_string(index)) > 0; ++index) {
    CAPTURE(index);
    const Array& image = arrays.at("image." + std::to_string(index));
    const auto* expected = arrays.at("picture." + std::to_string(index)).as<std::int64_t>();
    pictures.push_back(thumbnail(fixtures::view(image)));
    for (std::size_t i = 0; i < pictures.back().size(); ++i) CHECK(pictures.back()[i] == expected[i]);

    // BGR, with bytes at the end of every row that are no pixels
    const ImageView packed = fixtures::view(image);
    const std::size_t row_bytes = 3 * static_cast<std::size_t>(packed.size.width);
    std::vector<std::uint8_t> turned(static_cast<std::size_t>(packed.size.height) * (row_bytes + 5), 77);
    for (int y = 0; y < packed.size.height; ++y) {
      std::uint8_t* row = turned.data() + static_cast<std::size_t>(y) * (row_bytes + 5);
      for (std::size_t i = 0; i < row_bytes; ++i) row[i / 3 * 3 + 2 - i % 3] = packed.row(y)[i];
    }
    const ImageView bgr{turned.data(), packed.size, row_bytes + 5, ColorOrder::kBgr};
    CHECK(thumbnail(bgr) == pictures.back());
  }
  REQUIRE(pictures.size() == 8);
  const auto* differences = arrays.at("differences").as<double>();
  for (std::size_t a = 0; a < pictures.size(); ++a) {
    for (std::size_t b = 0; b < pictures.size(); ++b)
      CHECK(thumbnail_difference(pictures[a], pictures[b]) == differences[a * pictures.size() + b]);
  }
  CHECK(thumbnail_difference(pictures[6], pictures[7]) == 1.0);  // black and white
}

TEST_CASE("the share of lost objects is equal to Python's") {
  const auto arrays = stored();
  const Array& shares = arrays.at("lost");
  int between = 0;
  for (std::int64_t i = 0; i < shares.shape[0]; ++i) {
    CAPTURE(i);
    const std::string number = std::to_string(i);
    const auto key = objects_of(arrays.at("key.boxes." + number), arrays.at("key.classes." + number));
    const auto later = objects_of(arrays.at("later.boxes." + number), arrays.at("later.classes." + number));
    const double expected = shares.as<double>()[i];
    CHECK(lost_share(key, later) == expected);
    between += expected > 0 && expected < 1 ? 1 : 0;
  }
  CHECK(between >= 8);
}

TEST_CASE("an object is lost below an IoU of one half, and at exactly one half it is not") {
  const std::vector<SeenObject> key = {{{0, 0, 3, 4}, 1}};
  CHECK(lost_share(key, {{{0, 0, 3, 2}, 1}}) == 0.0);
  CHECK(lost_share(key, {{{0, 0, 3, 1.99F}, 1}}) == 1.0);
  CHECK(lost_share(key, {{{0, 0, 3, 4}, 0}}) == 1.0);  // another class
  CHECK(lost_share(key, {}) == 1.0);
  CHECK(lost_share({}, key) == 0.0);
  CHECK(lost_share({{{1, 1, 1, 1}, 0}}, {{{1, 1, 1, 1}, 0}}) == 0.0);  // of no size
}

TEST_CASE("decisions are equal to Python's") {
  const auto arrays = stored();
  const Array& table = arrays.at("decisions");
  REQUIRE(table.shape[1] == 7);
  for (std::int64_t i = 0; i < table.shape[0]; ++i) {
    const double* row = table.as<double>() + 7 * i;
    const KeyframeRule rule{static_cast<int>(row[1]), row[2], row[3]};
    CAPTURE(i);
    CHECK(is_key(static_cast<int>(row[0]), rule, row[4], row[5]) == (row[6] != 0));
  }
}
