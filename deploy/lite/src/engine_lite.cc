// Paddle Lite's light API. The only file that includes its headers.
#include <paddle_api.h>

#include <cstdint>
#include <list>
#include <map>
#include <set>
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

std::string renamed(const std::map<std::string, std::string>& names, const std::string& name) {
  const auto found = names.find(name);
  return found == names.end() ? name : found->second;
}

std::vector<std::int64_t> dims_of(const Shape& shape) {
  std::vector<std::int64_t> dims;
  for (int axis = 0; axis < shape.rank(); ++axis) dims.push_back(shape[axis]);
  return dims;
}

// Memory of a tensor of the runtime; it notes the type.
void* memory_of(const lite::Tensor& tensor, DType dtype, const std::string& name) {
  switch (dtype) {
    case DType::kFloat32:
      return tensor.mutable_data<float>();
    case DType::kInt32:
      return tensor.mutable_data<std::int32_t>();
    case DType::kInt64:
      return tensor.mutable_data<std::int64_t>();
    case DType::kUint8:
      return tensor.mutable_data<std::uint8_t>();
    default:
      throw Error(
          ErrorKind::kRuntime,
          std::string(kEngine) + ": Paddle Lite takes no input of " + name_of(dtype) + " ('" + name + "')",
          "export the folder again");
  }
}

// One graph. A predictor that has run keeps buffers of its first input's size: on x86 it crashes on a larger
// one and answers wrongly on a smaller one. So every size has a predictor of its own.
class LiteGraph {
 public:
  LiteGraph(const Manifest& manifest, const std::string& name, const EngineOptions& options)
      : options_(options),
        file_(manifest.graph_file(name, kEngine)),
        inputs_(manifest.graph(name).inputs),
        outputs_(file_.output_specs.empty() ? manifest.graph(name).outputs : file_.output_specs) {
    for (const OutputSpec& spec : outputs_) output_names_.push_back(renamed(file_.outputs, spec.name));
    path_ = manifest.verified_path(file_.model);
    const std::string written_by = nb_version(path_);
    use(manifest.image.size);
    version_ = current().predictor->GetVersion();
    if (!options.any_version && !versions_fit(version_, written_by)) {
      throw Error(
          ErrorKind::kRuntime,
          path_ + " was written by Paddle Lite " + written_by + ", this program runs Paddle Lite " + version_,
          "link the runtime of that version, or accept the difference with --any-version");
    }
    require_names(*current().predictor);
  }

  const std::string& version() const { return version_; }
  const std::vector<OutputSpec>& outputs() const { return outputs_; }

  // Brings the predictor of this size to the front, makes it if need be, drops the one unused for longest.
  void use(Size size) {
    for (auto it = predictors_.begin(); it != predictors_.end(); ++it) {
      if (it->size == size) {
        predictors_.splice(predictors_.begin(), predictors_, it);
        return;
      }
    }
    predictors_.push_front({size, make_predictor(), {}});
    if (predictors_.size() > kMaxPredictors) predictors_.pop_back();
  }

  void* input(const TensorSpec& spec, const Shape& shape) {
    const std::unique_ptr<lite::Tensor> tensor = tensor_of(spec);
    tensor->Resize(dims_of(shape));
    return memory_of(*tensor, spec.dtype, spec.name);
  }

  void share(const TensorSpec& spec, const TensorView& value) {
    const std::unique_ptr<lite::Tensor> tensor = tensor_of(spec);
    tensor->Resize(dims_of(value.shape));
    // Shared memory has no type until the tensor has been given one.
    if (current().typed.insert(spec.name).second) memory_of(*tensor, spec.dtype, spec.name);
    const std::size_t bytes = static_cast<std::size_t>(value.shape.count()) * size_of(value.dtype);
    // The runtime's inputs are not const; graphs do not write there.
    tensor->ShareExternalMemory(const_cast<void*>(value.data), bytes, lite::TargetType::kHost);
  }

  const std::vector<TensorView>& run() {
    try {
      current().predictor->Run();
    } catch (const std::exception& error) {
      throw Error(ErrorKind::kRuntime, std::string("Paddle Lite failed: ") + error.what());
    }
    views_.clear();
    tensors_.clear();
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      std::unique_ptr<const lite::Tensor> tensor = current().predictor->GetTensor(output_names_[i]);
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
    std::set<std::string> typed;  // inputs that know their type
  };

  Entry& current() { return predictors_.front(); }

  std::unique_ptr<lite::Tensor> tensor_of(const TensorSpec& spec) {
    auto tensor = current().predictor->GetInputByName(renamed(file_.inputs, spec.name));
    if (!tensor) {
      throw Error(ErrorKind::kRuntime,
                  std::string(kEngine) + ": the graph gives no input tensor '" + spec.name + "'");
    }
    return tensor;
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
    const std::vector<std::string> present = predictor.GetInputNames();
    std::vector<std::string> wanted;
    for (const TensorSpec& spec : inputs_) wanted.push_back(renamed(file_.inputs, spec.name));
    bool same = present.size() == wanted.size();
    for (const std::string& name : wanted) same = same && contains(present, name);
    if (!same) {
      throw Error(ErrorKind::kRuntime,
                  path_ + " has the inputs " + joined(present) + ", the manifest says " + joined(wanted),
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

  EngineOptions options_;
  GraphFile file_;
  std::vector<TensorSpec> inputs_;
  std::vector<OutputSpec> outputs_;
  std::vector<std::string> output_names_;
  std::string path_;
  std::string version_;
  std::list<Entry> predictors_;  // the last used first
  std::vector<std::unique_ptr<const lite::Tensor>> tensors_;
  std::vector<TensorView> views_;
};

class LiteEngine : public Engine {
 public:
  LiteEngine(const Manifest& manifest, const EngineOptions& options) {
    for (const std::string& graph : manifest.deployed()) {
      graphs_.emplace(graph, std::make_unique<LiteGraph>(manifest, graph, options));
    }
  }

  std::string name() const override { return kEngine; }
  std::string version() const override { return graphs_.begin()->second->version(); }
  const std::vector<OutputSpec>& outputs(const std::string& graph) const override {
    return at(graph).outputs();
  }

  void begin(const std::string& graph, Size size) override { at(graph).use(size); }
  void* input(const std::string& graph, const TensorSpec& spec, const Shape& shape) override {
    return at(graph).input(spec, shape);
  }
  void share(const std::string& graph, const TensorSpec& spec, const TensorView& value) override {
    at(graph).share(spec, value);
  }
  const std::vector<TensorView>& run(const std::string& graph) override { return at(graph).run(); }

 private:
  LiteGraph& at(const std::string& graph) const {
    const auto found = graphs_.find(graph);
    if (found != graphs_.end()) return *found->second;
    throw Error(ErrorKind::kRuntime, std::string(kEngine) + ": no graph '" + graph + "' is loaded");
  }

  std::map<std::string, std::unique_ptr<LiteGraph>> graphs_;
};

}  // namespace

bool has_engine() {
  return true;
}

std::unique_ptr<Engine> make_engine(const Manifest& manifest, const EngineOptions& options) {
  return std::make_unique<LiteEngine>(manifest, options);
}

}  // namespace mobileseg
