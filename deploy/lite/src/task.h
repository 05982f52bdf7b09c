// What the core asks of a task. Its source file implements this, tasks.cc has a row for it; nothing else
// knows which tasks there are.
#ifndef MOBILESEG_SRC_TASK_H_
#define MOBILESEG_SRC_TASK_H_

#include <memory>
#include <string>
#include <vector>

#include "compare.h"
#include "golden.h"
#include "mobileseg/manifest.h"
#include "mobileseg/result.h"
#include "mobileseg/selftest.h"
#include "mobileseg/tensor.h"
#include "mobileseg/tracking.h"
#include "preprocess.h"

namespace mobileseg {

class Field;

// What the graphs of one frame gave, in the order in which they ran.
struct FrameOutputs {
  const std::vector<OutputSpec>& specs;
  const std::vector<TensorView>& values;
};

// What a frame runs: pipelines of graphs, by names that last as long as the `Pipeline` that gave them.
struct StepPlan {
  const std::string* pipeline;
  // Another pipeline, whose tensors of this frame are what later frames take, or null. Those of its graphs
  // that the frame does not run anyway are run in the background.
  const std::string* ahead = nullptr;
  int delay = 0;  // frames from this one to the first that takes them; at least 1 with `ahead`
};

// The way from the frames of one stream to results; keeps what the task knows of earlier frames.
class Pipeline {
 public:
  virtual ~Pipeline() = default;
  virtual StepPlan next(const ImageView& image) = 0;  // what the next frame runs
  // Fills what the task knows of a result. Throws Error(kRuntime) for outputs that make no result.
  virtual void finish(const FrameOutputs& outputs, const Geometry& place, Result* result) = 0;
  // Whether something is known that holds for frames of one size alone.
  virtual bool remembers() const { return false; }
  virtual void reset() {}
  // Gives the objects of the stream ids from now on. Throws Error(kUsage) where results have no objects.
  virtual void track(const TrackingOptions& options);
  // Averages class probabilities with those of earlier frames, by this weight of theirs. Throws Error(kUsage)
  // for another weight than from 0 to below 1 and where results have no labels, Error(kRuntime) where graphs
  // give no probabilities.
  virtual void smooth(double weight);
};

// How much two results have in common.
struct Share {
  double equal = 0;
  double all = 0;
};

class Task {
 public:
  virtual ~Task() = default;

  virtual ResultForm form() const = 0;
  // Reads the task's section of a manifest, null when there is none, and what it says of classes. The rest of
  // the manifest has been read. Throws Error(kRuntime).
  virtual std::shared_ptr<const TaskSettings> settings(const Field* section, Manifest* manifest) const = 0;
  // What is wrong with the outputs of a manifest without other faults, '' when nothing is.
  virtual std::string problem(const Manifest& manifest) const = 0;
  // `outputs` are those of the engine's graphs. Throws Error(kRuntime).
  virtual std::unique_ptr<Pipeline> pipeline(const Manifest& manifest,
                                             const std::vector<OutputSpec>& outputs) const = 0;

  // The self test: one output of an engine against the reference; `scale` receives a standard deviation.
  virtual Difference compare_output(const Golden& golden, int item, const OutputSpec& spec,
                                    const TensorView& value, double* scale) const = 0;
  // From the stored outputs to the stored results.
  virtual Check replay(const Manifest& manifest, const std::vector<OutputSpec>& outputs,
                       const Golden& golden) const = 0;
  virtual Share share(const Result& result, const Golden& golden, int item) const = 0;
  virtual const char* shared() const = 0;  // what the share is of: 'labels'
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_TASK_H_
