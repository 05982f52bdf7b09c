#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "fixtures.h"
#include "instance.h"
#include "mobileseg/error.h"
#include "mobileseg/output.h"

using namespace mobileseg;

namespace {

struct Loaded {
  explicit Loaded(const std::string& name)
      : item("instance", name),
        postprocessor(detection_of(item.manifest), item.manifest.classes.size(), read_anchors(item.manifest),
                      item.manifest.outputs_of(), item.manifest.image.size) {}

  std::vector<TensorView> values() const {
    std::vector<TensorView> views;
    for (const OutputSpec& spec : item.manifest.outputs_of()) views.push_back(item.at(spec.name).view());
    return views;
  }

  fixtures::Case item;
  InstancePostprocessor postprocessor;
};

bool stored_bit(const Array& masks, std::size_t instance, std::size_t pixel) {
  const std::uint8_t* row = masks.bytes.data() + instance * static_cast<std::size_t>(masks.shape[1]);
  return (row[pixel / 8] >> (7 - pixel % 8) & 1) != 0;
}

double overlap(const Result& result, std::size_t index, const Array& masks) {
  const Instance& instance = result.instances[index];
  std::vector<std::uint8_t> whole(result.size.pixels(), 0);
  for (int y = 0; y < instance.mask.size.height; ++y) {
    for (int x = 0; x < instance.mask.size.width; ++x) {
      whole[static_cast<std::size_t>((instance.mask.top + y) * result.size.width + instance.mask.left + x)] =
          result.mask(instance)[y * instance.mask.size.width + x];
    }
  }
  int shared = 0;
  int joined = 0;
  for (std::size_t pixel = 0; pixel < whole.size(); ++pixel) {
    const bool theirs = stored_bit(masks, index, pixel);
    shared += whole[pixel] != 0 && theirs ? 1 : 0;
    joined += whole[pixel] != 0 || theirs ? 1 : 0;
  }
  return joined == 0 ? 1.0 : static_cast<double>(shared) / joined;
}

void check_result(const Result& result, const fixtures::Case& item) {
  REQUIRE(static_cast<std::int64_t>(result.instances.size()) == item.at("scores").shape[0]);
  std::istringstream lines(std::string(item.at("rle").bytes.begin(), item.at("rle").bytes.end()));
  for (std::size_t i = 0; i < result.instances.size(); ++i) {
    CAPTURE(i);
    const Instance& instance = result.instances[i];
    CHECK(instance.label == static_cast<int>(item.at("classes").as<std::int64_t>()[i]));
    CHECK(instance.score == item.at("scores").as<float>()[i]);
    const float corners[4] = {instance.box.x1, instance.box.y1, instance.box.x2, instance.box.y2};
    for (std::size_t c = 0; c < 4; ++c)
      CHECK(std::fabs(corners[c] - item.at("boxes").as<float>()[4 * i + c]) <= 1e-3);
    const double iou = overlap(result, i, item.at("masks"));
    CHECK(iou >= 0.999);
    std::string line;
    std::getline(lines, line);
    if (iou == 1.0) CHECK(coco_rle(result, instance) == line);
  }
}

}  // namespace

TEST_CASE("instances equal the Python implementation's") {
  for (const std::string& name : fixtures::cases("instance")) {
    CAPTURE(name);
    Loaded loaded(name);
    Result result;
    for (int repeat = 0; repeat < 2; ++repeat) {
      loaded.postprocessor.run(loaded.values(), loaded.item.size(), &result);
      check_result(result, loaded.item);
    }
  }
}

TEST_CASE("a result is used again for frames with more and fewer instances") {
  Result result;
  for (const char* name : {"nothing", "fast", "small_image", "published", "nothing", "fast"}) {
    CAPTURE(name);
    Loaded loaded(name);
    loaded.postprocessor.run(loaded.values(), loaded.item.size(), &result);
    check_result(result, loaded.item);
  }
}

TEST_CASE("predictions that are no numbers are refused") {
  for (const char* output : {"loc", "conf"}) {
    CAPTURE(output);
    Loaded loaded("fast");
    Array& values = loaded.item.arrays.at(output);
    float* start = reinterpret_cast<float*>(values.bytes.data());
    std::fill(start, start + values.shape.count(), std::numeric_limits<float>::quiet_NaN());
    Result result;
    CHECK_THROWS_WITH_AS(loaded.postprocessor.run(loaded.values(), {10, 10}, &result),
                         doctest::Contains("NaN"), Error);
  }
}

