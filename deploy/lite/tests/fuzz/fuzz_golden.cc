// A manifest and the arrays of a reference: what the self test makes of them when they do not fit each other.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>

#include "drawer.h"
#include "golden.h"
#include "instance.h"
#include "mobileseg/error.h"
#include "mobileseg/output.h"
#include "preprocess.h"
#include "semantic.h"

using namespace mobileseg;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Drawer draw(data, size);
  try {
    OutputSpec spec;
    spec.kind = draw.number(2) == 0 ? kinds::kLabels : kinds::kLogits;
    const OutputResize rules[] = {OutputResize::kLabelsNearest, OutputResize::kScoresBilinear,
                                  OutputResize::kProbabilitiesBilinear};
    spec.resize = rules[draw.number(3)];
    if (spec.kind == kinds::kLogits && draw.number(2) == 0)
      spec.upsample = {1 + draw.number(12), 1 + draw.number(12)};
    const Size image{1 + draw.number(12), 1 + draw.number(12)};
    const Size input = draw.number(2) == 0 ? image : Size{image.height + 3, image.width + 1};
    const Array output = draw.array();
    std::vector<std::uint8_t> labels;
    SemanticPostprocessor(static_cast<std::size_t>(1 + draw.number(8)))
        .run(spec, output.view(), {image, image, input}, &labels);
  } catch (const Error&) {
  }
  try {
    DetectionSpec detection;
    detection.nms = static_cast<NmsKind>(draw.number(3));
    detection.max_detections = 1 + draw.number(5);
    detection.threshold_after_nms = draw.number(2) == 0;
    std::vector<OutputSpec> specs(4);
    const char* const all[] = {kinds::kBoxes, kinds::kScores, kinds::kCoefficients, kinds::kPrototypes};
    for (std::size_t i = 0; i < 4; ++i) specs[i].kind = all[i];
    const bool suppressed = draw.number(2) == 0;
    if (suppressed) specs[0].kind = kinds::kDetections;
    std::vector<Array> arrays;
    std::vector<TensorView> views;
    const std::int64_t anchors = 1 + draw.number(6);
    const Shape fitting[] = {
        {1, anchors, suppressed ? 6 : 4}, {1, anchors, 3}, {1, anchors, 2}, {1, 2, 5, 4}};
    for (std::size_t i = 0; i < 4; ++i) {
      arrays.push_back(draw.array());
      if (draw.number(8) == 0) continue;
      arrays.back().dtype = DType::kFloat32;
      arrays.back().shape = fitting[i];
      arrays.back().bytes = draw.bytes(static_cast<std::size_t>(fitting[i].count()) * 4);
      if (draw.number(2) == 0) continue;  // half of them with values as networks have them
      auto* values = reinterpret_cast<float*>(arrays.back().bytes.data());
      for (std::int64_t k = 0; k < fitting[i].count(); ++k)
        values[k] = static_cast<float>(draw.number(40)) / 16.0F - 0.5F;
    }
    for (const Array& array : arrays) views.push_back(array.view());
    Array priors = draw.array();
    priors.dtype = DType::kFloat32;
    priors.shape = {anchors, 4};
    priors.bytes.resize(static_cast<std::size_t>(anchors) * 16, 60);
    Result result;
    result.form = ResultForm::kInstances;
    InstancePostprocessor(detection, 2, priors, specs, {8, 8})
        .run(views, {1 + draw.number(12), 1 + draw.number(12)}, &result);
    Manifest manifest;  // what was found can be drawn and written
    manifest.classes = {"a", "b"};
    manifest.palette.resize(2);
    std::vector<std::uint8_t> pixels(result.size.pixels() * 3);
    Painter(manifest).draw(result, pixels.data(), static_cast<std::size_t>(result.size.width) * 3,
                           ColorOrder::kRgb);
    to_json(result, manifest, "fuzzed", {"a.png", "a"});
  } catch (const Error&) {
  }
  return 0;
}
