#include <doctest/doctest.h>

#include <cstring>

#include "files.h"
#include "fixtures.h"
#include "mobileseg/error.h"
#include "npz.h"

using namespace mobileseg;

namespace {

Array parsed(const std::string& content) {
  return parse_npy(reinterpret_cast<const std::uint8_t*>(content.data()), content.size(), "test.npy");
}

std::string npy(const std::string& header, const std::string& values) {
  std::string content("\x93NUMPY\x01\x00", 8);
  content += static_cast<char>(header.size() & 255);
  content += static_cast<char>(header.size() >> 8);
  return content + header + values;
}

}  // namespace

TEST_CASE("a .npy is read as NumPy wrote it") {
  const float values[6] = {0, 1, 2, 3, 4, 5};
  const std::string bytes(reinterpret_cast<const char*>(values), sizeof values);
  const Array array = parsed(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", bytes));
  CHECK(array.dtype == DType::kFloat32);
  CHECK(array.shape == Shape{2, 3});
  CHECK(array.as<float>()[5] == 5);
  CHECK(parsed(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }\n", bytes)).shape == Shape{6});
  CHECK(parsed(npy("{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", bytes)).shape == Shape{});
  CHECK(parsed(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4), }\n", "")).shape.count() == 0);
}

TEST_CASE("a damaged .npy is refused with its reason") {
  const std::pair<std::string, const char*> wrong[] = {
      {"", "too early"},
      {"\x93NUMP", "too early"},
      {"0123456789", "no .npy"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "1234"), "too early"},
      {npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "12345678"), "type"},
      {npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", "1234"), "Fortran"},
      {npy("{'descr': '<f4', 'fortran_order': False, }", "1234"), "shape"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "1234"), "shape"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': ,(1,), }", "1234"), "shape"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 9), }", "1234"), "too large"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1), }", "1234"), "6 dimensions"},
  };
  for (const auto& pair : wrong) {
    CAPTURE(pair.first);
    CHECK_THROWS_WITH_AS(parsed(pair.first), doctest::Contains(pair.second), Error);
  }
}

TEST_CASE("an .npz is read as NumPy wrote it, and damage is seen wherever it is") {
  const std::string path = fixtures::artefact("labels") + "/golden.npz";
  const std::map<std::string, Array> arrays = read_npz(path);
  CHECK(arrays.at("image.0").shape == Shape{40, 60, 3});
  CHECK(arrays.at("image.0").dtype == DType::kUint8);
  CHECK(arrays.at("close.0").dtype == DType::kBool);
  CHECK(arrays.at("stride.1").shape.rank() == 0);

  const std::string content = read_file(path, 1 << 24);
  std::size_t refused = 0;
  std::size_t tried = 0;
  for (std::size_t at = 0; at < content.size(); at += 101) {
    std::string damaged = content;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    ++tried;
    try {
      parse_npz(reinterpret_cast<const std::uint8_t*>(damaged.data()), damaged.size(), "test.npz");
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > tried * 9 / 10);  // the rest hit dates and other bytes without a meaning
  for (const std::size_t size : {std::size_t{0}, std::size_t{21}, content.size() / 2, content.size() - 1}) {
    CHECK_THROWS_AS(parse_npz(reinterpret_cast<const std::uint8_t*>(content.data()), size, "test.npz"),
                    Error);
  }
  CHECK_THROWS_WITH_AS(
      parse_npz(reinterpret_cast<const std::uint8_t*>(content.data()), content.size(), "test.npz", 1000),
      doctest::Contains("more than 1000 bytes"), Error);
}
