#include "instance.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <utility>

#include "mobileseg/error.h"
#include "numbers.h"
#include "simd.h"

namespace mobileseg {
namespace {

// Masks of the first frames may grow up to this many bytes without a new allocation.
constexpr std::size_t kReservedMaskBytes = std::size_t{32} << 20;

std::size_t place_of(const std::vector<OutputSpec>& outputs, const char* kind, const char* what) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].kind == kind) return i;
  }
  throw Error(ErrorKind::kRuntime, std::string("the manifest names no output with ") + what,
              "export the folder again");
}

std::string text_of(float value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

float highest(const float* values, std::size_t count) {
  float best = values[0];
  std::size_t i = 0;
  if (count >= 4) {
    simd::F4 four = simd::load(values);
    for (i = 4; i + 4 <= count; i += 4) four = simd::max(four, simd::load(values + i));
    float lanes[4];
    simd::store(lanes, four);
    best = std::max(std::max(lanes[0], lanes[1]), std::max(lanes[2], lanes[3]));
  }
  for (; i < count; ++i) best = std::max(best, values[i]);
  return best;
}

}  // namespace

InstancePostprocessor::InstancePostprocessor(const DetectionSpec& spec, std::size_t classes, Array anchors,
                                             const std::vector<OutputSpec>& outputs, Size input)
    : spec_(spec), classes_(classes), anchors_(std::move(anchors)), input_(input) {
  for (const OutputSpec& output : outputs) suppressed_ = suppressed_ || output.kind == kinds::kDetections;
  mask_ = place_of(outputs, kinds::kCoefficients, "coefficients");
  proto_ = place_of(outputs, kinds::kPrototypes, "prototypes");
  suppression_options_.max_detections = static_cast<std::size_t>(spec.max_detections);
  found_.reserve(suppression_options_.max_detections);
  if (suppressed_) {
    detections_ = place_of(outputs, kinds::kDetections, "detections");
    return;
  }
  loc_ = place_of(outputs, kinds::kBoxes, "boxes");
  conf_ = place_of(outputs, kinds::kScores, "scores");
  if (anchors_.dtype != DType::kFloat32 || anchors_.shape.rank() != 2 || anchors_.shape[1] != 4) {
    throw Error(ErrorKind::kRuntime,
                "the anchors are " + std::string(name_of(anchors_.dtype)) + " " + anchors_.shape.str() +
                    ", expected float32 [P, 4]",
                "export the folder again");
  }
  suppression_options_.kind = spec.nms;
  suppression_options_.iou_threshold = spec.iou_threshold;
  suppression_options_.top_k = static_cast<std::size_t>(spec.top_k);
  suppression_options_.inclusive = spec.nms == NmsKind::kTraditional && spec.inclusive_pixels;
  const auto count = static_cast<std::size_t>(anchors_.shape[0]);
  chosen_.reserve(count);
  boxes_.reserve(count);
  if (suppression_options_.inclusive) scaled_.reserve(count);
}

void InstancePostprocessor::check(const std::vector<TensorView>& values) const {
  const Shape& loc = values[loc_].shape;
  const Shape& conf = values[conf_].shape;
  const Shape& mask = values[mask_].shape;
  const Shape& proto = values[proto_].shape;
  const std::int64_t count = anchors_.shape[0];
  bool fits = loc == Shape{1, count, 4} && proto.rank() == 4 && proto[0] == 1 &&
              conf == Shape{1, count, static_cast<std::int64_t>(classes_) + 1} &&
              mask == Shape{1, count, proto[1]} && proto[1] > 0 && proto[2] > 0 && proto[3] > 0;
  for (const std::size_t place : {loc_, conf_, mask_, proto_})
    fits = fits && values[place].dtype == DType::kFloat32;
  if (fits) return;
  throw Error(ErrorKind::kRuntime,
              "predictions do not fit the anchors " + anchors_.shape.str() + " and " +
                  std::to_string(classes_) + " classes: boxes " + loc.str() + ", scores " + conf.str() +
                  ", coefficients " + mask.str() + ", prototypes " + proto.str() +
                  "; expected float32 [1, P, 4], [1, P, classes + 1], [1, P, k] and [1, k, h, w]",
              "export the folder again");
}

