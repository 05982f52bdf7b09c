// Arrays in files: .npy, and .npz (a zip archive of them, stored or deflated), as NumPy writes them.
#ifndef MOBILESEG_SRC_NPZ_H_
#define MOBILESEG_SRC_NPZ_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "mobileseg/tensor.h"

namespace mobileseg {

struct Array {
  DType dtype = DType::kFloat32;
  Shape shape;
  std::vector<std::uint8_t> bytes;

  TensorView view() const { return {bytes.data(), dtype, shape}; }
  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(bytes.data());
  }
};

// The array in the content of a .npy file: little-endian, C order, one of the types of DType. A text is an
// int32 array of the numbers of its characters. `source` names the file in messages. Throws Error(kRuntime).
Array parse_npy(const std::uint8_t* data, std::size_t size, const std::string& source);
Array read_npy(const std::string& path);

// The arrays of a .npz; an archive that claims to be larger than `limit` bytes unpacked is refused.
std::map<std::string, Array> parse_npz(const std::uint8_t* data, std::size_t size, const std::string& source,
                                       std::size_t limit = std::size_t{1} << 30);
std::map<std::string, Array> read_npz(const std::string& path);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_NPZ_H_
