// Values of a network that are no numbers: comparisons with them are false, casts of them undefined.
#ifndef MOBILESEG_SRC_NUMBERS_H_
#define MOBILESEG_SRC_NUMBERS_H_

#include <cstddef>

namespace mobileseg {

// Both throw Error(kRuntime); `what` begins the message, as in "scores".
void require_no_nan(const char* what, const float* values, std::size_t count);
void require_finite(const char* what, const float* values, std::size_t count);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_NUMBERS_H_