Box InstancePostprocessor::decoded(const float* loc, std::size_t anchor) const {
  const float* prior = anchors_.as<float>() + 4 * anchor;
  const float* offset = loc + 4 * anchor;
  const float x = prior[0] + offset[0] * spec_.variances[0] * prior[2];
  const float y = prior[1] + offset[1] * spec_.variances[0] * prior[3];
  const float half_width = prior[2] * std::exp(offset[2] * spec_.variances[1]) / 2.0F;
  const float half_height = prior[3] * std::exp(offset[3] * spec_.variances[1]) / 2.0F;
  return {x - half_width, y - half_height, x + half_width, y + half_height};
}

void InstancePostprocessor::add_candidates(const float* scores, std::size_t columns, std::uint32_t box) {
  std::vector<Candidate>& candidates = suppression_.candidates();
  if (spec_.nms == NmsKind::kCrossClass) {  // every box stands for its best class
    const auto best = static_cast<std::uint32_t>(std::max_element(scores + 1, scores + columns) - scores);
    candidates.push_back({scores[best], box, best - 1});
    return;
  }
  // A score below the threshold suppresses only lower ones, so it may as well be left out beforehand.
  const bool all = spec_.nms == NmsKind::kFast && !spec_.threshold_after_nms;
  for (std::uint32_t k = 1; k < columns; ++k) {
    if (all || scores[k] > spec_.score_threshold) candidates.push_back({scores[k], box, k - 1});
  }
}

// The anchors whose best class is above the threshold, their boxes, and what competes in the suppression.
void InstancePostprocessor::collect(const float* scores, const float* loc, std::size_t columns) {
  chosen_.clear();
  boxes_.clear();
  suppression_.candidates().clear();
  const auto count = static_cast<std::size_t>(anchors_.shape[0]);
  suppression_.reserve(count * (columns - 1), columns);
  for (std::size_t anchor = 0; anchor < count; ++anchor) {
    const float* row = scores + anchor * columns;
    require_no_nan("the scores", row, columns);
    if (columns == 1 || !(highest(row + 1, columns - 1) > spec_.score_threshold)) continue;
    const Box box = decoded(loc, anchor);
    const float corners[4] = {box.x1, box.y1, box.x2, box.y2};
    require_no_nan("the boxes", corners, 4);
    add_candidates(row, columns, static_cast<std::uint32_t>(boxes_.size()));
    chosen_.push_back(static_cast<std::uint32_t>(anchor));
    boxes_.push_back(box);
  }
}

// Corners ordered, cut to the image.
Box InstancePostprocessor::in_pixels(const Box& box, Size image) const {
  const auto width = static_cast<float>(image.width);
  const auto height = static_cast<float>(image.height);
  const auto inside = [this](float value, float limit) {
    const float cut = std::min(std::max(value, 0.0F), limit);
    return spec_.truncate_boxes ? std::floor(cut) : cut;
  };
  const float x1 = box.x1 * width, x2 = box.x2 * width;
  const float y1 = box.y1 * height, y2 = box.y2 * height;
  return {inside(std::min(x1, x2), width), inside(std::min(y1, y2), height), inside(std::max(x1, x2), width),
          inside(std::max(y1, y2), height)};
}

void InstancePostprocessor::find(const std::vector<TensorView>& values) {
  check(values);
  const auto columns = static_cast<std::size_t>(values[conf_].shape[2]);
  collect(values[conf_].as<float>(), values[loc_].as<float>(), columns);
  const std::vector<Box>* competing = &boxes_;
  if (suppression_options_.inclusive) {
    const auto width = static_cast<float>(input_.width);
    const auto height = static_cast<float>(input_.height);
    scaled_.clear();
    for (const Box& box : boxes_) {
      scaled_.push_back({box.x1 * width, box.y1 * height, box.x2 * width, box.y2 * height});
    }
    competing = &scaled_;
  }
  for (const Candidate& kept : suppression_.run(*competing, columns - 1, suppression_options_)) {
    found_.push_back({boxes_[kept.box], kept.score, static_cast<int>(kept.label), chosen_[kept.box]});
  }
}

