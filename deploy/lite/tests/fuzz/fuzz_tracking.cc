// Objects and frames of any kind, one after the other: an id is of one object of a frame, smoothed scores
// stay within those that were given, and nothing beside pixels, masks and scores is read.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <vector>

#include "drawer.h"
#include "label_filter.h"
#include "mobileseg/error.h"
#include "tracker.h"

namespace {

using namespace mobileseg;

void require(bool holds) {
  if (!holds) std::abort();
}

Result drawn_objects(Drawer* draw, Size size) {
  Result result;
  result.form = ResultForm::kInstances;
  result.size = size;
  const bool any = draw->number(20) == 0;
  for (int i = draw->number(6); i > 0; --i) {
    Instance one;
    one.box.x1 = any ? draw->any_float() : static_cast<float>(draw->number(size.width + 1));
    one.box.y1 = any ? draw->any_float() : static_cast<float>(draw->number(size.height + 1));
    one.box.x2 = any ? draw->any_float() : one.box.x1 + static_cast<float>(draw->number(size.width));
    one.box.y2 = any ? draw->any_float() : one.box.y1 + static_cast<float>(draw->number(size.height));
    one.score = any ? draw->any_float() : static_cast<float>(draw->number(11)) / 10.0F;
    one.label = draw->number(3);
    one.mask.top = draw->number(size.height);
    one.mask.left = draw->number(size.width);
    one.mask.size = {draw->number(size.height - one.mask.top + 1),
                     draw->number(size.width - one.mask.left + 1)};
    one.mask.offset = result.mask_bytes.size();
    for (const std::uint8_t byte : draw->bytes(one.mask.size.pixels())) result.mask_bytes.push_back(byte % 2);
    result.instances.push_back(one);
  }
  return result;
}

void track(Drawer* draw) {
  TrackingOptions options;
  options.max_age = draw->number(4);
  options.min_hits = 1 + draw->number(3);
  options.same_class = draw->number(2) == 0;
  options.overlap = draw->number(11) / 10.0;
  Tracker tracker(options);
  Size size{1 + draw->number(30), 1 + draw->number(30)};
  for (int frame = 0; frame < 6; ++frame) {
    if (draw->number(12) == 0) tracker.reset();
    if (draw->number(12) == 0) size.height = 1 + draw->number(30);
    Result result = drawn_objects(draw, size);
    try {
      tracker.run(&result);
    } catch (const Error&) {  // a box that is no number, or a frame of another size
      continue;
    }
    std::set<int> ids;
    for (const Instance& one : result.instances)
      require(one.track_id == -1 || (one.track_id >= 0 && ids.insert(one.track_id).second));
  }
}

void smooth(Drawer* draw) {
  LabelFilter filter(draw->number(10) / 10.0);
  Size image{1 + draw->number(40), 1 + draw->number(40)};
  Size scores{1 + draw->number(12), 1 + draw->number(12)};
  for (int frame = 0; frame < 4; ++frame) {
    if (draw->number(8) == 0) image.width = 1 + draw->number(40);
    if (draw->number(8) == 0) scores.width = 1 + draw->number(12);
    const std::size_t stride =
        3 * static_cast<std::size_t>(image.width) + static_cast<std::size_t>(draw->number(3));
    const std::size_t last = 3 * static_cast<std::size_t>(image.width);  // its row ends with its pixels
    const std::vector<std::uint8_t> pixels =
        draw->bytes(stride * static_cast<std::size_t>(image.height - 1) + last);
    filter.see({pixels.data(), image, stride, ColorOrder::kRgb});
    const auto classes = static_cast<std::size_t>(1 + draw->number(3));
    std::vector<float> values;
    for (std::size_t i = classes * scores.pixels(); i > 0; --i)
      values.push_back(static_cast<float>(draw->number(256)) / 255.0F);
    const Size content{1 + draw->number(40), 1 + draw->number(40)};
    const Size covered{content.height + draw->number(9), content.width + draw->number(9)};
    filter.smooth(classes, scores, content, covered, values.data());
    require(std::all_of(values.begin(), values.end(), [](float one) { return one >= 0 && one <= 1.00001F; }));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Drawer draw(data, size);
  track(&draw);
  smooth(&draw);
  return 0;
}
