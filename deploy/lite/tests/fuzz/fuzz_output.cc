// Results of any kind, drawn and written: nothing outside of the image is touched, JSON is JSON, and a PNG
// holds the values that it was made of.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "drawer.h"
#include "mobileseg/output.h"
#include "png.h"

namespace {

using namespace mobileseg;

void require(bool holds) {
  if (!holds) std::abort();
}

Manifest drawn_manifest(Drawer* draw) {
  Manifest manifest;
  manifest.name = draw->text(8);
  const int classes = draw->number(20) == 0 ? 256 : 1 + draw->number(5);
  for (int i = 0; i < classes; ++i) manifest.classes.push_back(draw->text(3));
  manifest.palette.resize(manifest.classes.size());
  manifest.category_ids.assign(manifest.classes.size(), draw->number(256));
  manifest.ignore_index = draw->number(257) - 1;
  return manifest;
}

// As postprocessing promises it: boxes and masks inside of the image, labels that are classes.
Result drawn_result(Drawer* draw, const Manifest& manifest) {
  Result result;
  result.size = {1 + draw->number(20), 1 + draw->number(20)};
  result.form = draw->number(2) == 0 ? ResultForm::kLabels : ResultForm::kInstances;
  result.labels = draw->bytes(result.size.pixels());
  if (result.form == ResultForm::kLabels) return result;
  const int count = draw->number(30) == 0 ? 300 : draw->number(5);  // also more than an 8-bit map holds
  for (int i = 0; i < count; ++i) {
    const Size size = result.size;
    Instance instance;
    instance.mask.top = draw->number(size.height);
    instance.mask.left = draw->number(size.width);
    instance.mask.size = {draw->number(size.height - instance.mask.top + 1),
                          draw->number(size.width - instance.mask.left + 1)};
    instance.mask.offset = result.mask_bytes.size();
    for (const std::uint8_t byte : draw->bytes(instance.mask.size.pixels()))
      result.mask_bytes.push_back(byte % 2);
    instance.box.x1 = static_cast<float>(draw->number(size.width + 1));
    instance.box.y1 = static_cast<float>(draw->number(size.height + 1));
    instance.box.x2 = static_cast<float>(size.width);
    instance.box.y2 = instance.box.y1;
    instance.score = draw->any_float();
    instance.label = draw->number(static_cast<int>(manifest.classes.size()));
    result.instances.push_back(instance);
  }
  return result;
}

// The rows of a PNG of ours: those of its only IDAT chunk.
std::vector<std::uint8_t> rows_of(const std::vector<std::uint8_t>& file, std::size_t expected) {
  std::size_t at = 8;
  for (;;) {
    require(at + 12 <= file.size());
    const std::size_t length = std::size_t{file[at]} << 24 | std::size_t{file[at + 1]} << 16 |
                               std::size_t{file[at + 2]} << 8 | file[at + 3];
    require(at + 12 + length <= file.size());
    if (std::memcmp(&file[at + 4], "IDAT", 4) == 0) {
      std::vector<std::uint8_t> rows(expected + 1);
      auto size = static_cast<uLongf>(rows.size());
      require(uncompress(rows.data(), &size, &file[at + 8], static_cast<uLong>(length)) == Z_OK);
      rows.resize(size);
      return rows;
    }
    at += 12 + length;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Drawer draw(data, size);
  const Manifest manifest = drawn_manifest(&draw);
  Result result = drawn_result(&draw, manifest);
  const auto height = static_cast<std::size_t>(result.size.height);
  const auto width = static_cast<std::size_t>(result.size.width);

  const std::size_t stride = 3 * width + static_cast<std::size_t>(draw.number(4));
  std::vector<std::uint8_t> pixels(stride * height, 0x55);
  Painter(manifest, draw.any_float()).draw(result, pixels.data(), stride, ColorOrder::kBgr);
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 3 * width; x < stride; ++x) require(pixels[y * stride + x] == 0x55);
  }
  const ImageView image{pixels.data(), result.size, stride, ColorOrder::kRgb};
  const std::vector<std::uint8_t> coloured = rows_of(color_png(image), height * (3 * width + 1));
  require(coloured.size() == height * (3 * width + 1));
  for (std::size_t y = 0; y < height; ++y) {
    std::uint8_t left[3] = {0, 0, 0};
    for (std::size_t i = 0; i < 3 * width; ++i) {
      left[i % 3] = static_cast<std::uint8_t>(left[i % 3] + coloured[y * (3 * width + 1) + 1 + i]);
      require(left[i % 3] == pixels[y * stride + i]);
    }
  }

  std::vector<std::uint8_t> numbers = result.labels;
  if (result.form == ResultForm::kInstances) instance_map(result, &numbers);
  const std::vector<std::uint8_t> file = palette_png(numbers.data(), result.size, color_table(manifest));
  const std::vector<std::uint8_t> indexed = rows_of(file, height * (width + 1));
  require(indexed.size() == height * (width + 1));
  for (std::size_t y = 0; y < height; ++y)
    require(std::memcmp(&indexed[y * (width + 1) + 1], &numbers[y * width], width) == 0);

  const std::string json = to_json(result, manifest, "fuzzed", {draw.text(9), draw.text(20)}, -1);
  require(json.find('\n') == std::string::npos);
  require(nlohmann::json::parse(json).is_object());
  drop_below(draw.any_float(), &result);
  return 0;
}
