#include "encoded.h"

#include <cstddef>
#include <cstdint>

namespace mobileseg {
namespace {

constexpr unsigned kScan = 0xDA;         // JPEG marker: entropy-coded data follow
constexpr unsigned kApplication = 0xE1;  // JPEG marker: the segment of EXIF
constexpr std::size_t kPngHead = 8;
constexpr std::size_t kWebpHead = 12;
constexpr unsigned kOrientation = 0x0112;  // EXIF tag
constexpr unsigned kShort = 3;             // EXIF type: 16 bits

bool starts_with(const std::string& data, std::size_t at, const std::string& text) {
  return data.compare(at < data.size() ? at : data.size(), text.size(), text) == 0;
}

// A number of so many bytes; the caller has checked that they are there.
std::uint32_t number(const std::string& data, std::size_t at, int bytes, bool big_endian) {
  std::uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    const int place = big_endian ? i : bytes - 1 - i;
    value = value << 8 | static_cast<unsigned char>(data[at + static_cast<std::size_t>(place)]);
  }
  return value;
}

bool is_jpeg(const std::string& data) {
  return starts_with(data, 0, "\xff\xd8");
}

bool is_png(const std::string& data) {
  return starts_with(data, 0, "\x89PNG\r\n\x1a\n");
}

bool is_webp(const std::string& data) {
  return starts_with(data, 0, "RIFF") && starts_with(data, 8, "WEBP");
}

// Calls `visit(marker, start, length)` for the segments of a JPEG up to its pixels, until it returns false.
// Returns the offset behind the last segment; a thumbnail inside EXIF has an end marker of its own.
template <typename Visit>
std::size_t segments(const std::string& data, const Visit& visit) {
  std::size_t at = 2;
  while (at + 4 <= data.size() && static_cast<unsigned char>(data[at]) == 0xFF) {
    const unsigned marker = static_cast<unsigned char>(data[at + 1]);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    const std::size_t length = number(data, at + 2, 2, true);
    if (!visit(marker, at + 4, length < 2 ? 0 : length - 2)) return at;
    at += 2 + length;
    if (marker == kScan) break;
  }
  return at;
}

// Calls `visit(type, start, length)` for the chunks that lie in the file whole, until it returns false. Those
// of PNG are framed by length, type and checksum, those of RIFF (WebP) by type and length, padded to even.
template <typename Visit>
void chunks(const std::string& data, const Visit& visit) {
  const bool png = is_png(data);
  std::size_t at = png ? kPngHead : kWebpHead;
  while (at + 8 <= data.size()) {
    const std::size_t length = number(data, at + (png ? 0 : 4), 4, png);
    const std::size_t frame = png ? 12 : 8;
    if (length > data.size() || at + frame + length > data.size()) return;
    if (!visit(data.substr(at + (png ? 4 : 0), 4), at + 8, length)) return;
    at += frame + length + (png ? 0 : length % 2);
  }
}

// Of a block in the form of TIFF, which EXIF has.
int orientation_in(const std::string& data, std::size_t start, std::size_t length) {
  if (starts_with(data, start, std::string("Exif\0\0", 6))) {
    if (length < 6) return 1;
    start += 6;
    length -= 6;
  }
  if (length < 8 || start + length > data.size()) return 1;
  const bool big = starts_with(data, start, "MM");
  if (!big && !starts_with(data, start, "II")) return 1;
  const std::size_t directory = number(data, start + 4, 4, big);
  if (directory > length || length - directory < 2) return 1;
  const std::size_t count = number(data, start + directory, 2, big);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > length) return 1;
    if (number(data, start + entry, 2, big) != kOrientation) continue;
    const std::uint32_t value = number(data, start + entry + 8, 2, big);
    return number(data, start + entry + 2, 2, big) == kShort && value >= 1 && value <= 8
               ? static_cast<int>(value)
               : 1;
  }
  return 1;
}

}  // namespace

bool is_complete(const std::string& data) {
  if (is_jpeg(data)) {
    const std::size_t scan = segments(data, [](unsigned, std::size_t, std::size_t) { return true; });
    return data.find("\xff\xd9", scan) != std::string::npos;
  }
  if (!is_png(data)) return true;
  bool ended = false;
  chunks(data, [&](const std::string& type, std::size_t, std::size_t) {
    ended = type == "IEND";
    return !ended;
  });
  return ended;
}

int orientation_of(const std::string& data) {
  int found = 1;
  if (is_jpeg(data)) {
    segments(data, [&](unsigned marker, std::size_t start, std::size_t length) {
      const bool exif = marker == kApplication && starts_with(data, start, std::string("Exif\0\0", 6));
      if (exif) found = orientation_in(data, start, length);
      return !exif;
    });
  } else if (is_png(data) || is_webp(data)) {
    const std::string wanted = is_png(data) ? "eXIf" : "EXIF";
    chunks(data, [&](const std::string& type, std::size_t start, std::size_t length) {
      if (type == wanted) found = orientation_in(data, start, length);
      return type != wanted;
    });
  }
  return found;
}

}  // namespace mobileseg
