#include <cstddef>
#include <cstdint>
#include <string>

#include "mobileseg/error.h"
#include "mobileseg/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    mobileseg::Manifest::parse(std::string(reinterpret_cast<const char*>(data), size), "fuzzed");
  } catch (const mobileseg::Error&) {  // anything else is a fault
  }
  return 0;
}
