// The part of the self test that knows instances.
#ifndef MOBILESEG_SRC_INSTANCE_SELFTEST_H_
#define MOBILESEG_SRC_INSTANCE_SELFTEST_H_

#include <vector>

#include "task.h"

namespace mobileseg {

// One output of an engine against what is kept of the reference: some anchors, every so many-th prototype
// pixel. `scale` receives a standard deviation.
Difference compare_instance_output(const Golden& golden, int item, const OutputSpec& spec,
                                   const TensorView& value, double* scale);

// From the stored outputs to the stored instances.
Check check_instances(const Manifest& manifest, const std::vector<OutputSpec>& outputs, const Golden& golden);

// The share of the scores of those instances that both have: of one class, boxes overlapping by at least
// half.
Share share_of_instances(const Result& result, const Golden& golden, int item);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_INSTANCE_SELFTEST_H_
