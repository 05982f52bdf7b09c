// Counts the calls of operator new in this program.
#ifndef MOBILESEG_TESTS_ALLOCATION_COUNTER_H_
#define MOBILESEG_TESTS_ALLOCATION_COUNTER_H_

#include <cstddef>

std::size_t allocations();

#endif  // MOBILESEG_TESTS_ALLOCATION_COUNTER_H_
