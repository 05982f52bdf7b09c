#ifndef MOBILESEG_SRC_SHA256_H_
#define MOBILESEG_SRC_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mobileseg {

// SHA-256 (FIPS 180-4). Our own because a phone has no library for it that a program may link.
class Sha256 {
 public:
  void update(const void* data, std::size_t size);
  std::string hex();  // ends the message

 private:
  void block(const std::uint8_t* bytes);

  std::array<std::uint32_t, 8> state_{{0x6a09e667U, 0xbb67ae85U, 0x3c6ef372U, 0xa54ff53aU, 0x510e527fU,
                                       0x9b05688cU, 0x1f83d9abU, 0x5be0cd19U}};
  std::array<std::uint8_t, 64> pending_{};
  std::size_t filled_ = 0;
  std::uint64_t length_ = 0;
};

// Hexadecimal hash of a file, read in blocks; throws Error(kRuntime) when it cannot be read.
std::string sha256_of_file(const std::string& path);
std::string sha256_of(const std::string& content);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_SHA256_H_
