// Paddle Lite's light API. The only file that includes its headers.
#include <paddle_api.h>

#include <cstdint>
#include <list>
#include <utility>

#include "mobileseg/engine.h"
#include "mobileseg/error.h"
#include "nb_header.h"

namespace mobileseg {
namespace {

namespace lite = paddle::lite_api;

#if defined(__x86_64__) || defined(__i386__)
constexpr const char* kEngine = "lite_x86";
#else
constexpr const char* kEngine = "lite_arm";
#endif

// A predictor belongs to the size of its first input (see LiteEngine); so many sizes are kept ready.
constexpr std::size_t kMaxPredictors = 4;

lite::PowerMode power_of(PowerMode mode) {
  switch (mode) {
    case PowerMode::kHigh:
      return lite::LITE_POWER_HIGH;
    case PowerMode::kLow:
      return lite::LITE_POWER_LOW;
    case PowerMode::kFull:
      return lite::LITE_POWER_FULL;
    case PowerMode::kRandHigh:
      return lite::LITE_POWER_RAND_HIGH;
    case PowerMode::kRandLow:
      return lite::LITE_POWER_RAND_LOW;
    case PowerMode::kNoBind:
      break;
  }
  return lite::LITE_POWER_NO_BIND;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  for (const std::string& known : names) {
    if (known == name) return true;
  }
  return false;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text.empty() ? "none" : text;
}

TensorView view_of(const lite::Tensor& tensor, const OutputSpec& spec) {
  TensorView view;
  for (const std::int64_t dim : tensor.shape()) view.shape.push_back(dim);
  switch (tensor.precision()) {
    case lite::PrecisionType::kFloat:
      view.dtype = DType::kFloat32;
      view.data = tensor.data<float>();
      return view;
    case lite::PrecisionType::kInt32:
      view.dtype = DType::kInt32;
      view.data = tensor.data<std::int32_t>();
      return view;
    case lite::PrecisionType::kInt64:
      view.dtype = DType::kInt64;
      view.data = tensor.data<std::int64_t>();
      return view;
    case lite::PrecisionType::kUInt8:
      view.dtype = DType::kUint8;
      view.data = tensor.data<std::uint8_t>();
      return view;
    default:
      throw Error(ErrorKind::kRuntime,
                  std::string(kEngine) + ": output '" + spec.name + "' has the element type " +
                      std::to_string(static_cast<int>(tensor.precision())) +
                      " of Paddle Lite, the manifest says " + name_of(spec.dtype),
                  "export the folder again");
  }
}

// A predictor that has run keeps buffers of its first input's size: on x86 it crashes on a larger one and
// answers wrongly on a smaller one. So every size has a predictor of its own.
class LiteEngine : public Engine {
 public:
  LiteEngine(const Manifest& manifest, const EngineOptions& options)
      : spec_(manifest.input), options_(options), file_(manifest.graph_file(options.graph, kEngine)) {
    outputs_ = manifest.outputs_of(file_);
    for (const OutputSpec& spec : outputs_) output_names_.push_back(renamed(file_.outputs, spec.name));
    input_name_ = renamed(file_.inputs, spec_.name);
    path_ = manifest.verified_path(file_.model);
    const std::string written_by = nb_version(path_);
    predictors_.push_front({spec_.size, make_predictor()});
    version_ = predictors_.front().predictor->GetVersion();
    if (!options.any_version && !versions_fit(version_, written_by)) {
      throw Error(
          ErrorKind::kRuntime,
          path_ + " was written by Paddle Lite " + written_by + ", this program runs Paddle Lite " + version_,
          "link the runtime of that version, or accept the difference with --any-version");
    }
    require_names(*predictors_.front().predictor);
  }

  std::string name() const override { return kEngine; }
  std::string version() const override { return version_; }
  const std::vector<OutputSpec>& outputs() const override { return outputs_; }

