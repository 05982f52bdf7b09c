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
  std::shared_ptr<StandInArray> input;
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
  explicit Predictor(const std::string& path) : input_(std::make_shared<StandInArray>()) {
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
        std::size_t count = 0;
        words >> count;
        Item item;
        item.input = read_array(&file).second;
        for (std::size_t i = 0; i < count; ++i) item.outputs.insert(read_array(&file));
        items_.push_back(item);
      } else {
        throw std::runtime_error("the .nb of the stand-in has the line '" + line + "'");
      }
    }
    if (items_.empty()) throw std::runtime_error("the .nb of the stand-in is empty");
    if (fault_ == "throw_load") throw std::runtime_error("as the test asked");
  }

  const std::string& fault() const { return fault_; }

  // The item whose input is nearest; like the real one, a predictor cannot change the size of its input.
  void Run() override {
    if (fault_ == "throw_run") throw std::runtime_error("as the test asked");
    if (fault_ == "crash") std::raise(SIGSEGV);
    if (fault_ == "abort") std::abort();
    if (!ran_with_.empty() && ran_with_ != input_->shape) std::abort();
    ran_with_ = input_->shape;
    double best = std::numeric_limits<double>::infinity();
    for (const Item& item : items_) {
      if (item.input->shape != input_->shape || item.input->bytes.size() != input_->bytes.size()) continue;
      const double far = distance(*item.input);
      if (far < best) {
        best = far;
        outputs_ = item.outputs;
      }
    }
    if (outputs_.empty()) throw std::runtime_error("the stand-in has no answer for an input of this size");
    spoil();
  }

  std::string GetVersion() const override { return fault_ == "no_version" ? "develop" : kVersion; }
  std::vector<std::string> GetInputNames() override { return {fault_ == "other_input" ? "image" : "x"}; }

  std::vector<std::string> GetOutputNames() override {
    std::vector<std::string> names;
    for (const auto& output : items_[0].outputs)
      names.push_back(fault_ == "other_output" ? "mask" : output.first);
    return names;
  }

  std::unique_ptr<Tensor> GetInputByName(const std::string& /*name*/) override {
    return std::make_unique<Tensor>(input_);
  }

  std::unique_ptr<const Tensor> GetTensor(const std::string& name) const override {
    const auto found = outputs_.find(name);
    if (found == outputs_.end()) return nullptr;
    return std::make_unique<Tensor>(found->second);
  }

 private:
  double distance(const StandInArray& other) const {
    double sum = 0;
    if (other.type != PrecisionType::kFloat)
      return std::memcmp(other.bytes.data(), input_->bytes.data(), other.bytes.size());
    const auto* a = reinterpret_cast<const float*>(other.bytes.data());
    const auto* b = reinterpret_cast<const float*>(input_->bytes.data());
    for (std::size_t i = 0; i < other.bytes.size() / 4; ++i)
      sum += std::fabs(static_cast<double>(a[i]) - b[i]);
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
  std::shared_ptr<StandInArray> input_;
  std::vector<int64_t> ran_with_;
  Named outputs_;
};

}  // namespace

Tensor::Tensor(std::shared_ptr<StandInArray> array) : array_(std::move(array)) {}

void Tensor::Resize(const std::vector<int64_t>& shape) {
  array_->shape = shape;
}

std::vector<int64_t> Tensor::shape() const {
  return array_->shape;
}

PrecisionType Tensor::precision() const {
  return array_->type;
}

template <typename T>
T* Tensor::mutable_data() const {
  array_->type = sizeof(T) == 1 ? PrecisionType::kUInt8 : PrecisionType::kFloat;
  array_->bytes.resize(count_of(array_->shape) * sizeof(T));
  return reinterpret_cast<T*>(array_->bytes.data());
}

template <typename T>
const T* Tensor::data() const {
  return reinterpret_cast<const T*>(array_->bytes.data());
}

template float* Tensor::mutable_data<float>() const;
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
