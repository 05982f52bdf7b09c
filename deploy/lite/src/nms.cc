#include "nms.h"

#include <algorithm>
#include <limits>

namespace mobileseg {
namespace {

// A heap's top is what no other comes before.
bool comes_after(const Candidate& a, const Candidate& b) {
  if (a.score != b.score) return a.score < b.score;
  return a.box != b.box ? a.box > b.box : a.label > b.label;
}

float area(const Box& box, float extra) {
  return (box.x2 - box.x1 + extra) * (box.y2 - box.y1 + extra);
}

}  // namespace

float intersection_over_union(const Box& a, const Box& b, float extra) {
  const float width = std::max(std::min(a.x2, b.x2) - std::max(a.x1, b.x1) + extra, 0.0F);
  const float height = std::max(std::min(a.y2, b.y2) - std::max(a.y1, b.y1) + extra, 0.0F);
  const float shared = width * height;
  const float joined = area(a, extra) + area(b, extra) - shared;
  return shared / std::max(joined, std::numeric_limits<float>::min());
}

void Suppression::reserve(std::size_t candidates, std::size_t classes) {
  candidates_.reserve(candidates);
  seen_.reserve(candidates);
  newest_.reserve(classes);
  counts_.reserve(classes);
}

bool Suppression::overlapped(const std::vector<Box>& boxes, const Box& box, std::int32_t newest,
                             const SuppressionOptions& options) const {
  const float extra = options.inclusive ? 1.0F : 0.0F;
  for (std::int32_t at = newest; at >= 0; at = seen_[static_cast<std::size_t>(at)].before) {
    const float overlap = intersection_over_union(boxes[seen_[static_cast<std::size_t>(at)].box], box, extra);
    if (options.inclusive ? overlap >= options.iou_threshold : overlap > options.iou_threshold) return true;
  }
  return false;
}

const std::vector<Candidate>& Suppression::run(const std::vector<Box>& boxes, std::size_t classes,
                                               const SuppressionOptions& options) {
  // Cross-class: one list, in which boxes of all classes compete.
  const bool one_list = options.kind == NmsKind::kCrossClass;
  const bool greedy = options.kind == NmsKind::kTraditional;
  newest_.assign(one_list ? 1 : classes, -1);
  counts_.assign(newest_.size(), 0);
  seen_.clear();
  kept_.clear();
  kept_.reserve(options.max_detections);
  auto end = candidates_.end();
  std::make_heap(candidates_.begin(), end, comes_after);
  while (end != candidates_.begin() && kept_.size() < options.max_detections) {
    std::pop_heap(candidates_.begin(), end, comes_after);
    const Candidate candidate = *--end;
    const std::size_t list = one_list ? 0 : candidate.label;
    if (!greedy && counts_[list] == options.top_k) continue;
    const bool stays = !overlapped(boxes, boxes[candidate.box], newest_[list], options);
    if (stays) kept_.push_back(candidate);
    // Fast NMS: a box that goes still suppresses. Greedy: only those that stay do.
    if (stays || !greedy) {
      seen_.push_back({candidate.box, newest_[list]});
      newest_[list] = static_cast<std::int32_t>(seen_.size()) - 1;
      ++counts_[list];
    }
  }
  return kept_;
}

}  // namespace mobileseg
