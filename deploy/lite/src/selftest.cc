#include "mobileseg/selftest.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "compare.h"
#include "files.h"
#include "golden.h"
#include "mobileseg/error.h"
#include "preprocess.h"
#include "tasks.h"
#include "tensor_stream.h"
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

Check check_files(const Manifest& manifest, bool with_engine) {
  std::set<std::string> needed = {manifest.golden};
  if (manifest.settings) {
    for (const std::string& file : manifest.settings->files()) needed.insert(file);
  }
  int absent = 0;
  for (const auto& file : manifest.files) {
    if (needed.count(file.first) == 0 && !is_file(manifest.path(file.first))) {
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
  Preprocessor preprocessor(manifest.image);
  double largest = 0;
  std::vector<std::uint8_t> input;
  for (int item = 0; item < golden.items(); ++item) {
    const ImageView image = golden.image(item);
    const Shape shape = manifest.image.shape(preprocessor.geometry(image.size).input);
    input.resize(static_cast<std::size_t>(shape.count()) * size_of(manifest.image.dtype));
    preprocessor.run(image, input.data());
    const Array& expected = golden.at("input", item);
    const bool bytes = manifest.image.dtype == DType::kUint8;
    const double limit = bytes ? 0.0 : kInputLimit * preprocessor.largest();
    const Difference difference = compare({input.data(), manifest.image.dtype, shape}, expected.view(), limit,
                                          golden.sample(item, manifest.image.channels_last));
    const bool rounding =
        bytes && difference.largest <= 1 &&
        static_cast<double>(difference.off) <= kRoundedShare * static_cast<double>(difference.count);
    if (!difference.same && !rounding)
      return failed("preprocess", item, "the input differs, first " + difference.where);
    largest = std::max(largest, difference.largest);
  }
  return {"preprocess", Check::Status::kOk, "largest difference " + scientific(largest)};
}

// The frames of golden.npz in their order, each in the stream that it belongs to.
class Replay {
 public:
  Replay(const Manifest& manifest, const Golden& golden, Engine* engine)
      : manifest_(manifest), golden_(golden), engine_(engine), preprocessor_(manifest.image) {}

  FrameOutputs run(int item) {
    TensorStream& stream =
        streams_.emplace(golden_.sequence(item), TensorStream(manifest_, engine_, &background_))
            .first->second;
    const ImageView image = golden_.image(item);
    const std::string pipeline = golden_.pipeline(item);
    preprocessor_.run(image, stream.begin({&pipeline}, geometry(item).input));
    return stream.run();
  }

  Geometry geometry(int item) const { return preprocessor_.geometry(golden_.image(item).size); }

 private:
  const Manifest& manifest_;
  const Golden& golden_;
  Engine* engine_;
  Preprocessor preprocessor_;
  Background background_;
  std::map<std::int64_t, TensorStream> streams_;
};

Check check_inference(const Manifest& manifest, const Task& task, const Golden& golden, Engine* engine) {
  Replay replay(manifest, golden, engine);
  double largest = 0;
  bool scores = false;
  for (int item = 0; item < golden.items(); ++item) {
    const FrameOutputs outputs = replay.run(item);
    for (std::size_t i = 0; i < outputs.specs.size(); ++i) {
      const OutputSpec& spec = outputs.specs[i];
      double scale = 1.0;
      const Difference difference = task.compare_output(golden, item, spec, outputs.values[i], &scale);
      if (!difference.same) {
        return failed("inference", item,
                      "output '" + spec.name + "' differs in " + std::to_string(difference.off) + " of " +
                          std::to_string(difference.count) + " values, first " + difference.where);
      }
      scores = scores || spec.dtype == DType::kFloat32;
      largest = std::max(largest, difference.largest / scale);
    }
  }
  return {"inference", Check::Status::kOk,
          scores ? "largest difference " + scientific(largest) + " standard deviations" : "all labels agree"};
}

std::string percent(double share) {
  const auto tenths = static_cast<int>(share * 1000);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
}

// Of graphs that round differently on purpose, int8 ones: how much results have in common with the reference.
Check check_share(const Manifest& manifest, const Task& task, const Golden& golden, Engine* engine) {
  Replay replay(manifest, golden, engine);
  std::map<std::int64_t, std::unique_ptr<Pipeline>> pipelines;
  Share sum;
  Result result;
  for (int item = 0; item < golden.items(); ++item) {
    const FrameOutputs outputs = replay.run(item);
    std::unique_ptr<Pipeline>& pipeline = pipelines[golden.sequence(item)];
    if (!pipeline) pipeline = task.pipeline(manifest, manifest.outputs_of(engine->name()));
    const Geometry place = replay.geometry(item);
    result.form = task.form();
    result.size = place.image;
    pipeline->finish(outputs, place, &result);
    const Share share = task.share(result, golden, item);
    sum.equal += share.equal;
    sum.all += share.all;
  }
  const double found = sum.all > 0 ? sum.equal / sum.all : 1.0;
  const std::string detail = percent(found) + " of the " + task.shared() + " agree, " +
                             percent(manifest.least_equal) + " are asked for";
  return {"inference", found >= manifest.least_equal ? Check::Status::kOk : Check::Status::kFailed, detail};
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
  const Task& task = task_of(manifest.task);
  std::vector<Check> checks;
  checks.push_back(check_files(manifest, engine != nullptr));
  checks.push_back(guarded("preprocess", [&] { return check_preprocess(manifest, golden); }));
  if (engine == nullptr) {
    checks.push_back({"inference", Check::Status::kSkipped, "this build has no engine"});
  } else {
    checks.push_back(guarded("inference", [&] {
      return manifest.least_equal > 0 ? check_share(manifest, task, golden, engine)
                                      : check_inference(manifest, task, golden, engine);
    }));
  }
  const std::vector<OutputSpec> outputs = manifest.outputs_of(engine == nullptr ? "" : engine->name());
  checks.push_back(guarded("postprocess", [&] { return task.replay(manifest, outputs, golden); }));
  return checks;
}

}  // namespace mobileseg
