#include "nb_header.h"

#include <algorithm>
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

// The rest of a file, field after field.
class Walk {
 public:
  Walk(std::istream* file, std::uint64_t left) : file_(file), left_(left) {}

  std::uint64_t left() const { return left_; }

  // A little-endian number of so many bytes; false at the end of the file.
  bool number(int bytes, std::uint64_t* value) {
    unsigned char raw[8] = {};
    if (left_ < static_cast<std::uint64_t>(bytes)) return false;
    if (!file_->read(reinterpret_cast<char*>(raw), bytes)) return false;
    left_ -= static_cast<std::uint64_t>(bytes);
    *value = 0;
    for (int i = bytes; i-- > 0;) *value = *value << 8 | raw[i];
    return true;
  }

  bool skip(std::uint64_t bytes) {
    if (left_ < bytes) return false;
    left_ -= bytes;
    return static_cast<bool>(file_->seekg(static_cast<std::streamoff>(bytes), std::ios::cur));
  }

 private:
  std::istream* file_;
  std::uint64_t left_;
};

// Behind the version (Paddle Lite 2.10 to 2.13): the length of the graph, in 64 bits, and the graph; then the
// weights. In layout 1 they are one block up to the end. In layout 2: 16 bits that are 0; two blocks, each
// behind its length in 16 bits, the second beginning with the number of weights (16 bits); then each weight
// behind its length and the length of what precedes its data (32 bits each, the latter counts itself).
bool adds_up(Walk walk, unsigned layout) {
  std::uint64_t length = 0;
  if (!walk.number(8, &length) || !walk.skip(length)) return false;
  if (layout == 1) return walk.left() > 0;
  std::uint64_t format = 0, count = 0;
  if (!walk.number(2, &format) || format != 0) return false;
  if (!walk.number(2, &length) || !walk.skip(length)) return false;
  if (!walk.number(2, &length) || length < 6 || !walk.number(2, &count) || !walk.skip(length - 2))
    return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t total = 0, before = 0;
    if (!walk.number(4, &total) || !walk.number(4, &before)) return false;
    if (before < 4 || total < before || !walk.skip(total - 4)) return false;
  }
  return walk.left() == 0;
}

}  // namespace

std::string nb_version(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : 0;
  file.seekg(0);
  return nb_version(file, static_cast<std::uint64_t>(std::max<std::streamoff>(size, 0)), path);
}

std::string nb_version(std::istream& file, std::uint64_t size, const std::string& path) {
  char head[2 + kVersionLength] = {};
  file.read(head, sizeof head);
  const unsigned layout = static_cast<unsigned char>(head[0]) + 256U * static_cast<unsigned char>(head[1]);
  const std::string version(head + 2, strnlen(head + 2, kVersionLength));
  if (file.gcount() != static_cast<std::streamsize>(sizeof head) || layout > kNewestLayout ||
      release_of(version).empty()) {
    throw Error(ErrorKind::kRuntime, path + " is no .nb file of Paddle Lite", "export the folder again");
  }
  if (layout > 0 && !adds_up(Walk(&file, size - sizeof head), layout)) {
    throw Error(ErrorKind::kRuntime, path + " is damaged: the lengths inside do not add up to its own",
                "copy the folder again, or export it again");
  }
  return version;
}

bool versions_fit(const std::string& runtime, const std::string& graph) {
  const std::string release = release_of(runtime);
  return !release.empty() && release == release_of(graph);
}

}  // namespace mobileseg
