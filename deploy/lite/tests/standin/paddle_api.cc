// Answers what a .nb of make_fixtures.py says, or misbehaves as it asks.
#include "paddle_api.h"

#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace paddle {
namespace lite_api {

struct StandInArray {
  PrecisionType type = PrecisionType::kFloat;
  std::vector<int64_t> shape;
  std::vector<char> bytes;
  const char* external = nullptr;  // memory of somebody else, in place of `bytes`
  std::size_t external_size = 0;

  const char* data() const { return external != nullptr ? external : bytes.data(); }
  std::size_t size() const { return external != nullptr ? external_size : bytes.size(); }
};

namespace {

constexpr const char* kVersion = "v2.13-stand-in";
constexpr std::size_t kHead = 18;  // layout and version; the length of what follows is next, as in a real .nb

PrecisionType type_of(const std::string& name) {
  if (name == "float32") return PrecisionType::kFloat;
  if (name == "int32") return PrecisionType::kInt32;
  if (name == "int64") return PrecisionType::kInt64;
  if (name == "uint8") return PrecisionType::kUInt8;
  throw std::runtime_error("the stand-in knows no type " + name);
}

std::size_t width_of(PrecisionType type) {
  return type == PrecisionType::kUInt8 ? 1 : type == PrecisionType::kInt64 ? 8 : 4;
}

std::size_t count_of(const std::vector<int64_t>& shape) {
  std::size_t count = 1;
  for (const int64_t dim : shape) count *= static_cast<std::size_t>(dim);
  return count;
}

using Named = std::map<std::string, std::shared_ptr<StandInArray>>;

struct Item {
  Named inputs;
  Named outputs;
};

std::pair<std::string, std::shared_ptr<StandInArray>> read_array(std::istream* file) {
  std::string line, name, type;
  std::getline(*file, line);
  std::istringstream words(line);
  std::size_t rank = 0;
  words >> name >> type >> rank;
  auto array = std::make_shared<StandInArray>();
  array->type = type_of(type);
  array->shape.resize(rank);
  for (int64_t& dim : array->shape) words >> dim;
  array->bytes.resize(count_of(array->shape) * width_of(array->type));
  file->read(array->bytes.data(), static_cast<std::streamsize>(array->bytes.size()));
  if (!words || !*file) throw std::runtime_error("the .nb of the stand-in is damaged");
  return {name, array};
}

class Predictor : public PaddlePredictor {
 public:
  explicit Predictor(const std::string& path) {
    std::ifstream whole(path, std::ios::binary);
    whole.seekg(kHead);
    std::uint64_t length = 0;
    whole.read(reinterpret_cast<char*>(&length), sizeof length);
    std::string topology(length, '\0');
    whole.read(&topology[0], static_cast<std::streamsize>(length));
    std::istringstream file(topology);
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string key;
      words >> key;
      if (key == "misbehave") {
        words >> fault_;
      } else if (key == "item") {
        std::size_t taken = 0, count = 0;
        words >> taken >> count;
        Item item;
        for (std::size_t i = 0; i < taken; ++i) item.inputs.insert(read_array(&file));
        for (std::size_t i = 0; i < count; ++i) item.outputs.insert(read_array(&file));
        items_.push_back(item);
      } else {
        throw std::runtime_error("the .nb of the stand-in has the line '" + line + "'");
      }
    }
    if (items_.empty()) throw std::runtime_error("the .nb of the stand-in is empty");
    for (const auto& pair : items_[0].inputs) inputs_[pair.first] = std::make_shared<StandInArray>();
    if (fault_ == "throw_load") throw std::runtime_error("as the test asked");
  }

  const std::string& fault() const { return fault_; }

  // The item whose input is nearest; like the real one, a predictor cannot change the size of its input.
  void Run() override {
    if (fault_ == "throw_run") throw std::runtime_error("as the test asked");
    if (fault_ == "crash") std::raise(SIGSEGV);
    if (fault_ == "abort") std::abort();
    std::vector<int64_t> shapes;
    for (const auto& pair : inputs_) {
      shapes.insert(shapes.end(), pair.second->shape.begin(), pair.second->shape.end());
    }
    if (!ran_with_.empty() && ran_with_ != shapes) std::abort();
    ran_with_ = shapes;
    double best = std::numeric_limits<double>::infinity();
    const Item* nearest = nullptr;
    for (const Item& item : items_) {
      const double far = distance(item);
      if (far < best) {
        best = far;
        nearest = &item;
      }
    }
    if (nearest == nullptr) throw std::runtime_error("the stand-in has no answer for inputs of these sizes");
    // To the same memory in every run, as the real runtime does.
    for (const auto& pair : nearest->outputs) {
      auto& output = outputs_[pair.first];
      if (!output) output = std::make_shared<StandInArray>();
      *output = *pair.second;
    }
    spoil();
  }