  void* input(Size size) override {
    use(size);
    const std::unique_ptr<lite::Tensor> tensor = current().GetInputByName(input_name_);
    if (!tensor) throw Error(ErrorKind::kRuntime, std::string(kEngine) + ": the graph gives no input tensor");
    const Shape shape = spec_.shape(size);
    tensor->Resize({shape[0], shape[1], shape[2], shape[3]});
    if (spec_.dtype == DType::kUint8) return tensor->mutable_data<std::uint8_t>();
    return tensor->mutable_data<float>();
  }

  const std::vector<TensorView>& run() override {
    try {
      current().Run();
    } catch (const std::exception& error) {
      throw Error(ErrorKind::kRuntime, std::string("Paddle Lite failed: ") + error.what());
    }
    views_.clear();
    tensors_.clear();
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      std::unique_ptr<const lite::Tensor> tensor = current().GetTensor(output_names_[i]);
      if (!tensor) {
        throw Error(ErrorKind::kRuntime,
                    std::string(kEngine) + ": the graph returned no output '" + output_names_[i] + "'");
      }
      views_.push_back(view_of(*tensor, outputs_[i]));
      check_output(outputs_[i], views_.back(), kEngine);
      tensors_.push_back(std::move(tensor));
    }
    return views_;
  }

 private:
  struct Entry {
    Size size;
    std::shared_ptr<lite::PaddlePredictor> predictor;
  };

  static std::string renamed(const std::map<std::string, std::string>& names, const std::string& name) {
    const auto found = names.find(name);
    return found == names.end() ? name : found->second;
  }

  lite::PaddlePredictor& current() const { return *predictors_.front().predictor; }

  // Brings the predictor of this size to the front, makes it if need be, drops the one unused for longest.
  void use(Size size) {
    for (auto it = predictors_.begin(); it != predictors_.end(); ++it) {
      if (it->size == size) {
        predictors_.splice(predictors_.begin(), predictors_, it);
        return;
      }
    }
    predictors_.push_front({size, make_predictor()});
    if (predictors_.size() > kMaxPredictors) predictors_.pop_back();
  }

  std::shared_ptr<lite::PaddlePredictor> make_predictor() const {
    lite::MobileConfig config;
    config.set_model_from_file(path_);
    config.set_threads(options_.threads);
#if defined(__x86_64__) || defined(__i386__)
    config.set_x86_math_num_threads(options_.threads);
#endif
    config.set_power_mode(power_of(options_.power));
    try {
      auto predictor = lite::CreatePaddlePredictor<lite::MobileConfig>(config);
      if (predictor) return predictor;
    } catch (const std::exception& error) {
      throw Error(ErrorKind::kRuntime, "Paddle Lite cannot load " + path_ + ": " + error.what());
    }
    throw Error(ErrorKind::kRuntime, "Paddle Lite cannot load " + path_, "export the folder again");
  }

  void require_names(lite::PaddlePredictor& predictor) const {
    const std::vector<std::string> inputs = predictor.GetInputNames();
    if (inputs.size() != 1 || inputs[0] != input_name_) {
      throw Error(ErrorKind::kRuntime,
                  path_ + " has the inputs " + joined(inputs) + ", the manifest says '" + input_name_ + "'",
                  "export the folder again");
    }
    const std::vector<std::string> names = predictor.GetOutputNames();
    for (const std::string& name : output_names_) {
      if (!contains(names, name)) {
        throw Error(ErrorKind::kRuntime,
                    path_ + " has the outputs " + joined(names) + ", the manifest says '" + name + "'",
                    "export the folder again");
      }
    }
  }

  InputSpec spec_;
  EngineOptions options_;
  GraphFile file_;
  std::string path_;
  std::string version_;
  std::string input_name_;
  std::vector<OutputSpec> outputs_;
  std::vector<std::string> output_names_;
  std::list<Entry> predictors_;  // the last used first
  std::vector<std::unique_ptr<const lite::Tensor>> tensors_;
  std::vector<TensorView> views_;
};

}  // namespace

bool has_engine() {
  return true;
}

std::unique_ptr<Engine> make_engine(const Manifest& manifest, const EngineOptions& options) {
  return std::make_unique<LiteEngine>(manifest, options);
}

}  // namespace mobileseg
