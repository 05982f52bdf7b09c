#include "mobileseg/engine.h"

#include "mobileseg/error.h"

namespace mobileseg {

void check_output(const OutputSpec& spec, const TensorView& value, const std::string& engine) {
  if (value.data == nullptr) {
    throw Error(ErrorKind::kRuntime, engine + ": output '" + spec.name + "' holds no data",
                "export the folder again");
  }
  bool fits = value.dtype == spec.dtype && value.shape.rank() == spec.shape.rank();
  for (int axis = 0; fits && axis < spec.shape.rank(); ++axis) {
    const bool open = spec.shape[axis] == -1;
    fits = open ? value.shape[axis] > 0 : value.shape[axis] == spec.shape[axis];
  }
  if (fits) return;
  throw Error(ErrorKind::kRuntime,
              engine + ": output '" + spec.name + "' is " + name_of(value.dtype) + " " + value.shape.str() +
                  ", the manifest says " + name_of(spec.dtype) + " " + spec.shape.str() +
                  ": the graph is not the one that was exported",
              "export the folder again");
}

}  // namespace mobileseg
