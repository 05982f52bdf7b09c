#include "label_filter.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "coarse_mask.h"
#include "mobileseg/error.h"

namespace mobileseg {
namespace {

constexpr int kUnlike =
    24;  // mean difference of a block's grey values, from which on it shows something else

// A displacement of cells in places of the scores, rounded to the nearest.
std::int64_t scaled(std::int32_t motion, std::int64_t places, std::int64_t cells) {
  return floor_div(2 * motion * places + cells, 2 * cells);
}

}  // namespace

LabelFilter::LabelFilter(double weight) : weight_(static_cast<float>(weight)) {
  if (!(weight >= 0 && weight < 1)) {
    throw Error(ErrorKind::kUsage, "the weight of earlier frames is from 0 to below 1");
  }
}

void LabelFilter::see(const ImageView& image) {
  next_.read(image);
  moving_ = started_ && next_.size == grey_.size;
  if (moving_) {
    motion_ = search_.search(next_, grey_);
    compare();
  } else {
    kept_.clear();
  }
  std::swap(grey_, next_);
  started_ = true;
}

// Which blocks look different from where they have moved to.
void LabelFilter::compare() {
  const Size blocks = search_.blocks();
  const int height = next_.size.height, width = next_.size.width;
  unlike_.assign(motion_.size(), 0);
  for (int row = 0; row < blocks.height; ++row) {
    for (int column = 0; column < blocks.width; ++column) {
      const auto place = static_cast<std::size_t>(row * blocks.width + column);
      const Displacement& moved = motion_[place];
      const int bottom = std::min((row + 1) * BlockMotion::kBlock, height);
      const int right = std::min((column + 1) * BlockMotion::kBlock, width);
      std::int64_t sum = 0, count = 0;
      for (int y = row * BlockMotion::kBlock; y < bottom; ++y) {
        const int there = std::min(std::max(y + moved[1], 0), height - 1);
        for (int x = column * BlockMotion::kBlock; x < right; ++x, ++count) {
          const int beside = std::min(std::max(x + moved[0], 0), width - 1);
          sum += std::abs(next_.values[static_cast<std::size_t>(y * width + x)] -
                          grey_.values[static_cast<std::size_t>(there * width + beside)]);
        }
      }
      unlike_[place] = sum / count > kUnlike ? 1 : 0;
    }
  }
}

void LabelFilter::blocks_of(int length, int cells, int content, int covered,
                            std::vector<std::size_t>* blocks) {
  blocks->clear();
  for (std::int64_t i = 0; i < length; ++i) {
    const std::int64_t cell =
        (2 * i + 1) * covered * cells / (2 * static_cast<std::int64_t>(length) * content);
    blocks->push_back(static_cast<std::size_t>(std::min<std::int64_t>(cell, cells - 1)) /
                      BlockMotion::kBlock);
  }
}

void LabelFilter::smooth(std::size_t classes, Size size, Size content, Size covered, float* scores) {
  const std::size_t pixels = size.pixels();
  if (moving_ && !kept_.empty() && classes == classes_ && size == size_) {
    blocks_of(size.height, grey_.size.height, content.height, covered.height, &rows_);
    blocks_of(size.width, grey_.size.width, content.width, covered.width, &columns_);
    const std::int64_t places[2] = {std::int64_t{size.width} * content.width,
                                    std::int64_t{size.height} * content.height};
    const std::int64_t cells[2] = {std::int64_t{grey_.size.width} * covered.width,
                                   std::int64_t{grey_.size.height} * covered.height};
    const float rest = 1.0F - weight_;
    std::size_t place = 0;
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x, ++place) {
        const std::size_t block =
            rows_[static_cast<std::size_t>(y)] * static_cast<std::size_t>(search_.blocks().width) +
            columns_[static_cast<std::size_t>(x)];
        if (unlike_[block] != 0) continue;
        const std::int64_t column = x + scaled(motion_[block][0], places[0], cells[0]);
        const std::int64_t row = y + scaled(motion_[block][1], places[1], cells[1]);
        if (row < 0 || column < 0 || row >= size.height || column >= size.width) continue;
        const auto before = static_cast<std::size_t>(row * size.width + column);
        for (std::size_t k = 0; k < classes; ++k) {
          float& score = scores[k * pixels + place];
          score = weight_ * kept_[k * pixels + before] + rest * score;
        }
      }
    }
  }
  kept_.assign(scores, scores + classes * pixels);
  classes_ = classes;
  size_ = size;
}

void LabelFilter::reset() {
  started_ = false;
  moving_ = false;
  kept_.clear();
}

}  // namespace mobileseg
