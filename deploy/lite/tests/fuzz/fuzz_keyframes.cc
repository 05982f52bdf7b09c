// Frames and objects of any kind: shares stay between 0 and 1, and nothing beside the pixels is read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "drawer.h"
#include "keyframes.h"

namespace {

using namespace mobileseg;

void require(bool holds) {
  if (!holds) std::abort();
}

Thumbnail drawn_thumbnail(Drawer* draw) {
  const Size size{1 + draw->number(20), 1 + draw->number(20)};
  const std::size_t stride =
      3 * static_cast<std::size_t>(size.width) + static_cast<std::size_t>(draw->number(3));
  const std::size_t last = 3 * static_cast<std::size_t>(size.width);  // its row ends with its pixels
  std::vector<std::uint8_t> pixels = draw->bytes(stride * static_cast<std::size_t>(size.height - 1) + last);
  return thumbnail({pixels.data(), size, stride, ColorOrder::kRgb});
}

std::vector<SeenObject> drawn_objects(Drawer* draw) {
  std::vector<SeenObject> objects(static_cast<std::size_t>(draw->number(5)));
  const bool any = draw->number(2) == 0;
  const auto corner = [&] { return any ? draw->any_float() : static_cast<float>(draw->number(8)); };
  for (SeenObject& object : objects) {
    object.box.x1 = corner(), object.box.y1 = corner();
    object.box.x2 = corner(), object.box.y2 = corner();
    object.label = draw->number(2);
  }
  return objects;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Drawer draw(data, size);
  const Thumbnail first = drawn_thumbnail(&draw);
  const Thumbnail second = drawn_thumbnail(&draw);
  const double difference = thumbnail_difference(first, second);
  require(difference >= 0 && difference <= 1);
  require(difference == thumbnail_difference(second, first));
  require(thumbnail_difference(first, first) == 0);
  const std::vector<SeenObject> key = drawn_objects(&draw);
  const double lost = lost_share(key, drawn_objects(&draw));
  require(lost >= 0 && lost <= 1);
  const KeyframeRule rule{1 + draw.number(9), draw.number(3) / 2.0, draw.number(3) / 2.0};
  require(is_key(0, rule, difference, lost));
  require(is_key(rule.every, rule, difference, lost));
  return 0;
}
