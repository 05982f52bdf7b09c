// What runs a graph. Nothing else in the library knows which engine it is.
#ifndef MOBILESEG_ENGINE_H_
#define MOBILESEG_ENGINE_H_

#include <memory>
#include <string>
#include <vector>

#include "mobileseg/manifest.h"
#include "mobileseg/tensor.h"

namespace mobileseg {

// Which cores a phone runs the engine on, as Paddle Lite names them.
enum class PowerMode { kHigh, kLow, kFull, kNoBind, kRandHigh, kRandLow };

struct EngineOptions {
  int threads = 1;
  PowerMode power = PowerMode::kNoBind;
  std::string graph = "main";
  // A .nb of another version than the runtime's is refused: some load, some end the process.
  bool any_version = false;
};

class Engine {
 public:
  virtual ~Engine() = default;

  virtual std::string name() const = 0;     // key of its files in the manifest: 'lite_arm', 'lite_x86'
  virtual std::string version() const = 0;  // of the runtime
  virtual const std::vector<OutputSpec>& outputs() const = 0;

  // Memory of the graph's input for a picture of this size, to be filled before `run`.
  virtual void* input(Size size) = 0;
  // Runs the graph; the views, in the order of `outputs()`, last until the next call.
  virtual const std::vector<TensorView>& run() = 0;
};

// Whether this build has an engine; when not, `make_engine` throws Error(kDependency).
bool has_engine();

// Loads a folder's graph into the engine of this build, after checking the file's hash and version.
std::unique_ptr<Engine> make_engine(const Manifest& manifest, const EngineOptions& options);

// Throws Error(kRuntime) when an output is not as the manifest says.
void check_output(const OutputSpec& spec, const TensorView& value, const std::string& engine);

}  // namespace mobileseg

#endif  // MOBILESEG_ENGINE_H_
