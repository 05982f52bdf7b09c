// One graph of several that run in turn, and how it is given what it takes.
#ifndef MOBILESEG_SRC_GRAPH_STEP_H_
#define MOBILESEG_SRC_GRAPH_STEP_H_

#include <string>
#include <vector>

#include "mobileseg/engine.h"
#include "mobileseg/tensor.h"

namespace mobileseg {

// `Source` says where a tensor is, for whoever runs the graphs.
template <typename Source>
struct GraphStep {
  std::string graph;
  const std::vector<TensorSpec>* inputs;
  std::vector<Source> sources;                       // in the order of the inputs
  const std::vector<TensorView>* outputs = nullptr;  // once it ran
};

// Hands a tensor to a graph. Throws Error(kRuntime) when it is not of the type and shape that the graph
// takes.
void give_input(Engine* engine, const std::string& graph, const TensorSpec& spec, const TensorView& value);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_GRAPH_STEP_H_
