// PNG (ISO/IEC 15948): signature, chunks with a CRC, rows that zlib packs.
#include "png.h"

#include <zlib.h>

#include <string>
#include <vector>

#include "files.h"
#include "mobileseg/error.h"
#include "mobileseg/output.h"

namespace mobileseg {
namespace {

constexpr int kLevel = 4;  // of zlib: masks are small whatever it is, photographs are not worth more time
constexpr std::uint8_t kFilterNone = 0;
constexpr std::uint8_t kFilterSub = 1;  // difference to the pixel on the left
constexpr std::uint8_t kColorRgb = 2;
constexpr std::uint8_t kColorPalette = 3;

using Buffer = std::vector<std::uint8_t>;

void append_u32(Buffer* out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<std::uint8_t>(value >> shift));
}

void append_chunk(Buffer* out, const char* type, const Buffer& content) {
  append_u32(out, static_cast<std::uint32_t>(content.size()));
  const std::size_t start = out->size();
  out->insert(out->end(), type, type + 4);
  out->insert(out->end(), content.begin(), content.end());
  append_u32(
      out, static_cast<std::uint32_t>(crc32(0L, out->data() + start, static_cast<uInt>(content.size() + 4))));
}

Buffer packed(const Buffer& rows) {
  uLongf size = compressBound(static_cast<uLong>(rows.size()));
  Buffer out(size);
  if (compress2(out.data(), &size, rows.data(), static_cast<uLong>(rows.size()), kLevel) != Z_OK) {
    throw Error(ErrorKind::kData, "zlib cannot pack a PNG of " + std::to_string(rows.size()) + " bytes");
  }
  out.resize(size);
  return out;
}

void require_pixels(Size size) {
  if (size.height < 1 || size.width < 1) throw Error(ErrorKind::kData, "a PNG needs pixels, there are none");
}

Buffer png(Size size, std::uint8_t color_type, const Buffer& palette, const Buffer& rows) {
  Buffer file = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  Buffer header;
  append_u32(&header, static_cast<std::uint32_t>(size.width));
  append_u32(&header, static_cast<std::uint32_t>(size.height));
  header.insert(header.end(), {8, color_type, 0, 0, 0});  // bits, type, and the only methods that exist
  append_chunk(&file, "IHDR", header);
  if (!palette.empty()) append_chunk(&file, "PLTE", palette);
  append_chunk(&file, "IDAT", packed(rows));
  append_chunk(&file, "IEND", {});
  return file;
}

}  // namespace

std::vector<std::uint8_t> palette_png(const std::uint8_t* values, Size size, const ColorTable& colors) {
  require_pixels(size);
  Buffer palette;
  for (const auto& color : colors) palette.insert(palette.end(), color.begin(), color.end());
  Buffer rows;
  rows.reserve(size.pixels() + static_cast<std::size_t>(size.height));
  for (int y = 0; y < size.height; ++y) {
    rows.push_back(kFilterNone);
    const std::uint8_t* row = values + static_cast<std::size_t>(y) * static_cast<std::size_t>(size.width);
    rows.insert(rows.end(), row, row + size.width);
  }
  return png(size, kColorPalette, palette, rows);
}

std::vector<std::uint8_t> color_png(const ImageView& image) {
  require_pixels(image.size);
  const int red = image.order == ColorOrder::kRgb ? 0 : 2;
  Buffer rows;
  rows.reserve(image.size.pixels() * 3 + static_cast<std::size_t>(image.size.height));
  for (int y = 0; y < image.size.height; ++y) {
    rows.push_back(kFilterSub);
    std::uint8_t left[3] = {0, 0, 0};
    const std::uint8_t* row = image.row(y);
    for (int x = 0; x < image.size.width; ++x) {
      const std::uint8_t pixel[3] = {row[3 * x + red], row[3 * x + 1], row[3 * x + 2 - red]};
      for (int c = 0; c < 3; ++c) {
        rows.push_back(static_cast<std::uint8_t>(pixel[c] - left[c]));
        left[c] = pixel[c];
      }
    }
  }
  return png(image.size, kColorRgb, {}, rows);
}

void write_palette_png(const std::string& path, const std::uint8_t* values, Size size,
                       const ColorTable& colors) {
  const Buffer file = palette_png(values, size, colors);
  write_file(path, file.data(), file.size());
}

void write_color_png(const std::string& path, const ImageView& image) {
  const Buffer file = color_png(image);
  write_file(path, file.data(), file.size());
}

}  // namespace mobileseg
