// A command line: words separated by line ends.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "mobileseg/error.h"
#include "options.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
  std::vector<std::string> words{"mobileseg_lite"};
  for (std::string word; std::getline(text, word);) words.push_back(word);
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  try {
    app::parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const mobileseg::Error&) {
  }
  return 0;
}
