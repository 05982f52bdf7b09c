// The part of the self test for graphs that round differently on purpose, int8 ones: how much their results
// have in common with the reference.
#ifndef MOBILESEG_SRC_SHARE_SELFTEST_H_
#define MOBILESEG_SRC_SHARE_SELFTEST_H_

#include "golden.h"
#include "mobileseg/engine.h"
#include "mobileseg/manifest.h"
#include "mobileseg/selftest.h"

namespace mobileseg {

// The stage 'inference' of a folder whose manifest says `least_equal`: of labels, the share of equal pixels;
// of instances, the share of the scores of those that both have: of one class, boxes overlapping by at least
// half.
Check check_share(const Manifest& manifest, const Golden& golden, Engine* engine);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_SHARE_SELFTEST_H_
