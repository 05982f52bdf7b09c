#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "files.h"
#include "fixtures.h"
#include "mobileseg/error.h"
#include "mobileseg/output.h"

using namespace mobileseg;

namespace {

Manifest two_classes() {
  Manifest manifest;
  manifest.name = "test";
  manifest.classes = {"sky", "road"};
  manifest.palette = {{{200, 0, 0}}, {{0, 0, 200}}};
  return manifest;
}

// 4 x 3 pixels, two overlapping instances; the better one comes first.
Result two_instances() {
  Result result;
  result.form = ResultForm::kInstances;
  result.size = {4, 3};
  result.mask_bytes = {1, 1, 1, 0, /**/ 1, 1, 1, 1};
  result.instances.resize(2);
  result.instances[0] = {{0, 0, 2, 2}, 0.9F, 1, {0, 0, {2, 2}, 0}};
  result.instances[1] = {{1, 0, 2, 4}, 0.5F, 0, {0, 1, {4, 1}, 4}};
  return result;
}

}  // namespace

TEST_CASE("colours of labels") {
  const ColorTable table = color_table(two_classes());
  CHECK(table[1][2] == 200);
  CHECK(table[255][0] == 255);
  CHECK(table[7][1] == 0);
}

TEST_CASE("labels are drawn in the image's own colour order, ignored pixels show the image") {
  Result result;
  result.size = {1, 4};
  result.labels = {1, 1, 0, 255};
  const Painter painter(two_classes(), 0.5F);
  std::vector<std::uint8_t> rgb(12, 100), bgr(12, 100);
  painter.draw(result, rgb.data(), 12, ColorOrder::kRgb);
  painter.draw(result, bgr.data(), 12, ColorOrder::kBgr);
  CHECK(rgb == std::vector<std::uint8_t>{50, 50, 150, 0, 0, 200, 200, 0, 0, 100, 100, 100});
  for (std::size_t x = 0; x < 4; ++x) CHECK(bgr[3 * x] == rgb[3 * x + 2]);
}

TEST_CASE("instances are drawn inside the image, the best on top") {
  const Result result = two_instances();
  std::vector<std::uint8_t> pixels(4 * 9, 100);
  Painter(two_classes()).draw(result, pixels.data(), 9, ColorOrder::kRgb);
  CHECK(pixels[2] == 200);          // top left: class 'road', blue
  CHECK(pixels[3 * 9 + 3] == 200);  // bottom of the second instance: class 'sky', red
  std::vector<std::uint8_t> numbers;
  instance_map(result, &numbers);
  CHECK(numbers == std::vector<std::uint8_t>{1, 1, 0, 1, 2, 0, 0, 2, 0, 0, 2, 0});
}

// Counted by hand; from the fourth on a run is written as the difference to the one before the last ('O' is
// -1).
TEST_CASE("run lengths") {
  const Result result = two_instances();
  CHECK(coco_rle(result, result.instances[0]) == "022O5");  // 0 clear, 2 set, 2 clear, 1 set, 7 clear
  CHECK(coco_rle(result, result.instances[1]) == "444");    // 4 clear, 4 set, 4 clear
  Instance empty;
  CHECK(coco_rle(result, empty) == "<");  // 12 clear
}

TEST_CASE("results as JSON") {
  Result labels;
  labels.size = {1, 4};
  labels.labels = {1, 1, 0, 255};
  const auto semantic =
      nlohmann::json::parse(to_json(labels, two_classes(), "lite_x86", {"a\xff.png", "a", 1.5}));
  CHECK(semantic["classes"].size() == 2);
  CHECK(semantic["classes"][1]["share"] == 0.5);
  CHECK(semantic["times_ms"]["decode"] == 1.5);
  const std::string line = to_json(two_instances(), two_classes(), "lite_x86", {"0042.png", "0042"}, -1);
  CHECK(line.find('\n') == std::string::npos);
  const auto instances = nlohmann::json::parse(line);
  CHECK(instances["results"][0]["category"] == "road");
  CHECK(instances["results"][0]["image_id"] == 42);
  CHECK(instances["results"][1]["segmentation"]["counts"] == "444");
  CHECK(instances["results"][0].count("track_id") == 0);
  Result tracked = two_instances();
  tracked.instances[1].track_id = 0;
  const auto with_track = nlohmann::json::parse(to_json(tracked, two_classes(), "lite_x86", {"a.png", "a"}));
  CHECK(with_track["results"][0].count("track_id") == 0);
  CHECK(with_track["results"][1]["track_id"] == 0);
  Result best = two_instances();
  drop_below((best.instances[0].score + best.instances[1].score) / 2, &best);
  CHECK(best.instances.size() == 1);
}

// Read again by another library: see tests/deploy.
TEST_CASE("PNG files") {
  const std::string folder = fixtures::root() + "/scratch/png";
  make_folders(folder);
  std::vector<std::uint8_t> values(37 * 23);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i * 7);
  write_palette_png(folder + "/palette.png", values.data(), {23, 37}, color_table(two_classes()));
  std::vector<std::uint8_t> pixels(19 * 41 * 3 + 19 * 2);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * i);
  write_color_png(folder + "/rgb.png", {pixels.data(), {19, 41}, 41 * 3 + 2, ColorOrder::kRgb});
  write_color_png(folder + "/bgr.png", {pixels.data(), {19, 41}, 41 * 3 + 2, ColorOrder::kBgr});
  CHECK_THROWS_AS(write_palette_png(folder + "/no.png", values.data(), {0, 5}, color_table(two_classes())),
                  Error);
  CHECK_THROWS_AS(
      write_palette_png(folder + "/none/a.png", values.data(), {1, 5}, color_table(two_classes())), Error);
}
