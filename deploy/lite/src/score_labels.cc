#include "score_labels.h"

#include <algorithm>
#include <cstring>

#include "simd.h"

namespace mobileseg {
namespace {

// Pixels per score from which on it pays to look first for classes that cannot win.
constexpr std::size_t kWorthPruning = 4;

// Two rows of scores of every class, `stride` values from class to class, and the share of the second.
struct Pair {
  const float* above;
  const float* below;
  std::size_t stride;
  float weight;
};

// A weight of zero may not multiply an infinity.
template <bool kBlend>
simd::F4 mixed(const Pair& pair, std::size_t at, simd::F4 first, simd::F4 second) {
  const simd::F4 above = simd::load(pair.above + at);
  return kBlend ? above * first + simd::load(pair.below + at) * second : above;
}

template <bool kBlend>
void best_classes(const Pair& pair, const std::vector<std::int32_t>& classes, int width,
                  std::uint8_t* labels) {
  const float rest = 1.0F - pair.weight;
  const simd::F4 first = simd::splat(rest), second = simd::splat(pair.weight);
  int x = 0;
  for (; x + 8 <= width; x += 8) {
    const auto column = static_cast<std::size_t>(x);
    std::size_t at = static_cast<std::size_t>(classes[0]) * pair.stride + column;
    simd::F4 best0 = mixed<kBlend>(pair, at, first, second);
    simd::F4 best1 = mixed<kBlend>(pair, at + 4, first, second);
    simd::F4 label0 = simd::splat(static_cast<float>(classes[0])), label1 = label0;
    for (std::size_t i = 1; i < classes.size(); ++i) {
      at = static_cast<std::size_t>(classes[i]) * pair.stride + column;
      const simd::F4 label = simd::splat(static_cast<float>(classes[i]));
      const simd::F4 score0 = mixed<kBlend>(pair, at, first, second);
      const simd::F4 score1 = mixed<kBlend>(pair, at + 4, first, second);
      label0 = simd::where_greater(score0, best0, label, label0);
      label1 = simd::where_greater(score1, best1, label, label1);
      best0 = simd::max(score0, best0);
      best1 = simd::max(score1, best1);
    }
    float found[8];
    simd::store(found, label0);
    simd::store(found + 4, label1);
    for (int lane = 0; lane < 8; ++lane) labels[x + lane] = static_cast<std::uint8_t>(found[lane]);
  }
  for (; x < width; ++x) {
    float best = 0;
    for (std::size_t i = 0; i < classes.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(classes[i]) * pair.stride + static_cast<std::size_t>(x);
      const float score = kBlend ? pair.above[at] * rest + pair.below[at] * pair.weight : pair.above[at];
      if (i > 0 && !(score > best)) continue;
      best = score;
      labels[x] = static_cast<std::uint8_t>(classes[i]);
    }
  }
}

}  // namespace

void ScoreLabels::run(const float* scores, int classes, Size source, Size size, Size content, Size image,
                      std::uint8_t* labels) {
  const Scores all{scores, classes, source};
  vertical_.set(source.height, size.height);
  horizontal_.set(source.width, size.width);
  rows_.set(content.height, image.height);
  columns_.set(content.width, image.width);
  prune_ = size.pixels() >= kWorthPruning * source.pixels();
  able_row_ = -1;
  able_.resize(static_cast<std::size_t>(classes));
  for (int k = 0; k < classes; ++k) able_[static_cast<std::size_t>(k)] = k;
  const std::size_t wide = source.width == size.width ? 0 : static_cast<std::size_t>(size.width);
  for (WideRow& row : wide_) {
    row.values.resize(static_cast<std::size_t>(classes) * wide);
    row.made.resize(static_cast<std::size_t>(classes));
    row.y = -1;  // the scores are new
  }
  line_.resize(static_cast<std::size_t>(content.width));
  const auto width = static_cast<std::size_t>(image.width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y) {
    std::uint8_t* row = labels + y * width;
    if (y > 0 && rows_.index[y] == rows_.index[y - 1]) {
      std::memcpy(row, row - width, width);
    } else if (content.width == image.width) {
      label_row(all, rows_.index[y], content.width, row);
    } else {
      label_row(all, rows_.index[y], content.width, line_.data());
      for (std::size_t x = 0; x < width; ++x) row[x] = line_[static_cast<std::size_t>(columns_.index[x])];
    }
  }
}

void ScoreLabels::label_row(const Scores& scores, int y, int width, std::uint8_t* labels) {
  const auto at = static_cast<std::size_t>(y);
  const int low = vertical_.low[at], high = vertical_.high[at];
  if (prune_) find_able(scores, low, high);
  Pair pair{};
  pair.weight = vertical_.weight[at];
  pair.above = wide(scores, low, &pair.stride);
  if (pair.weight == 0) {
    best_classes<false>(pair, able_, width, labels);
  } else {
    pair.below = wide(scores, high, &pair.stride);
    best_classes<true>(pair, able_, width, labels);
  }
}

const float* ScoreLabels::wide(const Scores& scores, int y, std::size_t* stride) {
  if (scores.size.width == horizontal_.target()) {
    *stride = scores.size.pixels();
    return scores.row(0, y);
  }
  *stride = static_cast<std::size_t>(horizontal_.target());
  WideRow& row = wide_[static_cast<std::size_t>(y) % 2];  // two neighbours never share a place
  if (row.y != y) {
    std::fill(row.made.begin(), row.made.end(), std::uint8_t{0});
    row.y = y;
  }
  for (const std::int32_t k : able_) {
    std::uint8_t& made = row.made[static_cast<std::size_t>(k)];
    if (made != 0) continue;
    resize_row(scores.row(k, y), horizontal_, row.values.data() + static_cast<std::size_t>(k) * *stride);
    made = 1;
  }
  return row.values.data();
}

void ScoreLabels::find_able(const Scores& scores, int low, int high) {
  if (able_row_ == 2 * low + (high - low)) return;
  able_row_ = 2 * low + (high - low);
  const int width = scores.size.width;
  const int cells = width > 1 ? width - 1 : 1;
  const int next = width > 1 ? 1 : 0;
  bar_.resize(static_cast<std::size_t>(cells));
  float* bar = bar_.data();
  for (int k = 0; k < scores.classes; ++k) {
    const float* above = scores.row(k, low);
    const float* below = scores.row(k, high);
    int x = 0;
    for (; x + 4 <= cells; x += 4) {
      const simd::F4 left = simd::min(simd::load(above + x), simd::load(below + x));
      const simd::F4 right = simd::min(simd::load(above + x + next), simd::load(below + x + next));
      const simd::F4 lowest = simd::min(left, right);
      simd::store(bar + x, k == 0 ? lowest : simd::max(lowest, simd::load(bar + x)));
    }
    for (; x < cells; ++x) {
      const float lowest = std::min(std::min(above[x], below[x]), std::min(above[x + next], below[x + next]));
      bar[x] = k == 0 ? lowest : std::max(lowest, bar[x]);
    }
  }
  able_.clear();
  for (int k = 0; k < scores.classes; ++k) {
    const float* above = scores.row(k, low);
    const float* below = scores.row(k, high);
    bool can = false;
    int x = 0;
    for (; x + 4 <= cells && !can; x += 4) {
      const simd::F4 left = simd::max(simd::load(above + x), simd::load(below + x));
      const simd::F4 right = simd::max(simd::load(above + x + next), simd::load(below + x + next));
      can = simd::greater(simd::load(bar + x), simd::max(left, right)) != 15U;
    }
    for (; x < cells && !can; ++x) {
      can = std::max(std::max(above[x], below[x]), std::max(above[x + next], below[x + next])) >= bar[x];
    }
    if (can) able_.push_back(k);
  }
}

}  // namespace mobileseg
