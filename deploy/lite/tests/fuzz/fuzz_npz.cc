#include <cstddef>
#include <cstdint>

#include "mobileseg/error.h"
#include "npz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    mobileseg::parse_npz(data, size, "fuzzed", std::size_t{1} << 20);
  } catch (const mobileseg::Error&) {
  }
  try {
    mobileseg::parse_npy(data, size, "fuzzed");
  } catch (const mobileseg::Error&) {
  }
  return 0;
}
