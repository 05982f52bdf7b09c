// Video networks with queries (MobileInst): the part of the task `video` that is theirs alone.
#ifndef MOBILESEG_SRC_QUERY_TASK_H_
#define MOBILESEG_SRC_QUERY_TASK_H_

#include <memory>
#include <string>
#include <vector>

#include "query_settings.h"
#include "task.h"

namespace mobileseg {

// A kind of outputs, [1, k, h, w]; export keeps it as it keeps tensors between graphs.
constexpr const char* kMaskFeatures = "mask_features";

// As the functions of `Task`.
std::string query_problem(const Manifest& manifest);
Check replay_queries(const Manifest& manifest, const Golden& golden);

// Objects of the frames of a stream from kernels. A frame whose graphs give answers of queries is a key
// frame; the others use its kernels.
class QueryObjects : public Pipeline {
 public:
  explicit QueryObjects(const Manifest& manifest);
  ~QueryObjects() override;

  StepPlan next(const ImageView& image) override;  // every frame by itself is a key frame
  void finish(const FrameOutputs& outputs, const Geometry& place, Result* result) override;
  bool remembers() const override;
  void reset() override;
  // Gives objects the ids of their kernels; those that belong to no track have the id -1. Of the options the
  // score counts, from which a track begins; Error(kUsage) for others than the usual ones.
  void track(const TrackingOptions& options) override;

  // The masks of the latest frame were too unsure for its kernels to serve another one.
  bool stale() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_QUERY_TASK_H_
