// Frames one after the other: graphs that hand tensors to each other, and what is kept from frame to frame.
#ifndef MOBILESEG_SRC_TENSOR_STREAM_H_
#define MOBILESEG_SRC_TENSOR_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ahead.h"
#include "background.h"
#include "graph_step.h"
#include "mobileseg/engine.h"
#include "mobileseg/manifest.h"
#include "task.h"

namespace mobileseg {

// Runs pipelines of graphs. A graph reads the outputs of those before it where they lie; what later frames
// take is copied once, as the graph that gave it writes there again.
class TensorStream {
 public:
  // All must outlive it.
  TensorStream(const Manifest& manifest, Engine* engine, Background* background);

  // Begins a frame whose image becomes a tensor of this size; memory of that tensor, to be filled before
  // `run`. Throws Error(kRuntime) when there is no such pipeline, or it takes a tensor of an earlier frame
  // that none gave.
  void* begin(const StepPlan& step, Size size);
  // Runs the graphs; the outputs last until the next frame of any stream of the engine.
  FrameOutputs run();
  // Forgets all frames.
  void reset();
  // Whether tensors of earlier frames are kept.
  bool keeps() const;

 private:
  // Where a tensor is: the image, an output of a step, or in a slot.
  struct Source {
    enum class Kind { kImage, kMade, kKept } kind;
    std::size_t step = 0;
    std::size_t place = 0;
  };
  using Step = GraphStep<Source>;
  struct Keeping {
    std::size_t slot;
    Source source;
  };
  struct Plan {
    std::vector<Step> steps;
    std::vector<OutputSpec> specs;  // outputs of all steps
    std::vector<Keeping> kept;
  };
  struct Slot {
    std::string name;
    bool filled = false;
    OwnedTensor now;
    OwnedTensor next;  // of this frame, until all that is kept has been copied
  };
  // What is computed in the background of a frame.
  struct Later {
    std::vector<Source> copied;      // in the order of the job's copies
    std::vector<std::size_t> slots;  // in the order of its results
    std::unique_ptr<Ahead> job;
  };
  using Known = std::map<std::string, Source>;

  Plan plan_of(const std::string& pipeline);
  Source source_of(const Known& made, const std::string& name);
  const TensorView& view_of(const Source& source) const;
  void feed(const Step& step);
  void keep();
  std::vector<std::string> needed(const std::string& pipeline) const;
  Later later_of(const Plan& plan, const std::string& pipeline, const std::string& ahead);
  void take_later();

  const Manifest* manifest_;
  Engine* engine_;
  Background* background_;
  std::map<std::string, Plan> plans_;
  std::vector<Slot> slots_;
  Plan* plan_ = nullptr;
  Size input_;
  std::map<std::pair<std::string, std::string>, Later>
      laters_;                   // by the pipeline of the frame, and the other
  Later* next_later_ = nullptr;  // to be begun by this frame
  int next_delay_ = 0;
  Later* coming_ = nullptr;  // on the way
  int left_ = 0;             // frames until it is taken
  TensorView image_;
  std::vector<std::uint8_t> image_bytes_;  // of a pipeline none of whose graphs takes the image
  std::vector<TensorView> values_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_TENSOR_STREAM_H_
