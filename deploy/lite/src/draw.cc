#include <algorithm>
#include <cstring>

#include "mobileseg/output.h"
#include "track_colors.h"

namespace mobileseg {
namespace {

constexpr std::array<std::uint8_t, 3> kIgnored{{255, 255, 255}};

// One pixel of an image, whichever order its bytes have.
struct Pixel {
  std::uint8_t* bytes;
  int red;  // place of red: 0 or 2

  void set(const std::array<std::uint8_t, 3>& color) const {
    bytes[red] = color[0];
    bytes[1] = color[1];
    bytes[2 - red] = color[2];
  }
  void mix(const std::array<std::uint8_t, 3>& color, int weight) const {
    const int rest = 256 - weight;
    bytes[red] = static_cast<std::uint8_t>((bytes[red] * rest + color[0] * weight + 128) >> 8);
    bytes[1] = static_cast<std::uint8_t>((bytes[1] * rest + color[1] * weight + 128) >> 8);
    bytes[2 - red] = static_cast<std::uint8_t>((bytes[2 - red] * rest + color[2] * weight + 128) >> 8);
  }
};

int red_of(ColorOrder order) {
  return order == ColorOrder::kRgb ? 0 : 2;
}

}  // namespace

ColorTable color_table(const Manifest& manifest) {
  ColorTable table{};
  if (manifest.ignore_index >= 0 && manifest.ignore_index < 256) {
    table[static_cast<std::size_t>(manifest.ignore_index)] = kIgnored;
  }
  std::copy(manifest.palette.begin(), manifest.palette.end(), table.begin());
  return table;
}

Painter::Painter(const Manifest& manifest, float alpha)
    : colors_(color_table(manifest)),
      class_count_(manifest.classes.size()),
      ignore_index_(manifest.ignore_index),
      weight_(alpha >= 0.0F ? static_cast<int>(std::min(alpha, 1.0F) * 256.0F + 0.5F) : 0) {}

void Painter::draw(const Result& result, std::uint8_t* pixels, std::size_t stride, ColorOrder order) const {
  if (result.form == ResultForm::kInstances) {
    draw_instances(result, pixels, stride, order);
  } else {
    draw_labels(result, pixels, stride, order);
  }
}

// Class colours over the image; the border between classes in full colour; ignored pixels show the image
// alone.
void Painter::draw_labels(const Result& result, std::uint8_t* pixels, std::size_t stride,
                          ColorOrder order) const {
  const auto width = static_cast<std::size_t>(result.size.width);
  const auto height = static_cast<std::size_t>(result.size.height);
  const int red = red_of(order);
  for (std::size_t y = 0; y < height; ++y) {
    const std::uint8_t* labels = result.labels.data() + y * width;
    for (std::size_t x = 0; x < width; ++x) {
      const std::uint8_t label = labels[x];
      if (label == ignore_index_ && label >= class_count_) continue;
      const Pixel pixel{pixels + y * stride + 3 * x, red};
      const bool border =
          (x + 1 < width && labels[x + 1] != label) || (y + 1 < height && labels[x + width] != label);
      if (border) {
        pixel.set(colors_[label]);
      } else {
        pixel.mix(colors_[label], weight_);
      }
    }
  }
}

// Masks in the colour of their track, or of their class without one, with an outline, boxes one pixel wide;
// the best instance is drawn last, on top.
void Painter::draw_instances(const Result& result, std::uint8_t* pixels, std::size_t stride,
                             ColorOrder order) const {
  const int red = red_of(order);
  for (auto it = result.instances.rbegin(); it != result.instances.rend(); ++it) {
    const std::array<std::uint8_t, 3>& color =
        it->track_id >= 0 ? kTrackColors[it->track_id % kTrackColorCount]
                          : colors_[static_cast<std::size_t>(it->label) % colors_.size()];
    const MaskRegion& region = it->mask;
    const std::uint8_t* mask = result.mask(*it);
    const auto at = [&](int y, int x) {
      return y >= 0 && x >= 0 && y < region.size.height && x < region.size.width &&
             mask[static_cast<std::size_t>(y) * static_cast<std::size_t>(region.size.width) +
                  static_cast<std::size_t>(x)] != 0;
    };
    for (int y = 0; y < region.size.height; ++y) {
      std::uint8_t* row = pixels + static_cast<std::size_t>(region.top + y) * stride +
                          3 * static_cast<std::size_t>(region.left);
      for (int x = 0; x < region.size.width; ++x) {
        if (!at(y, x)) continue;
        const Pixel pixel{row + 3 * x, red};
        if (at(y, x + 1) && at(y + 1, x) && at(y, x - 1) && at(y - 1, x)) {
          pixel.mix(color, weight_);
        } else {
          pixel.set(color);
        }
      }
    }
    const int left = std::min(static_cast<int>(it->box.x1), result.size.width - 1);
    const int right = std::min(static_cast<int>(it->box.x2), result.size.width - 1);
    const int top = std::min(static_cast<int>(it->box.y1), result.size.height - 1);
    const int bottom = std::min(static_cast<int>(it->box.y2), result.size.height - 1);
    const auto set = [&](int y, int x) {
      Pixel{pixels + static_cast<std::size_t>(y) * stride + 3 * static_cast<std::size_t>(x), red}.set(color);
    };
    for (int x = left; x <= right; ++x) {
      set(top, x);
      set(bottom, x);
    }
    for (int y = top; y <= bottom; ++y) {
      set(y, left);
      set(y, right);
    }
  }
}

void instance_map(const Result& result, std::vector<std::uint8_t>* values) {
  values->assign(result.size.pixels(), 0);
  const std::size_t count = std::min<std::size_t>(result.instances.size(), 255);
  for (std::size_t i = count; i-- > 0;) {
    const Instance& instance = result.instances[i];
    const MaskRegion& region = instance.mask;
    const std::uint8_t* mask = result.mask(instance);
    for (int y = 0; y < region.size.height; ++y) {
      std::uint8_t* row =
          values->data() +
          static_cast<std::size_t>(region.top + y) * static_cast<std::size_t>(result.size.width) +
          static_cast<std::size_t>(region.left);
      for (int x = 0; x < region.size.width; ++x) {
        if (*mask++ != 0) row[x] = static_cast<std::uint8_t>(i + 1);
      }
    }
  }
}

}  // namespace mobileseg
