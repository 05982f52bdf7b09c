#include "graph_step.h"

#include "mobileseg/error.h"

namespace mobileseg {

void give_input(Engine* engine, const std::string& graph, const TensorSpec& spec, const TensorView& value) {
  if (!fits(value, spec.dtype, spec.shape)) {
    throw Error(ErrorKind::kRuntime,
                "the graph '" + graph + "' takes '" + spec.name + "' as " + name_of(spec.dtype) + " " +
                    spec.shape.str() + ", and is given " + name_of(value.dtype) + " " + value.shape.str(),
                "export the folder again");
  }
  engine->share(graph, spec, value);
}

}  // namespace mobileseg
