// The part of the self test that knows labels.
#ifndef MOBILESEG_SRC_SEMANTIC_SELFTEST_H_
#define MOBILESEG_SRC_SEMANTIC_SELFTEST_H_

#include <vector>

#include "task.h"

namespace mobileseg {

// One output of an engine against the reference. Scores must be within the limit, and their best class that
// of the reference; labels must be equal. Where the two best scores of the reference are nearly equal, either
// class is right. `scale` receives a standard deviation.
Difference compare_semantic_output(const Golden& golden, int item, const OutputSpec& spec,
                                   const TensorView& value, double* scale);

// From the stored outputs to the stored labels.
Check check_labels(const Manifest& manifest, const std::vector<OutputSpec>& outputs, const Golden& golden);

// The share of equal pixels.
Share share_of_labels(const Result& result, const Golden& golden, int item);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_SEMANTIC_SELFTEST_H_
