// The frame of a .nb file: enough to refuse a file that would end the process, such as one that was cut
// short.
#ifndef MOBILESEG_SRC_NB_HEADER_H_
#define MOBILESEG_SRC_NB_HEADER_H_

#include <cstdint>
#include <istream>
#include <string>

namespace mobileseg {

// Version of the converter that wrote a .nb, for example 'v2.13-rc'. Throws Error(kRuntime) when it is no
// .nb, or the lengths inside do not add up to its own.
std::string nb_version(const std::string& path);
std::string nb_version(std::istream& file, std::uint64_t size, const std::string& path);

// Whether a runtime may load a graph: major and minor number agree. A version without numbers, as a runtime
// that was built from a branch has, agrees with none.
bool versions_fit(const std::string& runtime, const std::string& graph);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_NB_HEADER_H_
