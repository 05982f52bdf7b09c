// Numbers and arrays drawn from the bytes of a fuzzer, over and over.
#ifndef MOBILESEG_TESTS_FUZZ_DRAWER_H_
#define MOBILESEG_TESTS_FUZZ_DRAWER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "npz.h"

class Drawer {
 public:
  Drawer(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  int number(int limit) { return size_ == 0 ? 0 : data_[next_++ % size_] % limit; }

  std::vector<std::uint8_t> bytes(std::size_t count) {
    std::vector<std::uint8_t> values(count);
    for (std::uint8_t& value : values) value = static_cast<std::uint8_t>(number(256));
    return values;
  }

  // Any 32 bits, also no number.
  float any_float() {
    const std::vector<std::uint8_t> raw = bytes(sizeof(float));
    float value;
    std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }

  std::string text(std::size_t most) {
    const std::vector<std::uint8_t> raw = bytes(static_cast<std::size_t>(number(static_cast<int>(most) + 1)));
    return std::string(raw.begin(), raw.end());
  }

  // Of a drawn type and shape.
  mobileseg::Array array() {
    using mobileseg::DType;
    static const DType kTypes[] = {DType::kFloat32, DType::kInt32, DType::kInt64, DType::kUint8,
                                   DType::kFloat64};
    mobileseg::Array array;
    array.dtype = kTypes[number(5)];
    const int rank = number(5);
    for (int axis = 0; axis < rank; ++axis) array.shape.push_back(axis == 0 ? 1 + number(2) : number(9));
    array.bytes = bytes(static_cast<std::size_t>(array.shape.count()) * mobileseg::size_of(array.dtype));
    return array;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t next_ = 0;
};

#endif  // MOBILESEG_TESTS_FUZZ_DRAWER_H_
