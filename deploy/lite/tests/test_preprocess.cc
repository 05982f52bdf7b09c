#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <cstdint>
#include <vector>

#include "compare.h"
#include "fixtures.h"
#include "mobileseg/error.h"
#include "preprocess.h"
#include "tolerances.h"

using namespace mobileseg;

TEST_CASE("every form of input equals the Python implementation's") {
  for (const std::string& name : fixtures::cases("preprocess")) {
    CAPTURE(name);
    const fixtures::Case item("preprocess", name);
    const ImageSpec& spec = item.manifest.image;
    Preprocessor preprocessor(spec);
    const ImageView image = fixtures::view(item.at("image"));
    const Array& expected = item.at("expected");
    std::vector<std::uint8_t> made(expected.bytes.size(), 0xAA);
    REQUIRE(spec.shape(preprocessor.geometry(image.size).input) == expected.shape);
    preprocessor.run(image, made.data());
    const bool bytes = spec.dtype == DType::kUint8;
    const double limit = bytes ? 0.0 : spec.normalized_in_graph ? 1e-5 * 255 : 1e-5;
    const Difference difference = compare({made.data(), spec.dtype, expected.shape}, expected.view(), limit);
    INFO(difference.where);
    CHECK(difference.off <= (bytes ? difference.count / 1000 : 0));
    CHECK(difference.largest <= (bytes ? 1.0 : limit));

    // The same image with its bytes the other way round and rows further apart than they are long.
    const std::size_t stride = image.stride + 5;
    std::vector<std::uint8_t> turned(stride * static_cast<std::size_t>(image.size.height), 0x55);
    for (int y = 0; y < image.size.height; ++y) {
      for (int x = 0; x < image.size.width; ++x) {
        for (int c = 0; c < 3; ++c) {
          turned[static_cast<std::size_t>(y) * stride + static_cast<std::size_t>(3 * x + c)] =
              image.row(y)[3 * x + 2 - c];
        }
      }
    }
    std::vector<std::uint8_t> again(made.size());
    preprocessor.run({turned.data(), image.size, stride, ColorOrder::kBgr}, again.data());
    CHECK(again == made);
  }
}

TEST_CASE("images that a graph does not take are refused") {
  ImageSpec spec;
  spec.size = {32, 32};
  CHECK_THROWS_WITH_AS(Preprocessor(spec).geometry({0, 5}), doctest::Contains("empty"), Error);
  spec.resize = ResizeMode::kNone;
  CHECK_THROWS_WITH_AS(Preprocessor(spec).geometry({32, 33}), doctest::Contains("forbids resizing"), Error);
  CHECK(Preprocessor(spec).geometry({32, 32}).input == Size{32, 32});
}

TEST_CASE("one preprocessor serves images of changing sizes") {
  ImageSpec spec;
  spec.size = {16, 20};
  Preprocessor changing(spec);
  for (const Size size : {Size{40, 30}, Size{16, 20}, Size{5, 90}, Size{40, 30}}) {
    std::vector<std::uint8_t> pixels(size.pixels() * 3);
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 37 % 251);
    const ImageView image{pixels.data(), size, static_cast<std::size_t>(size.width) * 3, ColorOrder::kRgb};
    std::vector<float> ours(16 * 20 * 3), fresh(16 * 20 * 3);
    changing.run(image, ours.data());
    Preprocessor(spec).run(image, fresh.data());
    CHECK(ours == fresh);
  }
}

// Python's resize is OpenCV's without IPP, ours is our own: they must agree at every pair of sizes.
TEST_CASE("hundreds of pairs of sizes agree within the tolerance of the self test") {
  const auto arrays = read_npz(fixtures::root() + "/sizes/sizes.npz");
  const Array& targets = arrays.at("targets");
  int pairs = 0;
  std::vector<float> made;
  for (int source = 0; arrays.count("image." + std::to_string(source)) > 0; ++source) {
    const ImageView image = fixtures::view(arrays.at("image." + std::to_string(source)));
    for (std::int64_t target = 0; target < targets.shape[0]; ++target) {
      const std::string pair = std::to_string(source) + "." + std::to_string(target);
      CAPTURE(pair);
      ImageSpec spec;
      spec.size.height = static_cast<int>(targets.as<std::int64_t>()[2 * target]);
      spec.size.width = static_cast<int>(targets.as<std::int64_t>()[2 * target + 1]);
      spec.mean = {{0.485, 0.456, 0.406}};
      spec.std = {{0.229, 0.224, 0.225}};
      Preprocessor preprocessor(spec);
      made.resize(spec.size.pixels() * 3);
      preprocessor.run(image, made.data());
      const Array& places = arrays.at("places." + pair);
      const Array& expected = arrays.at("input." + pair);
      double largest = 0;
      for (std::int64_t i = 0; i < places.shape.count(); ++i) {
        const float ours = made[static_cast<std::size_t>(places.as<std::int32_t>()[i])];
        largest = std::max(largest, std::fabs(static_cast<double>(ours - expected.as<float>()[i])));
      }
      CHECK(largest <= kInputLimit * preprocessor.largest());
      ++pairs;
    }
  }
  CHECK(pairs == 300);
}
