#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "encoded.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string file(reinterpret_cast<const char*>(data), size);
  mobileseg::is_complete(file);
  const int orientation = mobileseg::orientation_of(file);
  if (orientation < 1 || orientation > 8) std::abort();
  return 0;
}
