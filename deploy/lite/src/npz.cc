#include "npz.h"

#include <zlib.h>

#include <cstring>

#include "files.h"
#include "mobileseg/error.h"

namespace mobileseg {
namespace {

[[noreturn]] void refuse(const std::string& source, const std::string& reason) {
  throw Error(ErrorKind::kRuntime, source + " cannot be read: " + reason,
              "copy the folder again, or export it again");
}

// Bytes of a file with every access checked against the end.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size, const std::string& source)
      : data_(data), size_(size), source_(source) {}

  std::size_t size() const { return size_; }

  const std::uint8_t* at(std::size_t offset, std::size_t count) const {
    if (offset > size_ || count > size_ - offset) refuse(source_, "it ends too early");
    return data_ + offset;
  }

  std::uint32_t u16(std::size_t offset) const {
    const std::uint8_t* b = at(offset, 2);
    return static_cast<std::uint32_t>(b[0] | b[1] << 8);
  }

  std::uint32_t u32(std::size_t offset) const { return u16(offset) | u16(offset + 2) << 16; }

  std::string text(std::size_t offset, std::size_t count) const {
    return std::string(reinterpret_cast<const char*>(at(offset, count)), count);
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  const std::string& source_;
};

// The value behind a key of a .npy header, a Python dictionary literal with three fixed keys.
std::string header_value(const std::string& header, const std::string& key, const std::string& source) {
  const std::size_t found = header.find("'" + key + "':");
  if (found == std::string::npos) refuse(source, "its header has no '" + key + "'");
  const std::size_t start = header.find_first_not_of(' ', found + key.size() + 3);
  if (start == std::string::npos) refuse(source, "its header ends too early");
  const char closing = header[start] == '(' ? ')' : ',';
  const std::size_t end = header.find(closing, start);
  if (end == std::string::npos) refuse(source, "its header ends too early");
  return header.substr(start, end - start);
}

DType dtype_of(const std::string& descr, const std::string& source) {
  static const std::map<std::string, DType> kTypes = {{"'<f4'", DType::kFloat32}, {"'<f8'", DType::kFloat64},
                                                      {"'<i4'", DType::kInt32},   {"'<i8'", DType::kInt64},
                                                      {"'|u1'", DType::kUint8},   {"'|b1'", DType::kBool}};
  if (descr.compare(0, 3, "'<U") == 0) return DType::kInt32;  // text: a number per character
  const auto found = kTypes.find(descr);
  if (found == kTypes.end()) refuse(source, "it holds elements of type " + descr);
  return found->second;
}

Shape shape_of(const std::string& text, const std::string& source) {
  if (text.empty() || text[0] != '(') refuse(source, "its shape is '" + text + "'");
  Shape shape;
  std::int64_t number = -1;
  std::int64_t count = 1;
  for (const char c : text.substr(1) + ",") {
    if (c >= '0' && c <= '9') {
      number = (number < 0 ? 0 : number) * 10 + (c - '0');
      if (number > std::int64_t{1} << 31) refuse(source, "its shape (" + text + ") is too large");
    } else if (c == ',') {
      if (number < 0) continue;  // the comma that closes a tuple of one
      if (shape.rank() == Shape::kMaxRank) refuse(source, "it has more than 6 dimensions");
      shape.push_back(number);
      count *= number;
      if (count > std::int64_t{1} << 31) refuse(source, "its shape " + shape.str() + " is too large");
      number = -1;
    } else if (c != ' ') {
      refuse(source, "its shape is " + text);
    }
  }
  return shape;
}

struct Member {
  std::string name;
  std::uint32_t method;
  std::uint32_t packed;
  std::uint32_t size;
  std::uint32_t crc;
  std::size_t offset;  // of its local header
};

std::vector<std::uint8_t> unpacked(const Bytes& file, const Member& member, const std::string& source) {
  if (file.u32(member.offset) != 0x04034b50U) refuse(source, member.name + " is not where the archive says");
  const std::size_t start = member.offset + 30 + file.u16(member.offset + 26) + file.u16(member.offset + 28);
  const std::uint8_t* packed = file.at(start, member.packed);
  std::vector<std::uint8_t> content;
  if (member.method == 0) {
    if (member.packed != member.size) refuse(source, member.name + " has two sizes");
    content.assign(packed, packed + member.packed);
  } else if (member.method == 8) {
    // Deflate packs at most 1032 to 1: a larger claim is a lie, and memory is not reserved for it.
    if (member.size / 1032U > member.packed) refuse(source, member.name + " claims an impossible size");
    content.resize(member.size);
    z_stream stream{};
    stream.next_in = const_cast<Bytef*>(packed);
    stream.avail_in = member.packed;
    std::uint8_t nowhere = 0;
    stream.next_out = content.empty() ? &nowhere : content.data();
    stream.avail_out = member.size;
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) refuse(source, "zlib cannot start");
    const int code = inflate(&stream, Z_FINISH);
    const bool whole = code == Z_STREAM_END && stream.total_out == member.size;
    inflateEnd(&stream);
    if (!whole) refuse(source, member.name + " is damaged");
  } else {
    refuse(source, member.name + " is packed by method " + std::to_string(member.method));
  }
  if (crc32(0L, content.data(), static_cast<uInt>(content.size())) != member.crc) {
    refuse(source, member.name + " is damaged (its CRC differs)");
  }
  return content;
}

// Offset of the record that ends the archive; a comment of up to 65535 bytes may follow it.
std::size_t end_record(const Bytes& file, const std::string& source) {
  if (file.size() < 22) refuse(source, "it is no zip archive");
  const std::size_t last = file.size() - 22;
  for (std::size_t back = 0; back <= last && back <= 65535; ++back) {
    if (file.u32(last - back) == 0x06054b50U) return last - back;
  }
  refuse(source, "it is no zip archive");
}

}  // namespace

