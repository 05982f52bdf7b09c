#include "preprocess.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "mobileseg/error.h"
#include "simd.h"

namespace mobileseg {
namespace {

std::string text_of(Size size) {
  return std::to_string(size.height) + "x" + std::to_string(size.width);
}

// To the nearest byte, halves to even, values outside clipped.
std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(std::nearbyint(std::min(std::max(value, 0.0F), 255.0F)));
}

// The largest size of an aspect ratio that fits, at least one pixel; sides are rounded half up.
Size largest_inside(Size size, Size room) {
  const double scale =
      std::min(static_cast<double>(room.height) / size.height, static_cast<double>(room.width) / size.width);
  const auto side = [scale](int length, int most) {
    return std::max(1, std::min(most, static_cast<int>(length * scale + 0.5)));
  };
  return {side(size.height, room.height), side(size.width, room.width)};
}

}  // namespace

Preprocessor::Preprocessor(const ImageSpec& spec) : spec_(spec) {
  for (std::size_t c = 0; c < 3; ++c) {
    const double factor = spec.normalized_in_graph ? 1.0 : spec.scale / spec.std[c];
    const double offset = spec.normalized_in_graph ? 0.0 : -spec.mean[c] / spec.std[c];
    factor_[c] = static_cast<float>(factor);
    offset_[c] = static_cast<float>(offset);
    // Without a value, padding is what the network sees as the mean colour: 0 after normalisation.
    const double pixel = spec.pads_with_mean ? spec.mean[c] / spec.scale : spec.padding[c];
    padding_[c] = static_cast<float>(pixel * factor + offset);
    for (std::size_t value = 0; value < 256; ++value) {
      tables_[c][value] = static_cast<float>(static_cast<double>(value) * factor + offset);
    }
  }
}

double Preprocessor::largest() const {
  float found = 0;
  for (const auto& table : tables_) {
    for (const float value : table) found = std::max(found, std::fabs(value));
  }
  return static_cast<double>(found);
}

Geometry Preprocessor::geometry(Size image) const {
  if (image.height < 1 || image.width < 1)
    throw Error(ErrorKind::kData, "the image is empty: " + text_of(image) + " pixels");
  if (spec_.resize == ResizeMode::kStretch) return {image, spec_.size, spec_.size};
  if (spec_.resize == ResizeMode::kKeepRatio) {
    return {image, largest_inside(image, spec_.size), spec_.size};
  }
  if (!spec_.dynamic && image != spec_.size) {
    throw Error(ErrorKind::kRuntime,
                "the image is " + text_of(image) + " (height x width), the graph takes " +
                    text_of(spec_.size) + " and its manifest forbids resizing",
                "bring the image to that size, or export with resizing or a dynamic shape");
  }
  return {image, image, spec_.padded(image)};
}

void Preprocessor::run(const ImageView& image, void* input) {
  const Geometry place = geometry(image.size);
  vertical_.set(place.image.height, place.content.height);
  horizontal_.set(place.image.width, place.content.width);
  blended_.resize(static_cast<std::size_t>(place.image.width) * 3 + 1);
  const bool float_planes = spec_.dtype == DType::kFloat32 && !spec_.channels_last;
  if (!float_planes) planes_.resize(static_cast<std::size_t>(place.content.width) * 3);
  for (int y = 0; y < place.content.height; ++y) {
    float* planes[3];
    for (std::size_t c = 0; c < 3; ++c) {
      planes[c] = float_planes ? static_cast<float*>(input) + c * place.input.pixels() +
                                     static_cast<std::size_t>(y) * static_cast<std::size_t>(place.input.width)
                               : planes_.data() + c * static_cast<std::size_t>(place.content.width);
    }
    normalized_row(image, place, y, planes);
    if (!float_planes) pack_row(place, y, input);
  }
  if (place.content != place.input) pad_rows(place, input);
}

void Preprocessor::normalized_row(const ImageView& image, const Geometry& place, int y,
                                  float* const planes[3]) {
  const bool swapped = image.order != spec_.color;
  const int source[3] = {swapped ? 2 : 0, 1, swapped ? 0 : 2};
  if (place.content == place.image) {
    looked_up_row(image.row(y), place.content.width, source, planes);
    return;
  }
  const auto at = static_cast<std::size_t>(y);
  blend_rows(image.row(vertical_.low[at]), image.row(vertical_.high[at]), vertical_.weight[at],
             place.image.width * 3, blended_.data());
  resized_row(place.content.width, source, planes);
}

