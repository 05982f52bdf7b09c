#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mobileseg/output.h"

namespace mobileseg {
namespace {

using Json = nlohmann::ordered_json;

double rounded(double value, double steps) {
  return std::round(value * steps) / steps;
}

// The characters of one number: groups of five bits, the lowest first, sign extended; a sixth bit says that
// more follow; each group is one character from 48 on.
void append_number(std::int64_t value, std::string* text) {
  for (bool more = true; more;) {
    std::int64_t group = value & 31;
    value >>= 5;
    more = (group & 16) != 0 ? value != -1 : value != 0;
    if (more) group |= 32;
    *text += static_cast<char>(group + 48);
  }
}

// COCO numbers its images; those of another name are called by it.
Json image_id_of(const std::string& picture) {
  const bool number =
      !picture.empty() && picture.size() < 19 && picture.find_first_not_of("0123456789") == std::string::npos;
  return number ? Json(std::stoll(picture)) : Json(picture);
}

Json instances_of(const Result& result, const Manifest& manifest, const std::string& picture) {
  Json list = Json::array();
  for (const Instance& instance : result.instances) {
    const auto label = static_cast<std::size_t>(instance.label);
    const auto x = static_cast<double>(instance.box.x1);
    const auto y = static_cast<double>(instance.box.y1);
    list.push_back(
        {{"image_id", image_id_of(picture)},
         {"category_id", label < manifest.category_ids.size() ? manifest.category_ids[label] : -1},
         {"bbox",
          {rounded(x, 1e2), rounded(y, 1e2), rounded(static_cast<double>(instance.box.x2) - x, 1e2),
           rounded(static_cast<double>(instance.box.y2) - y, 1e2)}},
         {"score", rounded(static_cast<double>(instance.score), 1e6)},
         {"segmentation",
          {{"size", {result.size.height, result.size.width}}, {"counts", coco_rle(result, instance)}}},
         {"category", label < manifest.classes.size() ? manifest.classes[label] : ""}});
    if (instance.track_id >= 0) list.back()["track_id"] = instance.track_id;
  }
  return list;
}

Json classes_of(const Result& result, const Manifest& manifest) {
  std::array<std::int64_t, 256> pixels{};
  for (const std::uint8_t label : result.labels) ++pixels[label];
  Json list = Json::array();
  for (std::size_t i = 0; i < manifest.classes.size(); ++i) {
    if (pixels[i] == 0) continue;
    const double share = static_cast<double>(pixels[i]) / static_cast<double>(result.labels.size());
    list.push_back(
        {{"index", i}, {"name", manifest.classes[i]}, {"pixels", pixels[i]}, {"share", rounded(share, 1e6)}});
  }
  return list;
}

}  // namespace

// Lengths of alternating runs of 0 and 1, down the columns of the whole image, the first run being of 0.
// From the fourth run on, the difference to the run before the last is stored.
std::string coco_rle(const Result& result, const Instance& instance) {
  const MaskRegion& region = instance.mask;
  const std::uint8_t* mask = result.mask(instance);
  std::vector<std::int64_t> runs;
  std::int64_t start = 0;  // of the current run, counted down the columns
  bool inside = false;
  const auto change_at = [&](std::int64_t place) {
    runs.push_back(place - start);
    start = place;
    inside = !inside;
  };
  for (int x = 0; x < region.size.width; ++x) {
    const std::int64_t column = static_cast<std::int64_t>(region.left + x) * result.size.height;
    // Between two columns of the region the image is clear, unless the region reaches from top to bottom.
    if (inside && region.top > 0) change_at(column);
    for (int y = 0; y < region.size.height; ++y) {
      const bool set = mask[static_cast<std::size_t>(y) * static_cast<std::size_t>(region.size.width) +
                            static_cast<std::size_t>(x)] != 0;
      if (set != inside) change_at(column + region.top + y);
    }
    if (inside && region.top + region.size.height < result.size.height) {
      change_at(column + region.top + region.size.height);
    }
  }
  const auto total = static_cast<std::int64_t>(result.size.pixels());
  const std::int64_t behind = static_cast<std::int64_t>(region.left + region.size.width) * result.size.height;
  if (inside && behind < total) change_at(behind);  // the region reaches the bottom, the image goes on
  if (start != total) runs.push_back(total - start);
  std::string text;
  for (std::size_t i = 0; i < runs.size(); ++i) append_number(i > 2 ? runs[i] - runs[i - 2] : runs[i], &text);
  return text;
}

void drop_below(float score, Result* result) {
  std::vector<Instance>& all = result->instances;
  all.erase(std::remove_if(all.begin(), all.end(), [&](const Instance& one) { return one.score < score; }),
            all.end());
}

std::string to_json(const Result& result, const Manifest& manifest, const std::string& engine,
                    const Origin& origin, int indent) {
  Json document = {{"source", origin.source},
                   {"height", result.size.height},
                   {"width", result.size.width},
                   {"model", manifest.name},
                   {"engine", engine}};
  if (!result.pipeline.empty()) document["pipeline"] = result.pipeline;
  if (result.form == ResultForm::kInstances) {
    document["results"] = instances_of(result, manifest, origin.picture);
  } else {
    document["classes"] = classes_of(result, manifest);
  }
  document["times_ms"] = {{"decode", rounded(origin.decode_ms, 1e3)},
                          {"preprocess", rounded(result.times.preprocess, 1e3)},
                          {"inference", rounded(result.times.inference, 1e3)},
                          {"postprocess", rounded(result.times.postprocess, 1e3)}};
  return document.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mobileseg