TEST_CASE("answers that no runtime may use are refused, with the words that Python has, too") {
  for (const std::string& name : fixtures::cases("faults")) {
    CAPTURE(name);
    const fixtures::Case item("faults", name);
    InstancePostprocessor postprocessor(detection_of(item.manifest), item.manifest.classes.size(),
                                        read_anchors(item.manifest), item.manifest.outputs_of(), {64, 64});
    std::vector<TensorView> values;
    for (const OutputSpec& spec : item.manifest.outputs_of()) values.push_back(item.at(spec.name).view());
    const Array& stored = item.at("words");
    const std::string words(stored.bytes.begin(), stored.bytes.end() - 1);
    Result result;
    if (words.empty()) {
      postprocessor.run(values, {50, 60}, &result);
      CHECK(result.instances.size() == 9);
    } else {
      CHECK_THROWS_WITH_AS(postprocessor.run(values, {50, 60}, &result), doctest::Contains(words.c_str()),
                           Error);
    }
  }
}

TEST_CASE("boxes as large as floats go end at the image's border") {
  Loaded loaded("fast");
  Array& loc = loaded.item.arrays.at("loc");
  float* start = reinterpret_cast<float*>(loc.bytes.data());
  std::fill(start, start + loc.shape.count(), 1e30F);  // e to the power of it is infinite
  Result result;
  try {
    loaded.postprocessor.run(loaded.values(), {10, 12}, &result);
  } catch (const Error&) {
    return;  // infinity minus infinity is no number
  }
  for (const Instance& instance : result.instances) {
    CHECK(instance.mask.top + instance.mask.size.height <= 10);
    CHECK(instance.mask.left + instance.mask.size.width <= 12);
  }
}

TEST_CASE("outputs that do not fit each other are refused") {
  Loaded loaded("fast");
  Result result;
  const std::size_t count = loaded.values().size();
  for (std::size_t i = 0; i < count; ++i) {
    CAPTURE(i);
    std::vector<TensorView> values = loaded.values();
    values[i].shape = Shape{1, 3, 3};
    CHECK_THROWS_AS(loaded.postprocessor.run(values, {10, 10}, &result), Error);
    values = loaded.values();
    values[i].dtype = DType::kInt32;
    CHECK_THROWS_AS(loaded.postprocessor.run(values, {10, 10}, &result), Error);
  }
  std::vector<TensorView> none = loaded.values();  // no prototypes, and coefficients of none
  const std::vector<OutputSpec>& specs = loaded.item.manifest.outputs_of();
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const Shape& shape = none[i].shape;
    if (specs[i].name == "mask") none[i].shape = Shape{1, shape[1], 0};
    if (specs[i].name == "proto") none[i].shape = Shape{1, 0, shape[2], shape[3]};
  }
  CHECK_THROWS_WITH_AS(loaded.postprocessor.run(none, {10, 10}, &result), doctest::Contains("prototypes"),
                       Error);
  std::vector<OutputSpec> fewer = loaded.item.manifest.outputs_of();
  fewer.pop_back();
  CHECK_THROWS_WITH_AS(InstancePostprocessor(detection_of(loaded.item.manifest), 80,
                                             read_anchors(loaded.item.manifest), fewer, {138, 138}),
                       doctest::Contains("prototypes"), Error);
  CHECK_THROWS_WITH_AS(InstancePostprocessor(detection_of(loaded.item.manifest), 80, Array(),
                                             loaded.item.manifest.outputs_of(), {138, 138}),
                       doctest::Contains("anchors"), Error);
}

TEST_CASE("overlap of boxes") {
  CHECK(intersection_over_union({0, 0, 2, 2}, {1, 0, 3, 2}, 0) == doctest::Approx(1.0 / 3));
  CHECK(intersection_over_union({0, 0, 1, 1}, {2, 0, 3, 1}, 0) == 0);
  CHECK(intersection_over_union({1, 1, 1, 1}, {1, 1, 1, 1}, 0) == 0);
  CHECK(intersection_over_union({0, 0, 1, 1}, {1, 0, 2, 1}, 1) == doctest::Approx(2.0 / 6));
}
