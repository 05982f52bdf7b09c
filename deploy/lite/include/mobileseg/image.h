// A decoded image that somebody else owns.
#ifndef MOBILESEG_IMAGE_H_
#define MOBILESEG_IMAGE_H_

#include <cstddef>
#include <cstdint>

namespace mobileseg {

struct Size {
  int height = 0;
  int width = 0;

  bool operator==(const Size& other) const { return height == other.height && width == other.width; }
  bool operator!=(const Size& other) const { return !(*this == other); }
  std::size_t pixels() const { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width); }
};

// Order of the bytes of a pixel. OpenCV decodes to BGR; no conversion pass is needed.
enum class ColorOrder { kRgb, kBgr };

struct ImageView {
  const std::uint8_t* pixels = nullptr;  // 3 bytes per pixel, row after row
  Size size;
  std::size_t stride = 0;  // bytes from one row to the next
  ColorOrder order = ColorOrder::kRgb;

  const std::uint8_t* row(int y) const { return pixels + static_cast<std::size_t>(y) * stride; }
};

}  // namespace mobileseg

#endif  // MOBILESEG_IMAGE_H_
