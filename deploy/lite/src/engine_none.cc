// The engine of a build without Paddle Lite: everything but inference works.
#include "mobileseg/engine.h"
#include "mobileseg/error.h"

namespace mobileseg {

bool has_engine() {
  return false;
}

std::unique_ptr<Engine> make_engine(const Manifest& /*manifest*/, const EngineOptions& /*options*/) {
  throw Error(ErrorKind::kDependency,
              "this program was built without Paddle Lite, so it cannot run a network",
              "build it with -DPADDLE_LITE_DIR=<unpacked release of Paddle Lite>");
}

}  // namespace mobileseg
