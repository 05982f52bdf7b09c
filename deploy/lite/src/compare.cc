#include "compare.h"

#include <cmath>
#include <sstream>

namespace mobileseg {
namespace {

Shape thinned(const Shape& shape, const Subsample& sample) {
  Shape result;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const int step = sample.step(axis);
    result.push_back((shape[axis] + step - 1) / step);
  }
  return result;
}

std::string text_of(double value) {
  std::ostringstream text;
  text.precision(7);
  text << value;
  return text.str();
}

}  // namespace

double value_at(const TensorView& tensor, std::int64_t index) {
  const auto at = static_cast<std::size_t>(index);
  switch (tensor.dtype) {
    case DType::kFloat32:
      return static_cast<double>(tensor.as<float>()[at]);
    case DType::kFloat64:
      return tensor.as<double>()[at];
    case DType::kInt32:
      return tensor.as<std::int32_t>()[at];
    case DType::kInt64:
      return static_cast<double>(tensor.as<std::int64_t>()[at]);
    case DType::kUint8:
    case DType::kBool:
      return tensor.as<std::uint8_t>()[at];
  }
  return 0;
}

Difference compare(const TensorView& made, const TensorView& expected, const Limit& limit,
                   const Subsample& sample, const std::uint8_t* excused) {
  Difference result;
  const Shape seen = thinned(made.shape, sample);
  if (seen != expected.shape) {
    result.same = false;
    result.where = "shape " + seen.str() + " instead of " + expected.shape.str();
    return result;
  }
  result.count = expected.shape.count();
  std::array<std::int64_t, Shape::kMaxRank> index{};
  for (std::int64_t i = 0; i < result.count; ++i) {
    std::int64_t place = 0;
    for (int axis = 0; axis < made.shape.rank(); ++axis) {
      place = place * made.shape[axis] + index[static_cast<std::size_t>(axis)] * sample.step(axis);
    }
    const double ours = value_at(made, place);
    const double theirs = value_at(expected, i);
    const double difference = std::fabs(ours - theirs);
    if (excused == nullptr || excused[i] == 0) {
      if (!(difference <= result.largest)) result.largest = difference;
      if (!(difference <= limit.at(theirs)) && result.off++ == 0) {
        std::string text = "at [";
        for (int axis = 0; axis < seen.rank(); ++axis) {
          text += (axis ? ", " : "") + std::to_string(index[static_cast<std::size_t>(axis)]);
        }
        result.where = text + "] " + text_of(ours) + " instead of " + text_of(theirs);
      }
    }
    for (int axis = seen.rank() - 1; axis >= 0; --axis) {  // the next index, like an odometer
      if (++index[static_cast<std::size_t>(axis)] < seen[axis]) break;
      index[static_cast<std::size_t>(axis)] = 0;
    }
  }
  result.same = result.off == 0;
  return result;
}

}  // namespace mobileseg
