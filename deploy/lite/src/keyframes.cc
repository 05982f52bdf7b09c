#include "keyframes.h"

#include <algorithm>
#include <cstdlib>

namespace mobileseg {
namespace {

constexpr std::size_t kSamples = 8;     // per cell and axis
constexpr std::int64_t kLevels = 1020;  // largest value of R + 2G + B

double area_of(const Box& box) {
  const double width = static_cast<double>(box.x2) - static_cast<double>(box.x1);
  const double height = static_cast<double>(box.y2) - static_cast<double>(box.y1);
  return width * height;
}

double shared_area(const Box& a, const Box& b) {
  const double width = static_cast<double>(std::min(a.x2, b.x2)) - static_cast<double>(std::max(a.x1, b.x1));
  const double height = static_cast<double>(std::min(a.y2, b.y2)) - static_cast<double>(std::max(a.y1, b.y1));
  return std::max(width, 0.0) * std::max(height, 0.0);
}

// shared / (areas - shared) >= 1/2, without a division by 0.
bool is_there(const SeenObject& object, const std::vector<SeenObject>& later) {
  return std::any_of(later.begin(), later.end(), [&](const SeenObject& other) {
    if (other.label != object.label) return false;
    const double areas = area_of(object.box) + area_of(other.box);
    return 3 * shared_area(object.box, other.box) >= areas;
  });
}

}  // namespace

bool is_key(int age, const KeyframeRule& rule, double difference, double lost) {
  return age == 0 || age >= rule.every || is_broken(rule, difference, lost);
}

bool is_broken(const KeyframeRule& rule, double difference, double lost) {
  if (rule.scene_cut > 0 && difference >= rule.scene_cut) return true;
  return rule.lost_objects > 0 && lost > 0 && lost >= rule.lost_objects;
}

Thumbnail thumbnail(const ImageView& image) {
  constexpr std::size_t kRows = kThumbnailRows * kSamples;
  constexpr std::size_t kColumns = kThumbnailColumns * kSamples;
  const auto height = static_cast<std::size_t>(image.size.height);
  const auto width = static_cast<std::size_t>(image.size.width);
  Thumbnail cells{};
  for (std::size_t y = 0; y < kRows; ++y) {
    const std::uint8_t* row = image.row(static_cast<int>(y * height / kRows));
    for (std::size_t x = 0; x < kColumns; ++x) {
      const std::uint8_t* pixel = row + 3 * (x * width / kColumns);
      cells[y / kSamples * kThumbnailColumns + x / kSamples] += pixel[0] + 2 * pixel[1] + pixel[2];
    }
  }
  return cells;
}

double thumbnail_difference(const Thumbnail& first, const Thumbnail& second) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < first.size(); ++i) sum += std::abs(first[i] - second[i]);
  const std::int64_t range = static_cast<std::int64_t>(first.size() * kSamples * kSamples) * kLevels;
  return static_cast<double>(sum) / static_cast<double>(range);
}

double lost_share(const std::vector<SeenObject>& key, const std::vector<SeenObject>& later) {
  if (key.empty()) return 0;
  const auto lost = std::count_if(key.begin(), key.end(),
                                  [&](const SeenObject& object) { return !is_there(object, later); });
  return static_cast<double>(lost) / static_cast<double>(key.size());
}

}  // namespace mobileseg
