#ifndef MOBILESEG_SRC_FILES_H_
#define MOBILESEG_SRC_FILES_H_

#include <cstddef>
#include <string>

namespace mobileseg {

bool is_file(const std::string& path);
bool is_folder(const std::string& path);
bool is_link(const std::string& path);       // a symbolic one, whatever it leads to
void make_folders(const std::string& path);  // with its parents; throws Error(kData)

// The whole file; throws Error(kRuntime) when it cannot be read or is larger than `limit`.
std::string read_file(const std::string& path, std::size_t limit);

// Writes under another name first, so a reader never sees half a file. Throws Error(kData).
void write_file(const std::string& path, const void* data, std::size_t size);
void write_file(const std::string& path, const std::string& content);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_FILES_H_
