// The part of the self test that knows instances.
#ifndef MOBILESEG_SRC_INSTANCE_SELFTEST_H_
#define MOBILESEG_SRC_INSTANCE_SELFTEST_H_

#include <vector>

#include "compare.h"
#include "golden.h"
#include "mobileseg/manifest.h"
#include "mobileseg/selftest.h"

namespace mobileseg {

// One output of an engine against what is kept of the reference: some anchors, every so many-th prototype
// pixel. `limit` is in standard deviations, `scale` receives one.
Difference compare_instance_output(const Golden& golden, int item, const OutputSpec& spec,
                                   const TensorView& value, double limit, double* scale);

// From the stored outputs to the stored instances.
Check check_instances(const std::vector<OutputSpec>& outputs, const Manifest& manifest, const Golden& golden);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_INSTANCE_SELFTEST_H_
