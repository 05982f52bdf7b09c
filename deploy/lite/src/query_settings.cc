#include "query_settings.h"

#include <limits>
#include <string>

#include "json_fields.h"

namespace mobileseg {
namespace {

constexpr const char* kSection = "queries";

double within(const Field& field, double low, double high) {
  const double value = field.number();
  if (!(value >= low && value <= high)) {
    field.fail("expected a number from " + std::to_string(static_cast<int>(low)) + " to " +
               std::to_string(static_cast<int>(high)));
  }
  return value;
}

// An option that is not known here would give other objects than in Python, so it is refused.
[[noreturn]] void fail_unknown(const Field& field) {
  field.fail("this program knows no such option");
}

QueryOptions query_options(const Field& section) {
  QueryOptions options;
  for (const auto& member : section.members()) {
    const Field& value = member.second;
    if (member.first == "score_threshold") {
      options.score_threshold = static_cast<float>(within(value, 0, 1));
    } else if (member.first == "max_detections") {
      options.max_detections = static_cast<int>(value.integer(1, 1 << 20));
    } else if (member.first == "mask_threshold") {
      options.mask_threshold = static_cast<float>(within(value, 0, 1));
    } else if (member.first == "rescore") {
      options.rescore = value.boolean();
    } else if (member.first == "resize_twice") {
      options.resize_twice = value.boolean();
    } else {
      fail_unknown(value);
    }
  }
  return options;
}

KernelOptions kernel_options(const Field& section) {
  KernelOptions options;
  for (const auto& member : section.members()) {
    const Field& value = member.second;
    if (member.first == "rekey_below") {
      options.rekey_below = within(value, 0, 1);
    } else if (member.first == "birth_score") {
      options.birth_score = static_cast<float>(within(value, 0, 1));
    } else if (member.first == "similarity") {
      options.similarity = within(value, -1, 1);
    } else if (member.first == "class_penalty") {
      options.class_penalty = within(value, 0, 2);
    } else if (member.first == "lost_keyframes") {
      options.lost_keyframes = static_cast<int>(value.integer(0, std::numeric_limits<int>::max() - 1));
    } else if (member.first == "momentum") {
      options.momentum = static_cast<float>(within(value, 0, 1));
    } else {
      fail_unknown(value);
    }
  }
  return options;
}

}  // namespace

bool is_query_based(const Field* section) {
  return section != nullptr && section->has(kSection);
}

const QuerySettings* query_settings_of(const Manifest& manifest) {
  return dynamic_cast<const QuerySettings*>(manifest.settings.get());
}

std::shared_ptr<const QuerySettings> read_query_settings(const Field& section, const KeyframeRule& keyframes,
                                                         Manifest* manifest) {
  auto found = std::make_shared<QuerySettings>();
  found->queries = query_options(section[kSection]);
  found->mask_stride = static_cast<int>(section["mask_stride"].integer(1, 64));
  if (section.has("kernels")) found->kernels = kernel_options(section["kernels"]);
  found->keyframes = keyframes;
  if (section.has("keyframes") && section["keyframes"].has("delay")) {
    const Field delay = section["keyframes"]["delay"];
    if (delay.number() != 0) delay.fail("kernels are used at once, which is a delay of 0");
  }
  if (section.has("category_ids")) {
    manifest->category_ids.clear();
    for (const Field& item : section["category_ids"].items()) {
      manifest->category_ids.push_back(static_cast<int>(item.integer(0, std::numeric_limits<int>::max())));
    }
  }
  return found;
}

}  // namespace mobileseg
