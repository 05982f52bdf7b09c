#include "mobileseg/engine.h"

#include "mobileseg/error.h"

namespace mobileseg {

void check_output(const OutputSpec& spec, const TensorView& value, const std::string& engine) {
  bool fits = value.dtype == spec.dtype && value.shape.rank() == spec.shape.rank();
  for (int axis = 0; fits && axis < spec.shape.rank(); ++axis) {
    const bool open = spec.shape[axis] == -1;
    fits = open ? value.shape[axis] > 0 : value.shape[axis] == spec.shape[axis];
  }
  if (fits && value.data != nullptr) return;
  throw Error(ErrorKind::kRuntime,
              engine + ": output '" + spec.name + "' is " + name_of(value.dtype) + " " + value.shape.str() +
                  ", the manifest says " + name_of(spec.dtype) + " " + spec.shape.str() +
                  ": the graph is not the one that was exported",
              "export the folder again");
}

}  // namespace mobileseg
