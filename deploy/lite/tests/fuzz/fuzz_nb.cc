#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "mobileseg/error.h"
#include "nb_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream file(std::string(reinterpret_cast<const char*>(data), size));
  try {
    mobileseg::versions_fit("v2.13-rc", mobileseg::nb_version(file, size, "fuzzed"));
  } catch (const mobileseg::Error&) {
  }
  return 0;
}
