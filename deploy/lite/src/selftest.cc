#include "mobileseg/selftest.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <sstream>

#include "compare.h"
#include "files.h"
#include "golden.h"
#include "instance_selftest.h"
#include "mobileseg/error.h"
#include "preprocess.h"
#include "semantic.h"
#include "share_selftest.h"
#include "tolerances.h"

namespace mobileseg {
namespace {

std::string scientific(double value) {
  std::ostringstream text;
  text.precision(2);
  text << value;
  return text.str();
}

Check failed(const std::string& stage, int item, const std::string& reason) {
  return {stage, Check::Status::kFailed, "image " + std::to_string(item) + ": " + reason};
}

Subsample sample_of(const Golden& golden, int item, bool channels_last) {
  const int stride = static_cast<int>(golden.scalar("stride", item));
  if (stride < 1) throw Error(ErrorKind::kRuntime, "golden.npz has a stride of " + std::to_string(stride));
  return channels_last ? Subsample{stride, 1, 2} : Subsample{stride, 2, 3};
}

Check check_files(const Manifest& manifest, bool with_engine) {
  int absent = 0;
  for (const auto& file : manifest.files) {
    const bool needed = file.first == manifest.golden || file.first == manifest.detection.anchors;
    if (!needed && !is_file(manifest.path(file.first))) {
      ++absent;  // a phone gets the files that it uses; the engine's own was checked when it was loaded
      continue;
    }
    try {
      manifest.verified_path(file.first);
    } catch (const Error& error) {
      return {"files", Check::Status::kFailed, error.what()};
    }
  }
  std::string detail = std::to_string(manifest.files.size()) + " hashes agree";
  if (absent > 0) {
    detail = std::to_string(manifest.files.size() - static_cast<std::size_t>(absent)) + " hashes agree, " +
             std::to_string(absent) + " files are not here";
  }
  return {"files", Check::Status::kOk, detail + (with_engine ? "" : " (no engine)")};
}

Check check_preprocess(const Manifest& manifest, const Golden& golden) {
  Preprocessor preprocessor(manifest.input);
  double largest = 0;
  std::vector<std::uint8_t> input;
  for (int item = 0; item < golden.items(); ++item) {
    const ImageView image = golden.image(item);
    const Shape shape = manifest.input.shape(preprocessor.geometry(image.size).input);
    input.resize(static_cast<std::size_t>(shape.count()) * size_of(manifest.input.dtype));
    preprocessor.run(image, input.data());
    const Array& expected = golden.at("input", item);
    const bool bytes = manifest.input.dtype == DType::kUint8;
    const double limit = bytes ? 0.0 : kInputLimit * preprocessor.largest();
    const Difference difference = compare({input.data(), manifest.input.dtype, shape}, expected.view(), limit,
                                          sample_of(golden, item, manifest.input.channels_last));
    const bool rounding =
        bytes && difference.largest <= 1 &&
        static_cast<double>(difference.off) <= kRoundedShare * static_cast<double>(difference.count);
    if (!difference.same && !rounding)
      return failed("preprocess", item, "the input differs, first " + difference.where);
    largest = std::max(largest, difference.largest);
  }
  return {"preprocess", Check::Status::kOk, "largest difference " + scientific(largest)};
}

// One output of the engine against the reference.
Difference compare_output(const Golden& golden, int item, const OutputSpec& spec, const TensorView& value,
                          double* scale) {
  const Array& expected = golden.at("output", item, spec.name);
  if (spec.kind == OutputKind::kLabels) {
    const Array& close =
        golden.at("close", item);  // the two best scores are nearly equal: either class is right
    const bool usable = close.shape.count() == expected.shape.count();
    return compare(value, expected.view(), 0.0, Subsample(), usable ? close.bytes.data() : nullptr);
  }
  *scale = golden.has("scale", item, spec.name) ? golden.scalar("scale", item, spec.name) : 1.0;
  Limit limit = kOutputLimit * *scale;
  if (spec.kind == OutputKind::kProbabilities && golden.has("scale", item, "logits")) {
    limit.steepness = kSteepness * kOutputLimit * golden.scalar("scale", item, "logits");
  }
  return compare(value, expected.view(), limit, sample_of(golden, item, false));
}

Check check_inference(const Manifest& manifest, const Golden& golden, Engine* engine) {
  Preprocessor preprocessor(manifest.input);
  double largest = 0;
  for (int item = 0; item < golden.items(); ++item) {
    const ImageView image = golden.image(item);
    preprocessor.run(image, engine->input(preprocessor.geometry(image.size).input));
    const std::vector<TensorView>& values = engine->run();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const OutputSpec& spec = engine->outputs()[i];
      double scale = 1.0;
      const Difference difference =
          manifest.task == Task::kInstance
              ? compare_instance_output(golden, item, spec, values[i], kOutputLimit, &scale)
              : compare_output(golden, item, spec, values[i], &scale);
      if (!difference.same) {
        return failed("inference", item,
                      "output '" + spec.name + "' differs in " + std::to_string(difference.off) + " of " +
                          std::to_string(difference.count) + " values, first " + difference.where);
      }
      largest = std::max(largest, difference.largest / scale);
    }
  }
  const bool labels = manifest.outputs[0].kind == OutputKind::kLabels;
  return {"inference", Check::Status::kOk,
          labels ? "all labels agree" : "largest difference " + scientific(largest) + " standard deviations"};
}

Check check_labels(const std::vector<OutputSpec>& outputs, const Manifest& manifest, const Golden& golden) {
  const OutputSpec& spec = outputs[pick_output(outputs)];
  Preprocessor preprocessor(manifest.input);
  SemanticPostprocessor postprocessor(manifest.classes.size());
  std::vector<std::uint8_t> labels;
  int replayed = 0;
  for (int item = 0; item < golden.items(); ++item) {
    const Array& output = golden.at("output", item, spec.name);
    if (spec.kind != OutputKind::kLabels && golden.scalar("stride", item) != 1) continue;
    const Geometry place = preprocessor.geometry(golden.image(item).size);
    postprocessor.run(spec, output.view(), place, &labels);
    const TensorView made{labels.data(), DType::kUint8, {place.image.height, place.image.width}};
    const Difference difference = compare(made, golden.at("labels", item).view(), 0.0);
    if (!difference.same) {
      return failed("postprocess", item,
                    std::to_string(difference.off) + " of " + std::to_string(difference.count) +
                        " labels differ, first " + difference.where);
    }
    ++replayed;
  }
  if (replayed == 0) return {"postprocess", Check::Status::kSkipped, "no output is stored whole"};
  return {"postprocess", Check::Status::kOk, "labels of " + std::to_string(replayed) + " images agree"};
}

// A stage that cannot be replayed at all has failed, and the ones after it are still tried.
Check guarded(const std::string& stage, const std::function<Check()>& check) {
  try {
    return check();
  } catch (const Error& error) {
    return {stage, Check::Status::kFailed, error.what()};
  }
}

}  // namespace

std::vector<Check> selftest(const Manifest& manifest, Engine* engine) {
  const Golden golden(manifest);
  std::vector<Check> checks;
  checks.push_back(check_files(manifest, engine != nullptr));
  checks.push_back(guarded("preprocess", [&] { return check_preprocess(manifest, golden); }));
  if (engine == nullptr) {
    checks.push_back({"inference", Check::Status::kSkipped, "this build has no engine"});
  } else {
    checks.push_back(guarded("inference", [&] {
      return manifest.least_equal > 0 ? check_share(manifest, golden, engine)
                                      : check_inference(manifest, golden, engine);
    }));
  }
  const std::vector<OutputSpec>& outputs = engine == nullptr ? manifest.outputs : engine->outputs();
  checks.push_back(guarded("postprocess", [&] {
    return manifest.task == Task::kInstance ? check_instances(outputs, manifest, golden)
                                            : check_labels(outputs, manifest, golden);
  }));
  return checks;
}

}  // namespace mobileseg
