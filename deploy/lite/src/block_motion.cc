#include "block_motion.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <tuple>

namespace mobileseg {
namespace {

constexpr int kSide = 320;   // cells along the longer side, at most
constexpr int kReach = 6;    // cells of the smallest level, in each direction
constexpr int kPenalty = 2;  // grey values per block and cell of displacement

int whole_blocks(int cells) {
  return (cells + BlockMotion::kBlock - 1) / BlockMotion::kBlock;
}

std::size_t place(int row, int column, int width) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(width) + static_cast<std::size_t>(column);
}

}  // namespace

int GreyCells::cell_of(Size size) {
  return (std::max(size.height, size.width) + kSide - 1) / kSide;
}

void GreyCells::read(const ImageView& image) {
  const int cell = std::min({cell_of(image.size), image.size.height, image.size.width});
  size = {image.size.height / cell, image.size.width / cell};
  values.assign(size.pixels(), 0);
  for (int y = 0; y < size.height * cell; ++y) {
    const std::uint8_t* pixel = image.pixels + static_cast<std::size_t>(y) * image.stride;
    std::int32_t* row = values.data() + place(y / cell, 0, size.width);
    for (int x = 0; x < size.width; ++x) {
      std::int32_t sum = 0;  // red and blue count alike, whatever their order
      for (int i = 0; i < cell; ++i, pixel += 3) sum += pixel[0] + 2 * pixel[1] + pixel[2];
      row[x] += sum;
    }
  }
  for (std::int32_t& value : values) value /= 4 * cell * cell;
}

BlockMotion::BlockMotion() : wide_(steps_within(kReach)), narrow_(steps_within(1)) {}

// The shortest first, then by rows, then by columns.
BlockMotion::Steps BlockMotion::steps_within(int reach) {
  Steps steps;
  for (int dy = -reach; dy <= reach; ++dy) {
    for (int dx = -reach; dx <= reach; ++dx) steps.emplace_back(dy, dx);
  }
  const auto key = [](const std::pair<int, int>& step) {
    return std::make_tuple(std::abs(step.first) + std::abs(step.second), step.first, step.second);
  };
  std::sort(steps.begin(), steps.end(),
            [&](const auto& one, const auto& other) { return key(one) < key(other); });
  return steps;
}

const std::vector<Displacement>& BlockMotion::search(const GreyCells& first, const GreyCells& second) {
  blocks_ = {whole_blocks(first.size.height), whole_blocks(first.size.width)};
  build(first, &first_);
  build(second, &second_);
  motion_.assign(blocks_.pixels(), {{0, 0}});
  for (int level = kLevels - 1; level >= 0; --level) {
    for (Displacement& one : motion_) one = {{2 * one[0], 2 * one[1]}};
    refine(level, level == kLevels - 1 ? wide_ : narrow_);
  }
  return motion_;
}

// The image with its last rows and columns repeated to whole blocks; then halves of it, rounded down.
void BlockMotion::build(const GreyCells& image, std::array<GreyCells, kLevels>* levels) const {
  GreyCells& whole = (*levels)[0];
  whole.size = {blocks_.height * kBlock, blocks_.width * kBlock};
  whole.values.resize(whole.size.pixels());
  for (int y = 0; y < whole.size.height; ++y) {
    for (int x = 0; x < whole.size.width; ++x) {
      whole.values[place(y, x, whole.size.width)] = image.values[place(
          std::min(y, image.size.height - 1), std::min(x, image.size.width - 1), image.size.width)];
    }
  }
  for (std::size_t level = 1; level < levels->size(); ++level) {
    const GreyCells& large = (*levels)[level - 1];
    GreyCells& small = (*levels)[level];
    small.size = {large.size.height / 2, large.size.width / 2};
    small.values.resize(small.size.pixels());
    for (int y = 0; y < small.size.height; ++y) {
      const std::int32_t* upper = large.values.data() + place(2 * y, 0, large.size.width);
      const std::int32_t* lower = upper + large.size.width;
      for (int x = 0; x < small.size.width; ++x) {
        small.values[place(y, x, small.size.width)] =
            (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1]) / 4;
      }
    }
  }
}

// The best displacements near those there are.
void BlockMotion::refine(int level, const Steps& steps) {
  for (int row = 0; row < blocks_.height; ++row) {
    for (int column = 0; column < blocks_.width; ++column) {
      Displacement& found = motion_[place(row, column, blocks_.width)];
      const Displacement start = found;
      std::int64_t best = std::numeric_limits<std::int64_t>::max();
      for (const auto& step : steps) {
        const Displacement moved = {{start[0] + step.second, start[1] + step.first}};
        const std::int64_t price = cost(level, row, column, moved);
        if (price >= best) continue;
        best = price;
        found = moved;
      }
    }
  }
}

// The sum of absolute differences, and what the length costs.
std::int64_t BlockMotion::cost(int level, int row, int column, const Displacement& moved) const {
  const GreyCells& one = first_[static_cast<std::size_t>(level)];
  const GreyCells& other = second_[static_cast<std::size_t>(level)];
  const int block = kBlock >> level;
  const int top = row * block, left = column * block;
  const int height = one.size.height, width = one.size.width;
  std::int64_t sum = std::int64_t{kPenalty << level} * (std::abs(moved[0]) + std::abs(moved[1]));
  const bool inside = left + moved[0] >= 0 && left + block + moved[0] <= width;
  for (int y = top; y < top + block; ++y) {
    const std::int32_t* here = one.values.data() + place(y, left, width);
    const std::int32_t* line =
        other.values.data() + place(std::min(std::max(y + moved[1], 0), height - 1), 0, width);
    if (inside) {
      const std::int32_t* there = line + left + moved[0];
      std::int32_t part = 0;
      for (int x = 0; x < block; ++x) part += std::abs(here[x] - there[x]);
      sum += part;
      continue;
    }
    for (int x = 0; x < block; ++x) {
      sum += std::abs(here[x] - line[std::min(std::max(left + x + moved[0], 0), width - 1)]);
    }
  }
  return sum;
}

}  // namespace mobileseg