void InstancePostprocessor::find_in_detections(const std::vector<TensorView>& values) {
  const TensorView& rows = values[detections_];
  const Shape& mask = values[mask_].shape;
  const Shape& proto = values[proto_].shape;
  const int batch = rows.shape.rank() == 3 ? 1 : 0;  // an axis of length 1 may come first
  const bool fits = rows.dtype == DType::kFloat32 && values[mask_].dtype == DType::kFloat32 &&
                    values[proto_].dtype == DType::kFloat32 && (batch == 0 || rows.shape[0] == 1) &&
                    rows.shape.rank() == 2 + batch && rows.shape[1 + batch] == 6 && proto.rank() == 4 &&
                    proto[1] > 0 && proto[2] > 0 && proto[3] > 0 && mask.rank() >= 2 && proto[0] == 1 &&
                    mask[mask.rank() - 1] == proto[1] && mask.count() == rows.shape[batch] * proto[1];
  if (!fits) {
    throw Error(ErrorKind::kRuntime,
                "the graph returned detections " + rows.shape.str() + ", coefficients " + mask.str() +
                    " and prototypes " + proto.str() + ", expected [M, 6], [M, k] and [1, k, h, w]",
                "export the folder again");
  }
  const float* row = rows.as<float>();
  const auto count = static_cast<std::size_t>(rows.shape[batch]);
  std::vector<Candidate>& order = suppression_.candidates();
  order.clear();
  order.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const float label = row[6 * i];
    require_no_nan("the detections", &label, 1);
    if (label < 0) continue;  // padding
    require_no_nan("the detections", row + 6 * i, 6);
    if (label >= static_cast<float>(classes_)) {
      throw Error(ErrorKind::kRuntime,
                  "the graph returned class " + text_of(label) + ", the manifest names " +
                      std::to_string(classes_) + " classes",
                  "export the folder again");
    }
    order.push_back({row[6 * i + 1], static_cast<std::uint32_t>(i), 0});
  }
  std::sort(order.begin(), order.end(), [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.box < b.box;
  });
  if (order.size() > suppression_options_.max_detections) order.resize(suppression_options_.max_detections);
  for (const Candidate& kept : order) {
    const float* values_of_row = row + 6 * static_cast<std::size_t>(kept.box);
    found_.push_back({{values_of_row[2], values_of_row[3], values_of_row[4], values_of_row[5]},
                      kept.score,
                      static_cast<int>(values_of_row[0]),
                      kept.box});
  }
}

void InstancePostprocessor::run(const std::vector<TensorView>& values, Size image, Result* result) {
  found_.clear();
  if (suppressed_) {
    find_in_detections(values);
  } else {
    find(values);
  }
  const Shape& proto = values[proto_].shape;
  const auto kinds = static_cast<std::size_t>(proto[1]);
  const Size grid{static_cast<int>(proto[2]), static_cast<int>(proto[3])};
  require_finite("the prototypes", values[proto_].as<float>(), static_cast<std::size_t>(proto.count()));
  for (const Found& found : found_) {
    require_finite("the coefficients", values[mask_].as<float>() + found.row * kinds, kinds);
  }
  masks_.start(values[proto_].as<float>(), static_cast<int>(kinds), grid, image);
  result->size = image;
  result->instances.reserve(suppression_options_.max_detections);
  result->instances.clear();
  std::size_t bytes = 0;
  for (const Found& found : found_) {
    Instance instance;
    instance.box = in_pixels(found.box, image);
    instance.score = found.score;
    instance.label = found.label;
    instance.mask = masks_.region(found.box);
    instance.mask.offset = bytes;
    bytes += instance.mask.size.pixels();
    result->instances.push_back(instance);
  }
  const std::size_t most = suppression_options_.max_detections * image.pixels();
  result->mask_bytes.reserve(std::min(most, kReservedMaskBytes));
  if (result->mask_bytes.size() < bytes)
    result->mask_bytes.resize(bytes);  // never shrunk: growing clears memory
  for (std::size_t i = 0; i < found_.size(); ++i) {
    const MaskRegion& region = result->instances[i].mask;
    if (region.size.pixels() == 0) continue;
    const float* coefficients = values[mask_].as<float>() + found_[i].row * kinds;
    masks_.draw(coefficients, found_[i].box, region, spec_.mask_threshold,
                result->mask_bytes.data() + region.offset);
  }
}

Array read_anchors(const Manifest& manifest) {
  const std::string& anchors = detection_of(manifest).anchors;
  return anchors.empty() ? Array() : read_npy(manifest.verified_path(anchors));
}

}  // namespace mobileseg
