// The tolerances of the comparison with a reference: the numbers of mobileseg/export/compare.py, where they
// are explained; a test of the Python side holds the two together.
#ifndef MOBILESEG_SRC_TOLERANCES_H_
#define MOBILESEG_SRC_TOLERANCES_H_

namespace mobileseg {

constexpr double kOutputLimit = 1e-3;   // in standard deviations of the reference
constexpr double kInputLimit = 1e-5;    // in parts of the largest value that a pixel can become
constexpr double kRoundedShare = 1e-3;  // of byte inputs: may differ by 1
constexpr double kSteepness = 2.0;      // of probabilities p, times p * (1 - p) and the limit of the logits

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_TOLERANCES_H_
