#include "mobileseg/engine.h"

#include "mobileseg/error.h"

namespace mobileseg {

bool fits(const TensorView& value, DType dtype, const Shape& shape) {
  if (value.dtype != dtype) return false;
  if (shape.rank() == 0) return true;
  if (value.shape.rank() != shape.rank()) return false;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool same = shape[axis] == -1 ? value.shape[axis] > 0 : value.shape[axis] == shape[axis];
    if (!same) return false;
  }
  return true;
}

void check_output(const OutputSpec& spec, const TensorView& value, const std::string& engine) {
  if (value.data == nullptr) {
    throw Error(ErrorKind::kRuntime, engine + ": output '" + spec.name + "' holds no data",
                "export the folder again");
  }
  if (fits(value, spec.dtype, spec.shape)) return;
  throw Error(ErrorKind::kRuntime,
              engine + ": output '" + spec.name + "' is " + name_of(value.dtype) + " " + value.shape.str() +
                  ", the manifest says " + name_of(spec.dtype) + " " + spec.shape.str() +
                  ": the graph is not the one that was exported",
              "export the folder again");
}

}  // namespace mobileseg