// Every 8-bit value has one normalised value.
void Preprocessor::looked_up_row(const std::uint8_t* row, int width, const int source[3],
                                 float* const planes[3]) const {
  for (std::size_t c = 0; c < 3; ++c) {
    const float* table = tables_[c].data();
    const std::uint8_t* pixel = row + source[c];
    float* target = planes[c];
    for (int x = 0; x < width; ++x) target[x] = table[pixel[3 * x]];
  }
}

// Along the row, four pixels at a time: each pixel is three of four lanes, a transposition makes the planes.
void Preprocessor::resized_row(int width, const int source[3], float* const planes[3]) const {
  const float* row = blended_.data();
  const std::int32_t* low = horizontal_.low.data();
  const std::int32_t* high = horizontal_.high.data();
  const float* weight = horizontal_.weight.data();
  simd::F4 factor[3];
  simd::F4 offset[3];
  for (std::size_t c = 0; c < 3; ++c) {
    factor[c] = simd::splat(factor_[c]);
    offset[c] = simd::splat(offset_[c]);
  }
  const auto pixel = [&](int x) {
    const simd::F4 right = simd::splat(weight[x]);
    return simd::load(row + 3 * low[x]) * (simd::splat(1.0F) - right) + simd::load(row + 3 * high[x]) * right;
  };
  int x = 0;
  for (; x + 4 <= width; x += 4) {
    simd::F4 lanes[4] = {pixel(x), pixel(x + 1), pixel(x + 2), pixel(x + 3)};
    simd::transpose(&lanes[0], &lanes[1], &lanes[2], &lanes[3]);
    for (int c = 0; c < 3; ++c) simd::store(planes[c] + x, lanes[source[c]] * factor[c] + offset[c]);
  }
  for (; x < width; ++x) {
    for (int c = 0; c < 3; ++c) {
      const float left = row[3 * low[x] + source[c]];
      const float right = row[3 * high[x] + source[c]];
      const float value = left * (1.0F - weight[x]) + right * weight[x];
      planes[c][x] = value * factor_[static_cast<std::size_t>(c)] + offset_[static_cast<std::size_t>(c)];
    }
  }
}

// The rarer forms of input: bytes, or channels last.
void Preprocessor::pack_row(const Geometry& place, int y, void* input) const {
  const auto width = static_cast<std::size_t>(place.content.width);
  const std::size_t start = static_cast<std::size_t>(y) * static_cast<std::size_t>(place.input.width);
  const std::size_t step = spec_.channels_last ? 3 : 1;
  const std::size_t plane = spec_.channels_last ? 1 : place.input.pixels();
  for (std::size_t c = 0; c < 3; ++c) {
    const float* values = planes_.data() + c * width;
    const std::size_t first = start * step + c * plane;
    if (spec_.dtype == DType::kUint8) {
      std::uint8_t* target = static_cast<std::uint8_t*>(input) + first;
      for (std::size_t x = 0; x < width; ++x) target[x * step] = to_byte(values[x]);
    } else {
      float* target = static_cast<float*>(input) + first;
      for (std::size_t x = 0; x < width; ++x) target[x * step] = values[x];
    }
  }
}

void Preprocessor::pad_rows(const Geometry& place, void* input) const {
  const std::size_t step = spec_.channels_last ? 3 : 1;
  const std::size_t plane = spec_.channels_last ? 1 : place.input.pixels();
  for (int y = 0; y < place.input.height; ++y) {
    const int from = y < place.content.height ? place.content.width : 0;
    for (std::size_t c = 0; c < 3; ++c) {
      for (int x = from; x < place.input.width; ++x) {
        const std::size_t pixel = static_cast<std::size_t>(y) * static_cast<std::size_t>(place.input.width) +
                                  static_cast<std::size_t>(x);
        const std::size_t at = pixel * step + c * plane;
        if (spec_.dtype == DType::kUint8) {
          static_cast<std::uint8_t*>(input)[at] = to_byte(padding_[c]);
        } else {
          static_cast<float*>(input)[at] = padding_[c];
        }
      }
    }
  }
}

}  // namespace mobileseg
