#include <doctest/doctest.h>

#include "compare.h"
#include "fixtures.h"
#include "mobileseg/error.h"
#include "semantic.h"

using namespace mobileseg;

TEST_CASE("labels equal the Python implementation's") {
  SemanticPostprocessor shared;  // used for all cases: what it keeps of one may not show in the next
  for (const std::string& name : fixtures::cases("semantic")) {
    CAPTURE(name);
    const fixtures::Case item("semantic", name);
    const Geometry place = Preprocessor(item.manifest.input).geometry(item.size());
    const Array& expected = item.at("expected");
    std::vector<std::uint8_t> labels;
    for (int repeat = 0; repeat < 2; ++repeat) {
      shared.run(item.manifest.outputs[0], item.at("output").view(), place, &labels);
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
  const TensorView floats{values, DType::kFloat32, {1, 4, 4}};
  CHECK_THROWS_AS(SemanticPostprocessor().run(spec, floats, place, &labels), Error);
  spec.kind = OutputKind::kLogits;
  CHECK_THROWS_AS(SemanticPostprocessor().run(spec, floats, place, &labels), Error);
  const TensorView empty{values, DType::kFloat32, {1, 2, 0, 4}};
  CHECK_THROWS_AS(SemanticPostprocessor().run(spec, empty, place, &labels), Error);
  const TensorView integers{values, DType::kInt32, {1, 1, 4, 4}};
  CHECK_THROWS_AS(SemanticPostprocessor().run(spec, integers, place, &labels), Error);
}

TEST_CASE("labels are preferred to scores") {
  std::vector<OutputSpec> outputs(2);
  outputs[0].kind = OutputKind::kLogits;
  outputs[1].kind = OutputKind::kLabels;
  CHECK(pick_output(outputs) == 1);
  outputs[1].kind = OutputKind::kProbabilities;
  CHECK(pick_output(outputs) == 1);
  outputs.resize(1);
  CHECK(pick_output(outputs) == 0);
  outputs[0].kind = OutputKind::kBoxes;
  CHECK_THROWS_AS(pick_output(outputs), Error);
}
