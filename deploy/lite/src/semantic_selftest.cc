#include "semantic_selftest.h"

#include <cstdint>
#include <string>

#include "mobileseg/error.h"
#include "semantic.h"
#include "tolerances.h"

namespace mobileseg {
namespace {

// The best class of scores [1, K, h, w], of equal ones the lower.
Array best_classes(const TensorView& scores) {
  Array best;
  best.dtype = DType::kUint8;
  best.shape = {scores.shape[2], scores.shape[3]};
  const auto pixels = static_cast<std::size_t>(best.shape.count());
  best.bytes.assign(pixels, 0);
  const float* values = scores.as<float>();
  for (std::size_t i = 0; i < pixels; ++i) {
    for (std::int64_t k = 1; k < scores.shape[1]; ++k) {
      if (values[static_cast<std::size_t>(k) * pixels + i] > values[best.bytes[i] * pixels + i])
        best.bytes[i] = static_cast<std::uint8_t>(k);
    }
  }
  return best;
}

// Labels of the engine, but for pixels of which either class is right.
Difference compare_labels(const Golden& golden, int item, const TensorView& value, const Array& expected) {
  const Array& close = golden.at("close", item);
  const bool usable = close.shape.count() == expected.shape.count();
  return compare(value, expected.view(), 0.0, Subsample(), usable ? close.bytes.data() : nullptr);
}

}  // namespace

Difference compare_semantic_output(const Golden& golden, int item, const OutputSpec& spec,
                                   const TensorView& value, double* scale) {
  const Array& expected = golden.at("output", item, spec.name);
  if (spec.kind == kinds::kLabels) return compare_labels(golden, item, value, expected);
  *scale = golden.has("scale", item, spec.name) ? golden.scalar("scale", item, spec.name) : 1.0;
  Limit limit = kOutputLimit * *scale;
  if (spec.kind == kinds::kProbabilities && golden.has("scale", item, kinds::kLogits)) {
    limit.steepness = kSteepness * kOutputLimit * golden.scalar("scale", item, kinds::kLogits);
  }
  const Difference difference = compare(value, expected.view(), limit, golden.sample(item, false));
  if (!difference.same || !golden.has("argmax", item)) return difference;
  const bool scores = spec.kind != kFeatures && value.shape.rank() == 4 && value.dtype == DType::kFloat32;
  if (!scores || value.shape[1] < 1 || value.shape[1] > 255) return difference;
  Difference labels = compare_labels(golden, item, best_classes(value).view(), golden.at("argmax", item));
  if (labels.same) return difference;
  labels.where = "best class " + labels.where;
  return labels;
}

Check check_labels(const Manifest& manifest, const std::vector<OutputSpec>& outputs, const Golden& golden) {
  const OutputSpec& spec = outputs[pick_output(outputs)];
  Preprocessor preprocessor(manifest.image);
  SemanticPostprocessor postprocessor(manifest.classes.size());
  std::vector<std::uint8_t> labels;
  int replayed = 0;
  for (int item = 0; item < golden.items(); ++item) {
    const Array& output = golden.at("output", item, spec.name);
    if (spec.kind != kinds::kLabels && golden.scalar("stride", item) != 1) continue;
    const Geometry place = preprocessor.geometry(golden.image(item).size);
    postprocessor.run(spec, output.view(), place, &labels);
    const TensorView made{labels.data(), DType::kUint8, {place.image.height, place.image.width}};
    const Difference difference = compare(made, golden.at("labels", item).view(), 0.0);
    if (!difference.same) {
      return {"postprocess", Check::Status::kFailed,
              "image " + std::to_string(item) + ": " + std::to_string(difference.off) + " of " +
                  std::to_string(difference.count) + " labels differ, first " + difference.where};
    }
    ++replayed;
  }
  if (replayed == 0) return {"postprocess", Check::Status::kSkipped, "no output is stored whole"};
  return {"postprocess", Check::Status::kOk, "labels of " + std::to_string(replayed) + " images agree"};
}

Share share_of_labels(const Result& result, const Golden& golden, int item) {
  const std::vector<std::uint8_t>& labels = result.labels;
  const Array& expected = golden.at("labels", item);
  if (expected.dtype != DType::kUint8 || expected.bytes.size() != labels.size())
    throw Error(ErrorKind::kRuntime, "golden.npz holds labels of another size");
  Share share;
  for (std::size_t i = 0; i < labels.size(); ++i) share.equal += labels[i] == expected.bytes[i] ? 1 : 0;
  share.all = static_cast<double>(labels.size());
  return share;
}

}  // namespace mobileseg
