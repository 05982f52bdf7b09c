// A stand-in for the header of Paddle Lite's light API: only what our adapter calls, written for our tests.
//
// The names are those of the real interface, so the adapter compiles against either. Nothing else is alike.
#ifndef MOBILESEG_STANDIN_PADDLE_API_H_
#define MOBILESEG_STANDIN_PADDLE_API_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace paddle {
namespace lite_api {

enum PowerMode {
  LITE_POWER_HIGH = 0,
  LITE_POWER_LOW = 1,
  LITE_POWER_FULL = 2,
  LITE_POWER_NO_BIND = 3,
  LITE_POWER_RAND_HIGH = 4,
  LITE_POWER_RAND_LOW = 5
};

enum class PrecisionType : int {
  kUnk = 0,
  kFloat = 1,
  kInt8 = 2,
  kInt32 = 3,
  kInt64 = 7,
  kUInt8 = 9,
  kFP64 = 10
};

enum class TargetType : int { kUnk = 0, kHost = 1, kX86 = 2, kARM = 4 };

struct StandInArray;

struct Tensor {
  explicit Tensor(std::shared_ptr<StandInArray> array);

  void Resize(const std::vector<int64_t>& shape);
  template <typename T>
  T* mutable_data() const;
  template <typename T>
  const T* data() const;
  void ShareExternalMemory(void* data, std::size_t memory_size, TargetType target);
  std::vector<int64_t> shape() const;
  PrecisionType precision() const;

 private:
  std::shared_ptr<StandInArray> array_;
};

class PaddlePredictor {
 public:
  virtual ~PaddlePredictor() = default;
  virtual void Run() = 0;
  virtual std::string GetVersion() const = 0;
  virtual std::vector<std::string> GetInputNames() = 0;
  virtual std::vector<std::string> GetOutputNames() = 0;
  virtual std::unique_ptr<Tensor> GetInputByName(const std::string& name) = 0;
  virtual std::unique_ptr<const Tensor> GetTensor(const std::string& name) const = 0;
};

class MobileConfig {
 public:
  void set_model_from_file(const std::string& path) { path_ = path; }
  void set_threads(int threads) { threads_ = threads; }
  void set_x86_math_num_threads(int /*threads*/) {}
  void set_power_mode(PowerMode mode) { mode_ = mode; }
  const std::string& path() const { return path_; }
  int threads() const { return threads_; }
  PowerMode power_mode() const { return mode_; }

 private:
  std::string path_;
  int threads_ = 1;
  PowerMode mode_ = LITE_POWER_NO_BIND;
};

template <typename Config>
std::shared_ptr<PaddlePredictor> CreatePaddlePredictor(const Config& config);

}  // namespace lite_api
}  // namespace paddle

#endif  // MOBILESEG_STANDIN_PADDLE_API_H_
