// PNG files in memory.
#ifndef MOBILESEG_SRC_PNG_H_
#define MOBILESEG_SRC_PNG_H_

#include <cstdint>
#include <vector>

#include "mobileseg/image.h"
#include "mobileseg/output.h"

namespace mobileseg {

// The content of what `write_palette_png` and `write_color_png` write. Throw Error(kData) for an image
// without pixels.
std::vector<std::uint8_t> palette_png(const std::uint8_t* values, Size size, const ColorTable& colors);
std::vector<std::uint8_t> color_png(const ImageView& image);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_PNG_H_
