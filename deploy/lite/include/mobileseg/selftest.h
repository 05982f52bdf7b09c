// Replays what export stored in golden.npz, stage by stage, and says where an answer first differs.
#ifndef MOBILESEG_SELFTEST_H_
#define MOBILESEG_SELFTEST_H_

#include <string>
#include <vector>

#include "mobileseg/engine.h"
#include "mobileseg/manifest.h"

namespace mobileseg {

struct Check {
  enum class Status { kOk, kFailed, kSkipped };

  std::string stage;  // 'files', 'preprocess', 'inference', 'postprocess'
  Status status = Status::kOk;
  std::string detail;  // where it first differs, why it was skipped, or how close it is
};

// The stages in the order in which an image goes through them. `engine` may be null: inference is skipped
// then. Throws Error(kRuntime) when the folder has no reference or it cannot be read.
std::vector<Check> selftest(const Manifest& manifest, Engine* engine);

}  // namespace mobileseg

#endif  // MOBILESEG_SELFTEST_H_
