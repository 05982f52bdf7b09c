#include "semantic_selftest.h"

#include <cstdint>
#include <string>

#include "mobileseg/error.h"
#include "semantic.h"
#include "tolerances.h"

namespace mobileseg {
namespace {

// The best class of scores [1, K, h, w], of equal ones the lower, at the size that the output is meant to
// have.
Array best_classes(const OutputSpec& spec, const TensorView& scores) {
  const Size source{static_cast<int>(scores.shape[2]), static_cast<int>(scores.shape[3])};
  const Size own = spec.upsample != Size{} ? spec.upsample : source;
  Array best;
  best.dtype = DType::kUint8;
  best.shape = {own.height, own.width};
  best.bytes.assign(own.pixels(), 0);
  ScoreLabels().run(scores.as<float>(), static_cast<int>(scores.shape[1]), source, own, own, own,
                    best.bytes.data());
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
  const bool entire = expected.shape == value.shape;  // the ends of decoders are small
  const Difference difference =
      compare(value, expected.view(), limit, entire ? Subsample() : golden.sample(item, false));
  if (!difference.same || !golden.has("argmax", item)) return difference;
  const bool scores = spec.kind != kFeatures && value.shape.rank() == 4 && value.dtype == DType::kFloat32;
  if (!scores || value.shape[1] < 1 || value.shape[1] > 255) return difference;
  Difference labels =
      compare_labels(golden, item, best_classes(spec, value).view(), golden.at("argmax", item));
  if (labels.same) return difference;
  labels.where = "best class " + labels.where;
  return labels;
}

// Pixels of the image where the two best scores are nearly equal, null when the reference does not say which.
const std::uint8_t* excused(const Golden& golden, int item, Size size, std::vector<std::uint8_t>* target) {
  const Array& close = golden.at("close", item);
  if (close.shape.rank() != 2) return nullptr;
  NearestTaps rows, columns;
  rows.set(static_cast<int>(close.shape[0]), size.height);
  columns.set(static_cast<int>(close.shape[1]), size.width);
  target->clear();
  for (const std::int32_t y : rows.index) {
    for (const std::int32_t x : columns.index)
      target->push_back(close.bytes[static_cast<std::size_t>(y * close.shape[1] + x)]);
  }
  return target->data();
}

Check check_labels(const Manifest& manifest, const std::vector<OutputSpec>& outputs, const Golden& golden) {
  const OutputSpec& spec = outputs[pick_output(outputs)];
  const bool early = spec.upsample != Size{};
  Preprocessor preprocessor(manifest.image);
  SemanticPostprocessor postprocessor(manifest.classes.size());
  std::vector<std::uint8_t> labels, close;
  int replayed = 0;
  for (int item = 0; item < golden.items(); ++item) {
    const Array& output = golden.at("output", item, spec.name);
    if (early ? output.shape != spec.shape
              : spec.kind != kinds::kLabels && golden.scalar("stride", item) != 1)
      continue;  // stored in part
    const Geometry place = preprocessor.geometry(golden.image(item).size);
    postprocessor.run(spec, output.view(), place, &labels);
    const TensorView made{labels.data(), DType::kUint8, {place.image.height, place.image.width}};
    const std::uint8_t* either = early ? excused(golden, item, place.image, &close) : nullptr;
    const Difference difference = compare(made, golden.at("labels", item).view(), 0.0, Subsample(), either);
    // Probabilities of another size than the image's were mixed before their close ones were known.
    const bool mixed = early && spec.resize != OutputResize::kLabelsNearest && place.image != place.input;
    const double allowed = mixed ? kRoundedShare * static_cast<double>(difference.count) : 0.0;
    if (!difference.same && static_cast<double>(difference.off) > allowed) {
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