Array parse_npy(const std::uint8_t* data, std::size_t size, const std::string& source) {
  const Bytes file(data, size, source);
  if (std::memcmp(file.at(0, 8), "\x93NUMPY", 6) != 0) refuse(source, "it is no .npy array");
  const bool wide = data[6] >= 2;
  const std::size_t start = wide ? 12 : 10;
  const std::size_t length = wide ? file.u32(8) : file.u16(8);
  const std::string header = file.text(start, length);
  Array array;
  const std::string descr = header_value(header, "descr", source);
  array.dtype = dtype_of(descr, source);
  array.shape = shape_of(header_value(header, "shape", source), source);
  if (descr.compare(0, 3, "'<U") == 0) {
    if (array.shape.rank() != 0) refuse(source, "it holds several texts");
    array.shape = shape_of("(" + descr.substr(3, descr.size() - 4), source);
  }
  const bool fortran = header_value(header, "fortran_order", source) != "False";
  if (fortran && array.shape.rank() > 1) refuse(source, "its elements are in Fortran order");
  const std::size_t count = static_cast<std::size_t>(array.shape.count()) * size_of(array.dtype);
  const std::uint8_t* content = file.at(start + length, count);
  array.bytes.assign(content, content + count);
  return array;
}

Array read_npy(const std::string& path) {
  const std::string content = read_file(path, std::size_t{1} << 28);
  return parse_npy(reinterpret_cast<const std::uint8_t*>(content.data()), content.size(), path);
}

std::map<std::string, Array> parse_npz(const std::uint8_t* data, std::size_t size, const std::string& source,
                                       std::size_t limit) {
  const Bytes file(data, size, source);
  const std::size_t end = end_record(file, source);
  const std::uint32_t count = file.u16(end + 10);
  std::size_t place = file.u32(end + 16);
  std::map<std::string, Array> arrays;
  std::size_t total = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (file.u32(place) != 0x02014b50U) refuse(source, "its directory is damaged");
    const std::uint32_t name_length = file.u16(place + 28);
    Member member{file.text(place + 46, name_length),
                  file.u16(place + 10),
                  file.u32(place + 20),
                  file.u32(place + 24),
                  file.u32(place + 16),
                  file.u32(place + 42)};
    place += 46 + name_length + file.u16(place + 30) + file.u16(place + 32);
    total += member.size;
    if (total > limit) refuse(source, "it unpacks to more than " + std::to_string(limit) + " bytes");
    std::string name = member.name;
    const std::string suffix = ".npy";
    if (name.size() > 4 && name.compare(name.size() - 4, 4, suffix) == 0) name.resize(name.size() - 4);
    const std::vector<std::uint8_t> content = unpacked(file, member, source);
    arrays[name] = parse_npy(content.data(), content.size(), source + ": " + member.name);
  }
  return arrays;
}

std::map<std::string, Array> read_npz(const std::string& path) {
  const std::string content = read_file(path, std::size_t{1} << 30);
  return parse_npz(reinterpret_cast<const std::uint8_t*>(content.data()), content.size(), path);
}

}  // namespace mobileseg
