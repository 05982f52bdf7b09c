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
  // A .nb of another version than the runtime's is refused: some load, some end the process.
  bool any_version = false;
};

// Runs the graphs of one folder, by their names and with the names of tensors that the manifest has.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual std::string name() const = 0;     // key of its files in the manifest: 'lite_arm', 'lite_x86'
  virtual std::string version() const = 0;  // of the runtime
  virtual const std::vector<OutputSpec>& outputs(const std::string& graph) const = 0;

  // Begins a run of a graph in a frame whose image becomes a tensor of this size. From here to the end of
  // `run` a graph is for one thread; different graphs may be in use by different ones.
  virtual void begin(const std::string& graph, Size size) = 0;
  // Memory of an input, to be filled before `run`.
  virtual void* input(const std::string& graph, const TensorSpec& spec, const Shape& shape) = 0;
  // Has a graph read an input where it lies, without a copy; the memory stays as it is until `run` has ended.
  virtual void share(const std::string& graph, const TensorSpec& spec, const TensorView& value) = 0;
  // Runs a graph; the views, in the order of `outputs(graph)`, last until it runs again.
  virtual const std::vector<TensorView>& run(const std::string& graph) = 0;
};

// Whether this build has an engine; when not, `make_engine` throws Error(kDependency).
bool has_engine();

// Loads a folder's graphs into the engine of this build, after checking the files' hashes and versions.
std::unique_ptr<Engine> make_engine(const Manifest& manifest, const EngineOptions& options);

// Whether a tensor is of a type and shape; -1 stands for any positive number, no dimensions for any shape.
bool fits(const TensorView& value, DType dtype, const Shape& shape);

// Throws Error(kRuntime) when an output is not as the manifest says.
void check_output(const OutputSpec& spec, const TensorView& value, const std::string& engine);

}  // namespace mobileseg

#endif  // MOBILESEG_ENGINE_H_
