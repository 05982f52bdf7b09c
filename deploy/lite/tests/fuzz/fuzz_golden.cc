// A manifest and the arrays of a reference: what the self test makes of them when they do not fit each other.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>

#include "golden.h"
#include "instance.h"
#include "mobileseg/error.h"
#include "preprocess.h"
#include "semantic.h"

namespace {

using namespace mobileseg;

// Shapes and types drawn from the input, elements repeated from it.
class Drawer {
 public:
  Drawer(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  int number(int limit) { return size_ == 0 ? 0 : data_[next_++ % size_] % limit; }

  Array array() {
    static const DType kTypes[] = {DType::kFloat32, DType::kInt32, DType::kInt64, DType::kUint8,
                                   DType::kFloat64};
    Array array;
    array.dtype = kTypes[number(5)];
    const int rank = number(5);
    for (int axis = 0; axis < rank; ++axis) array.shape.push_back(axis == 0 ? 1 + number(2) : number(9));
    array.bytes.resize(static_cast<std::size_t>(array.shape.count()) * size_of(array.dtype));
    for (std::uint8_t& byte : array.bytes) byte = static_cast<std::uint8_t>(number(256));
    return array;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t next_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Drawer draw(data, size);
  try {
    OutputSpec spec;
    spec.kind = draw.number(2) == 0 ? OutputKind::kLabels : OutputKind::kLogits;
    spec.resize = draw.number(2) == 0 ? OutputResize::kLabelsNearest : OutputResize::kScoresBilinear;
    const Size image{1 + draw.number(12), 1 + draw.number(12)};
    const Size input = draw.number(2) == 0 ? image : Size{image.height + 3, image.width + 1};
    const Array output = draw.array();
    std::vector<std::uint8_t> labels;
    SemanticPostprocessor().run(spec, output.view(), {image, image, input}, &labels);
  } catch (const Error&) {
  }
  try {
    DetectionSpec detection;
    detection.nms = static_cast<NmsKind>(draw.number(3));
    detection.max_detections = 1 + draw.number(5);
    detection.threshold_after_nms = draw.number(2) == 0;
    std::vector<OutputSpec> specs(4);
    const OutputKind kinds[] = {OutputKind::kBoxes, OutputKind::kScores, OutputKind::kCoefficients,
                                OutputKind::kPrototypes};
    for (std::size_t i = 0; i < 4; ++i) specs[i].kind = kinds[i];
    if (draw.number(4) == 0) specs[0].kind = OutputKind::kDetections;
    std::vector<Array> arrays;
    std::vector<TensorView> views;
    const std::int64_t anchors = 1 + draw.number(6);
    const Shape fitting[] = {{1, anchors, 4}, {1, anchors, 3}, {1, anchors, 2}, {1, 2, 5, 4}};
    for (std::size_t i = 0; i < 4; ++i) {
      arrays.push_back(draw.array());
      if (draw.number(8) == 0) continue;
      arrays.back().dtype = DType::kFloat32;
      arrays.back().shape = fitting[i];
      arrays.back().bytes.resize(static_cast<std::size_t>(fitting[i].count()) * 4);
      for (std::uint8_t& byte : arrays.back().bytes) byte = static_cast<std::uint8_t>(draw.number(256));
    }
    for (const Array& array : arrays) views.push_back(array.view());
    Array priors = draw.array();
    priors.dtype = DType::kFloat32;
    priors.shape = {anchors, 4};
    priors.bytes.resize(static_cast<std::size_t>(anchors) * 16, 60);
    Result result;
    InstancePostprocessor(detection, priors, specs, {8, 8})
        .run(views, {1 + draw.number(12), 1 + draw.number(12)}, &result);
  } catch (const Error&) {
  }
  return 0;
}
