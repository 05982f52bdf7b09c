#include "files.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "mobileseg/error.h"

namespace mobileseg {
namespace {

bool has_mode(const std::string& path, unsigned mode) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 && (found.st_mode & S_IFMT) == mode;
}

}  // namespace

bool is_file(const std::string& path) {
  return has_mode(path, S_IFREG);
}

bool is_folder(const std::string& path) {
  return has_mode(path, S_IFDIR);
}

bool is_link(const std::string& path) {
  struct stat found {};
  return lstat(path.c_str(), &found) == 0 && S_ISLNK(found.st_mode);
}

void make_folders(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (!part.empty() && !is_folder(part) && mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) {
      throw Error(ErrorKind::kData, "cannot make the folder " + part + ": " + std::strerror(errno));
    }
    if (end == std::string::npos) return;
  }
}

std::string read_file(const std::string& path, std::size_t limit) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || is_folder(path)) throw Error(ErrorKind::kRuntime, path + " cannot be read");
  const std::streamoff size = file.tellg();
  if (size < 0 || static_cast<std::uint64_t>(size) > limit) {
    throw Error(ErrorKind::kRuntime, path + " has " + std::to_string(size) + " bytes, at most " +
                                         std::to_string(limit) + " are expected");
  }
  std::string content(static_cast<std::size_t>(size), '\0');
  file.seekg(0);
  file.read(&content[0], size);
  if (file.gcount() != size) throw Error(ErrorKind::kRuntime, path + " cannot be read to its end");
  return content;
}

void write_file(const std::string& path, const void* data, std::size_t size) {
  const std::string partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
  file.close();
  if (!file || std::rename(partial.c_str(), path.c_str()) != 0) {
    const std::string reason = std::strerror(errno);
    std::remove(partial.c_str());
    throw Error(ErrorKind::kData, "cannot write " + path + ": " + reason);
  }
}

void write_file(const std::string& path, const std::string& content) {
  write_file(path, content.data(), content.size());
}

}  // namespace mobileseg
