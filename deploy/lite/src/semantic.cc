#include "semantic.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "mobileseg/error.h"
#include "numbers.h"

namespace mobileseg {
namespace {

constexpr std::int64_t kMaxSide = 16384;

[[noreturn]] void refuse(const OutputSpec& spec, const TensorView& output) {
  throw Error(ErrorKind::kRuntime,
              "output '" + spec.name + "' is " + name_of(output.dtype) + " " + output.shape.str() +
                  ", which is not what its kind in the manifest means",
              "export the folder again");
}

}  // namespace

template <typename T>
void SemanticPostprocessor::to_bytes(const OutputSpec& spec, const T* values) {
  for (std::size_t i = 0; i < small_.size(); ++i) {
    const auto label = static_cast<std::int64_t>(values[i]);
    if (label < 0 || label >= classes_) {
      throw Error(ErrorKind::kRuntime,
                  "output '" + spec.name + "' holds the label " + std::to_string(label) +
                      ", the manifest names " + std::to_string(classes_) + " classes",
                  "export the folder again");
    }
    small_[i] = static_cast<std::uint8_t>(label);
  }
}

void SemanticPostprocessor::run(const OutputSpec& spec, const TensorView& output, const Geometry& place,
                                std::vector<std::uint8_t>* labels, LabelFilter* filter) {
  labels->resize(place.image.pixels());
  const Shape& shape = output.shape;
  const bool padded = place.content != place.input;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] < 1 || shape[axis] > kMaxSide || shape[0] != 1) refuse(spec, output);
  }
  if (spec.kind != kinds::kLabels) {
    if (shape.rank() != 4 || output.dtype != DType::kFloat32) refuse(spec, output);
    if (shape[1] != classes_) {
      throw Error(ErrorKind::kRuntime,
                  "output '" + spec.name + "' has " + std::to_string(shape[1]) +
                      " channels, the manifest names " + std::to_string(classes_) + " classes",
                  "export the folder again");
    }
    require_no_nan("the scores", output.as<float>(), static_cast<std::size_t>(shape.count()));
    from_values(spec, output, place, labels, filter);
    return;
  }
  if (shape.rank() != 3) refuse(spec, output);
  const Size stored{static_cast<int>(shape[1]), static_cast<int>(shape[2])};
  if (padded && stored != place.input) refuse(spec, output);
  small_.resize(stored.pixels());
  if (output.dtype == DType::kInt32) {
    to_bytes(spec, output.as<std::int32_t>());
  } else if (output.dtype == DType::kInt64) {
    to_bytes(spec, output.as<std::int64_t>());
  } else if (output.dtype == DType::kUint8) {
    to_bytes(spec, output.as<std::uint8_t>());
  } else {
    refuse(spec, output);
  }
  nearest(small_.data(), stored, padded ? place.content : stored, place.image, labels->data());
}

void SemanticPostprocessor::from_values(const OutputSpec& spec, const TensorView& output,
                                        const Geometry& place, std::vector<std::uint8_t>* labels,
                                        LabelFilter* filter) {
  const bool padded = place.content != place.input;
  const auto classes = static_cast<int>(output.shape[1]);
  const float* scores = output.as<float>();
  Size source{static_cast<int>(output.shape[2]), static_cast<int>(output.shape[3])};
  const Size own = spec.upsample != Size{} ? spec.upsample : source;
  // An image of the size of the scores has the same labels by logits and by probabilities.
  const bool whole = filter == nullptr && place.image == place.input && own == place.input;
  const bool labels_here = spec.resize == OutputResize::kLabelsNearest || whole;
  if (own != source && (filter != nullptr || !labels_here)) {
    resize(scores, classes, source, own, own, &upsampled_);
    scores = upsampled_.data();
    source = own;
  }
  if (filter != nullptr || (!labels_here && spec.resize == OutputResize::kProbabilitiesBilinear)) {
    to_probabilities(spec, scores, classes, source);
    scores = probabilities_.data();
  }
  if (filter != nullptr) {
    filter->smooth(static_cast<std::size_t>(classes), source, place.content, place.input,
                   probabilities_.data());
  }
  if (labels_here) {
    if (padded && own != place.input) refuse(spec, output);
    score_labels_.run(scores, classes, source, own, padded ? place.content : own, place.image,
                      labels->data());
    return;
  }
  // Padding comes off at the size at which it was put on; a stretched image goes straight to its own size.
  if (padded && place.content != place.image) {
    resize(scores, classes, source, place.input, place.content, &content_);
    scores = content_.data();
    source = place.content;
  }
  const bool in_one = padded && place.content == place.image;
  score_labels_.run(scores, classes, source, in_one ? place.input : place.image, place.image, place.image,
                    labels->data());
}

