#include "nb_header.h"

#include <cctype>
#include <cstddef>
#include <cstring>
#include <fstream>

#include "mobileseg/error.h"

namespace mobileseg {
namespace {

constexpr std::size_t kVersionLength = 16;
constexpr unsigned kNewestLayout = 2;  // of the file, a 16-bit number before the version

// 'v2.13-rc' and '2.13.0' both give '2.13'; '' when there are no two numbers.
std::string release_of(const std::string& version) {
  std::size_t end = version.find_first_of("0123456789");
  if (end == std::string::npos) return "";
  const std::size_t start = end;
  int dots = 0;
  for (; end < version.size(); ++end) {
    if (version[end] == '.' && ++dots == 2) break;
    if (version[end] != '.' && std::isdigit(static_cast<unsigned char>(version[end])) == 0) break;
  }
  return dots == 0 ? "" : version.substr(start, end - start);
}

}  // namespace

std::string nb_version(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char head[2 + kVersionLength] = {};
  file.read(head, sizeof head);
  const unsigned layout = static_cast<unsigned char>(head[0]) + 256U * static_cast<unsigned char>(head[1]);
  const std::string version(head + 2, strnlen(head + 2, kVersionLength));
  if (file.gcount() != static_cast<std::streamsize>(sizeof head) || layout > kNewestLayout ||
      release_of(version).empty()) {
    throw Error(ErrorKind::kRuntime, path + " is no .nb file of Paddle Lite", "export the folder again");
  }
  return version;
}

bool versions_fit(const std::string& runtime, const std::string& graph) {
  const std::string release = release_of(runtime);
  return !release.empty() && release == release_of(graph);
}

}  // namespace mobileseg
