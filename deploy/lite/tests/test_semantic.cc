#include <doctest/doctest.h>

#include <limits>
#include <map>

#include "compare.h"
#include "fixtures.h"
#include "mobileseg/error.h"
#include "semantic.h"

using namespace mobileseg;

TEST_CASE("labels equal the Python implementation's") {
  // One for all cases of a number of classes: what it keeps of one may not show in the next.
  std::map<std::size_t, SemanticPostprocessor> shared;
  for (const std::string& name : fixtures::cases("semantic")) {
    CAPTURE(name);
    const fixtures::Case item("semantic", name);
    const Geometry place = Preprocessor(item.manifest.image).geometry(item.size());
    const Array& expected = item.at("expected");
    std::vector<std::uint8_t> labels;
    for (int repeat = 0; repeat < 2; ++repeat) {
      const std::size_t classes = item.manifest.classes.size();
      shared.emplace(classes, classes)
          .first->second.run(item.manifest.outputs_of()[0], item.at("output").view(), place, &labels);
      const Difference difference =
          compare({labels.data(), DType::kUint8, expected.shape}, expected.view(), 0.0);
      INFO(difference.where);
      CHECK(difference.same);
    }
  }
}

TEST_CASE("outputs of another form are refused") {
  const Geometry place{{4, 4}, {4, 4}, {4, 4}};
  const float values[16] = {};
  std::vector<std::uint8_t> labels;
  OutputSpec spec;
  spec.name = "labels";
  spec.kind = kinds::kLabels;
  const TensorView floats{values, DType::kFloat32, {1, 4, 4}};
  CHECK_THROWS_AS(SemanticPostprocessor(1).run(spec, floats, place, &labels), Error);
  spec.kind = kinds::kLogits;
  CHECK_THROWS_AS(SemanticPostprocessor(1).run(spec, floats, place, &labels), Error);
  const TensorView empty{values, DType::kFloat32, {1, 2, 0, 4}};
  CHECK_THROWS_AS(SemanticPostprocessor(1).run(spec, empty, place, &labels), Error);
  const TensorView integers{values, DType::kInt32, {1, 1, 4, 4}};
  CHECK_THROWS_AS(SemanticPostprocessor(1).run(spec, integers, place, &labels), Error);
}

TEST_CASE("labels that are no class, and scores that are no numbers, are refused") {
  const Geometry place{{1, 4}, {1, 4}, {1, 4}};
  std::vector<std::uint8_t> labels;
  OutputSpec spec;
  spec.kind = kinds::kLabels;
  for (const std::int32_t wrong : {2, 77, 256, -1, std::numeric_limits<std::int32_t>::min()}) {
    CAPTURE(wrong);
    const std::int32_t values[4] = {0, 1, wrong, 0};
    CHECK_THROWS_WITH_AS(
        SemanticPostprocessor(2).run(spec, {values, DType::kInt32, {1, 1, 4}}, place, &labels),
        doctest::Contains("the manifest names 2 classes"), Error);
  }
  const std::int64_t huge[4] = {0, 1, std::int64_t{1} << 32, 0};
  CHECK_THROWS_AS(SemanticPostprocessor(2).run(spec, {huge, DType::kInt64, {1, 1, 4}}, place, &labels),
                  Error);
  const std::uint8_t bytes[4] = {0, 1, 2, 0};
  CHECK_THROWS_AS(SemanticPostprocessor(2).run(spec, {bytes, DType::kUint8, {1, 1, 4}}, place, &labels),
                  Error);
  spec.kind = kinds::kLogits;
  float scores[8] = {0, 1, 2, std::numeric_limits<float>::infinity(), 4, 5, 6, 7};
  const TensorView view{scores, DType::kFloat32, {1, 2, 1, 4}};
  SemanticPostprocessor(2).run(spec, view, place, &labels);
  CHECK(labels == std::vector<std::uint8_t>{1, 1, 1, 0});
  CHECK_THROWS_WITH_AS(SemanticPostprocessor(1).run(spec, view, place, &labels),
                       doctest::Contains("2 channels"), Error);
  for (float& score : scores) {
    const float before = score;
    score = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH_AS(SemanticPostprocessor(2).run(spec, view, place, &labels), doctest::Contains("NaN"),
                         Error);
    score = before;
  }
}

TEST_CASE("labels are preferred to scores") {
  std::vector<OutputSpec> outputs(2);
  outputs[0].kind = kinds::kLogits;
  outputs[1].kind = kinds::kLabels;
  CHECK(pick_output(outputs) == 1);
  outputs[1].kind = kinds::kProbabilities;
  CHECK(pick_output(outputs) == 1);
  outputs.resize(1);
  CHECK(pick_output(outputs) == 0);
  outputs[0].kind = "boxes";
  CHECK_THROWS_AS(pick_output(outputs), Error);
}
