#include "instance_selftest.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "instance.h"
#include "mobileseg/error.h"
#include "nms.h"
#include "tolerances.h"

namespace mobileseg {
namespace {

constexpr float kBoxLimit = 1e-3F;    // pixels
constexpr float kOverlap = 0.5F;      // boxes of one object
constexpr double kMaskLimit = 0.999;  // intersection over union

bool per_anchor(const std::string& kind) {
  return kind == kinds::kBoxes || kind == kinds::kScores || kind == kinds::kCoefficients;
}

// The rows of [1, P, columns] at some anchors.
Array gathered(const TensorView& value, const Array& rows) {
  Array result;
  result.dtype = value.dtype;
  result.shape = {1, rows.shape.count(), value.shape[2]};
  const std::size_t row_bytes = static_cast<std::size_t>(value.shape[2]) * size_of(value.dtype);
  for (std::int64_t i = 0; i < rows.shape.count(); ++i) {
    const auto row = static_cast<std::int64_t>(value_at(rows.view(), i));
    if (row < 0 || row >= value.shape[1])
      throw Error(ErrorKind::kRuntime, "golden.npz names an anchor that is not there");
    const auto* start =
        static_cast<const std::uint8_t*>(value.data) + static_cast<std::size_t>(row) * row_bytes;
    result.bytes.insert(result.bytes.end(), start, start + row_bytes);
  }
  return result;
}

// The inverse: all anchors, those that are not kept being background.
Array scattered(const Array& kept, const Array& rows, std::int64_t anchors, bool scores) {
  Array result;
  result.shape = {1, anchors, kept.shape[2]};
  const auto columns = static_cast<std::size_t>(kept.shape[2]);
  result.bytes.assign(static_cast<std::size_t>(anchors) * columns * sizeof(float), 0);
  auto* values = reinterpret_cast<float*>(result.bytes.data());
  for (std::size_t i = 0; scores && i < static_cast<std::size_t>(anchors); ++i) values[i * columns] = 1.0F;
  for (std::int64_t i = 0; i < rows.shape.count(); ++i) {
    const auto row = static_cast<std::int64_t>(value_at(rows.view(), i));
    if (row < 0 || row >= anchors)
      throw Error(ErrorKind::kRuntime, "golden.npz names an anchor that is not there");
    std::memcpy(values + static_cast<std::size_t>(row) * columns,
                kept.as<float>() + static_cast<std::size_t>(i) * columns, columns * sizeof(float));
  }
  return result;
}

// Intersection over union of a mask with one stored as a row of bits, the first pixel being the highest bit.
double overlap(const Result& result, const Instance& instance, const std::uint8_t* bits) {
  std::int64_t shared = 0;
  std::int64_t theirs = 0;
  std::int64_t ours = 0;
  const auto stored = [&](std::size_t pixel) { return (bits[pixel / 8] >> (7 - pixel % 8) & 1) != 0; };
  for (std::size_t pixel = 0; pixel < result.size.pixels(); ++pixel) theirs += stored(pixel) ? 1 : 0;
  const std::uint8_t* mask = result.mask(instance);
  for (int y = 0; y < instance.mask.size.height; ++y) {
    for (int x = 0; x < instance.mask.size.width; ++x) {
      if (*mask++ == 0) continue;
      ++ours;
      const std::size_t pixel =
          static_cast<std::size_t>(instance.mask.top + y) * static_cast<std::size_t>(result.size.width) +
          static_cast<std::size_t>(instance.mask.left + x);
      shared += stored(pixel) ? 1 : 0;
    }
  }
  const std::int64_t joined = ours + theirs - shared;
  return joined == 0 ? 1.0 : static_cast<double>(shared) / static_cast<double>(joined);
}

// What is wrong with a result, '' when nothing is.
std::string fault_of(const Result& result, const Golden& golden, int item) {
  const Array& boxes = golden.at("result", item, "boxes");
  const Array& classes = golden.at("result", item, "classes");
  const Array& masks = golden.at("result", item, "masks");
  const std::int64_t count = classes.shape.count();
  if (boxes.dtype != DType::kFloat32 || boxes.shape != Shape{count, 4} || masks.dtype != DType::kUint8 ||
      masks.shape.count() != count * static_cast<std::int64_t>((result.size.pixels() + 7) / 8)) {
    throw Error(ErrorKind::kRuntime, "golden.npz holds instances that do not fit each other");
  }
  if (static_cast<std::int64_t>(result.instances.size()) != count) {
    return std::to_string(result.instances.size()) + " instances instead of " + std::to_string(count);
  }
  for (std::size_t i = 0; i < result.instances.size(); ++i) {
    const Instance& instance = result.instances[i];
    const std::string which = "instance " + std::to_string(i) + ": ";
    if (instance.label != static_cast<int>(value_at(classes.view(), static_cast<std::int64_t>(i)))) {
      return which + "another class";
    }
    const float corners[4] = {instance.box.x1, instance.box.y1, instance.box.x2, instance.box.y2};
    for (std::size_t c = 0; c < 4; ++c) {
      const float expected = boxes.as<float>()[4 * i + c];
      if (!(std::fabs(corners[c] - expected) <= kBoxLimit)) {
        return which + "corner " + std::to_string(c) + " of the box is " + std::to_string(corners[c]) +
               " instead of " + std::to_string(expected);
      }
    }
    const double iou =
        overlap(result, instance, masks.as<std::uint8_t>() + i * ((result.size.pixels() + 7) / 8));
    if (!(iou >= kMaskLimit))
      return which + "the mask's overlap with the stored one is " + std::to_string(iou);
  }
  return "";
}

}  // namespace

Difference compare_instance_output(const Golden& golden, int item, const OutputSpec& spec,
                                   const TensorView& value, double* scale) {
  const Array& expected = golden.at("output", item, spec.name);
  *scale = golden.has("scale", item, spec.name) ? golden.scalar("scale", item, spec.name) : 1.0;
  if (spec.kind == kinds::kPrototypes) {
    const int stride = static_cast<int>(golden.scalar("proto_stride", item));
    return compare(value, expected.view(), kOutputLimit * *scale, {std::max(1, stride), 2, 3});
  }
  if (per_anchor(spec.kind) && value.shape.rank() == 3 && golden.has("rows", item)) {
    const Array part = gathered(value, golden.at("rows", item));
    return compare(part.view(), expected.view(), kOutputLimit * *scale);
  }
  return compare(value, expected.view(), kOutputLimit * *scale);
}

Check check_instances(const Manifest& manifest, const std::vector<OutputSpec>& outputs,
                      const Golden& golden) {
  Array anchors = read_anchors(manifest);
  const std::int64_t anchor_count = anchors.shape.rank() == 2 ? anchors.shape[0] : 0;
  InstancePostprocessor postprocessor(detection_of(manifest), manifest.classes.size(), std::move(anchors),
                                      outputs, manifest.image.size);
  int replayed = 0;
  Result result;
  for (int item = 0; item < golden.items(); ++item) {
    const bool rows = golden.has("rows", item);
    if (golden.scalar("proto_stride", item) != 1 || (rows && golden.scalar("complete", item) == 0)) continue;
    std::vector<Array> whole;
    std::vector<TensorView> values;
    for (const OutputSpec& spec : outputs) {
      const Array& kept = golden.at("output", item, spec.name);
      if (rows && per_anchor(spec.kind) && kept.dtype == DType::kFloat32 && kept.shape.rank() == 3) {
        whole.push_back(scattered(kept, golden.at("rows", item), anchor_count, spec.kind == kinds::kScores));
      } else {
        whole.push_back(kept);
      }
    }
    for (const Array& array : whole) values.push_back(array.view());
    postprocessor.run(values, golden.image(item).size, &result);
    const std::string fault = fault_of(result, golden, item);
    if (!fault.empty()) {
      return {"postprocess", Check::Status::kFailed, "image " + std::to_string(item) + ": " + fault};
    }
    ++replayed;
  }
  if (replayed == 0)
    return {"postprocess", Check::Status::kSkipped, "no image is stored with all its outputs"};
  return {"postprocess", Check::Status::kOk, "instances of " + std::to_string(replayed) + " images agree"};
}

// Both lists fall in score; the best are paired first.
Share share_of_instances(const Result& result, const Golden& golden, int item) {
  const Array& boxes = golden.at("result", item, "boxes");
  const Array& classes = golden.at("result", item, "classes");
  const Array& scores = golden.at("result", item, "scores");
  const std::int64_t count = classes.shape.count();
  if (boxes.dtype != DType::kFloat32 || boxes.shape != Shape{count, 4} || scores.shape.count() != count)
    throw Error(ErrorKind::kRuntime, "golden.npz holds instances that do not fit each other");
  Share share;
  std::vector<bool> used(result.instances.size(), false);
  for (const Instance& instance : result.instances) share.all += static_cast<double>(instance.score);
  for (std::int64_t i = 0; i < count; ++i) {
    const double score = value_at(scores.view(), i);
    const int label = static_cast<int>(value_at(classes.view(), i));
    share.all += score;
    const float* corners = boxes.as<float>() + 4 * i;
    const Box expected{corners[0], corners[1], corners[2], corners[3]};
    std::size_t best = used.size();
    float most = kOverlap;
    for (std::size_t j = 0; j < used.size(); ++j) {
      if (used[j] || result.instances[j].label != label) continue;
      const float both = intersection_over_union(result.instances[j].box, expected, 0.0F);
      if (both > most || (both == most && best == used.size())) {
        most = both;
        best = j;
      }
    }
    if (best == used.size()) continue;
    used[best] = true;
    share.equal += score + static_cast<double>(result.instances[best].score);
  }
  return share;
}

}  // namespace mobileseg