  std::string GetVersion() const override { return fault_ == "no_version" ? "develop" : kVersion; }
  std::vector<std::string> GetInputNames() override {
    std::vector<std::string> names;
    for (const auto& pair : inputs_) names.push_back(fault_ == "other_input" ? "image" : pair.first);
    return names;
  }

  std::vector<std::string> GetOutputNames() override {
    std::vector<std::string> names;
    for (const auto& output : items_[0].outputs)
      names.push_back(fault_ == "other_output" ? "mask" : output.first);
    return names;
  }

  std::unique_ptr<Tensor> GetInputByName(const std::string& name) override {
    const auto found = inputs_.find(name);
    if (found == inputs_.end()) return nullptr;
    return std::make_unique<Tensor>(found->second);
  }

  std::unique_ptr<const Tensor> GetTensor(const std::string& name) const override {
    const auto found = outputs_.find(name);
    if (found == outputs_.end()) return nullptr;
    return std::make_unique<Tensor>(found->second);
  }

 private:
  // How far the inputs are from an item's, infinity when they are of other forms.
  double distance(const Item& item) const {
    double sum = 0;
    for (const auto& pair : item.inputs) {
      const StandInArray& theirs = *pair.second;
      const StandInArray& ours = *inputs_.at(pair.first);
      if (theirs.shape != ours.shape || theirs.size() != ours.size() || theirs.type != ours.type)
        return std::numeric_limits<double>::infinity();
      if (theirs.type != PrecisionType::kFloat) {
        sum += std::memcmp(theirs.data(), ours.data(), ours.size()) != 0 ? 1e6 : 0;
        continue;
      }
      const auto* a = reinterpret_cast<const float*>(theirs.data());
      const auto* b = reinterpret_cast<const float*>(ours.data());
      for (std::size_t i = 0; i < ours.size() / 4; ++i) sum += std::fabs(static_cast<double>(a[i]) - b[i]);
    }
    return sum;
  }

  // Changes the answer the way a wrong graph would.
  void spoil() {
    if (fault_.empty()) return;
    auto changed = std::make_shared<StandInArray>(*outputs_.begin()->second);
    if (fault_ == "type") changed->type = PrecisionType::kFloat;
    if (fault_ == "shape") changed->shape.back() += 1, changed->bytes.resize(count_of(changed->shape) * 8);
    if (fault_ == "values")
      changed->bytes[changed->bytes.size() / 2] =
          static_cast<char>(changed->bytes[changed->bytes.size() / 2] ^ 1);
    outputs_.begin()->second = changed;
    if (fault_ == "no_output") outputs_.clear();
  }

  std::vector<Item> items_;
  std::string fault_;
  Named inputs_;
  std::vector<int64_t> ran_with_;
  Named outputs_;
};

}  // namespace

Tensor::Tensor(std::shared_ptr<StandInArray> array) : array_(std::move(array)) {}

void Tensor::Resize(const std::vector<int64_t>& shape) {
  array_->shape = shape;
}

void Tensor::ShareExternalMemory(void* data, std::size_t memory_size, TargetType /*target*/) {
  array_->external = static_cast<const char*>(data);
  array_->external_size = memory_size;
}

std::vector<int64_t> Tensor::shape() const {
  return array_->shape;
}

PrecisionType Tensor::precision() const {
  return array_->type;
}

namespace {

template <typename T>
constexpr PrecisionType kTypeOf = PrecisionType::kFloat;
template <>
constexpr PrecisionType kTypeOf<uint8_t> = PrecisionType::kUInt8;
template <>
constexpr PrecisionType kTypeOf<int32_t> = PrecisionType::kInt32;
template <>
constexpr PrecisionType kTypeOf<int64_t> = PrecisionType::kInt64;

}  // namespace

template <typename T>
T* Tensor::mutable_data() const {
  array_->type = kTypeOf<T>;
  array_->external = nullptr;
  array_->bytes.resize(count_of(array_->shape) * sizeof(T));
  return reinterpret_cast<T*>(array_->bytes.data());
}

template <typename T>
const T* Tensor::data() const {
  return reinterpret_cast<const T*>(array_->data());
}

template float* Tensor::mutable_data<float>() const;
template int32_t* Tensor::mutable_data<int32_t>() const;
template int64_t* Tensor::mutable_data<int64_t>() const;
template uint8_t* Tensor::mutable_data<uint8_t>() const;
template const float* Tensor::data<float>() const;
template const int32_t* Tensor::data<int32_t>() const;
template const int64_t* Tensor::data<int64_t>() const;
template const uint8_t* Tensor::data<uint8_t>() const;

template <>
std::shared_ptr<PaddlePredictor> CreatePaddlePredictor<MobileConfig>(const MobileConfig& config) {
  auto predictor = std::make_shared<Predictor>(config.path());
  if (predictor->fault() == "null") return nullptr;
  return predictor;
}

}  // namespace lite_api
}  // namespace paddle