void SemanticPostprocessor::to_probabilities(const OutputSpec& spec, const float* scores, int classes,
                                             Size size) {
  const std::size_t pixels = size.pixels(), count = static_cast<std::size_t>(classes) * pixels;
  probabilities_.assign(scores, scores + count);
  if (spec.kind == kinds::kProbabilities) return;
  float* const first = probabilities_.data();
  for (std::size_t i = 0; i < pixels; ++i) {
    float highest = first[i];
    for (std::size_t k = i + pixels; k < count; k += pixels) highest = std::max(highest, first[k]);
    float sum = 0;
    for (std::size_t k = i; k < count; k += pixels) sum += first[k] = std::exp(first[k] - highest);
    for (std::size_t k = i; k < count; k += pixels) first[k] /= sum;
  }
}

void SemanticPostprocessor::resize(const float* scores, int classes, Size source, Size size, Size content,
                                   std::vector<float>* target) {
  vertical_.set(source.height, size.height);
  horizontal_.set(source.width, size.width);
  target->resize(static_cast<std::size_t>(classes) * content.pixels());
  const auto width = static_cast<std::size_t>(size.width);
  for (WideRows& rows : wide_) {
    rows.values.resize(static_cast<std::size_t>(classes) * width);
    rows.y = -1;
  }
  for (int y = 0; y < content.height; ++y) {
    const auto at = static_cast<std::size_t>(y);
    const float* above = wide_rows(scores, classes, vertical_.low[at], source);
    const float* below = wide_rows(scores, classes, vertical_.high[at], source);
    for (int k = 0; k < classes; ++k) {
      const std::size_t start = static_cast<std::size_t>(k) * width;
      float* row = target->data() + static_cast<std::size_t>(k) * content.pixels() +
                   at * static_cast<std::size_t>(content.width);
      blend_rows(above + start, below + start, vertical_.weight[at], content.width, row);
    }
  }
}

const float* SemanticPostprocessor::wide_rows(const float* scores, int classes, int y, Size source) {
  WideRows& rows = wide_[static_cast<std::size_t>(y) % 2];  // two neighbours never share a place
  const auto width = static_cast<std::size_t>(horizontal_.target());
  if (rows.y != y) {
    for (int k = 0; k < classes; ++k) {
      const float* row = scores + static_cast<std::size_t>(k) * source.pixels() +
                         static_cast<std::size_t>(y) * static_cast<std::size_t>(source.width);
      float* target = rows.values.data() + static_cast<std::size_t>(k) * width;
      if (source.width == horizontal_.target()) {
        std::memcpy(target, row, width * sizeof(float));
      } else {
        resize_row(row, horizontal_, target);
      }
    }
    rows.y = y;
  }
  return rows.values.data();
}

void SemanticPostprocessor::nearest(const std::uint8_t* labels, Size stored, Size content, Size size,
                                    std::uint8_t* target) {
  rows_.set(content.height, size.height);
  columns_.set(content.width, size.width);
  const auto width = static_cast<std::size_t>(size.width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(size.height); ++y) {
    std::uint8_t* row = target + y * width;
    if (y > 0 && rows_.index[y] == rows_.index[y - 1]) {
      std::memcpy(row, row - width, width);
      continue;
    }
    const std::uint8_t* source =
        labels + static_cast<std::size_t>(rows_.index[y]) * static_cast<std::size_t>(stored.width);
    if (content.width == size.width) {
      std::memcpy(row, source, width);
    } else {
      for (std::size_t x = 0; x < width; ++x) row[x] = source[columns_.index[x]];
    }
  }
}

std::size_t pick_output(const std::vector<OutputSpec>& outputs, bool scores) {
  for (const char* kind : {kinds::kLabels, kinds::kProbabilities, kinds::kLogits}) {
    if (scores && kind == kinds::kLabels) continue;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].kind == kind) return i;
    }
  }
  if (scores) {
    throw Error(ErrorKind::kRuntime, "the graph returns labels, class scores were asked for",
                "export it with the output op softmax or none");
  }
  throw Error(ErrorKind::kRuntime, "the manifest names no output with labels, probabilities or logits",
              "export the folder again");
}

}  // namespace mobileseg
