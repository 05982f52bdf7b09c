// The class of the highest score for every pixel of an image: the end of a network behind its graph. Bilinear
// resizing, comparison and, where the image has another size than the grid of labels, nearest neighbour are
// one pass over the scores.
#ifndef MOBILESEG_SRC_SCORE_LABELS_H_
#define MOBILESEG_SRC_SCORE_LABELS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "mobileseg/image.h"
#include "resize.h"

namespace mobileseg {

class ScoreLabels {
 public:
  // Scores [K, source] without NaN are resized to the grid `size`, of which the top left part `content` is
  // the image; `labels` receives [image]. Of equal scores the lower class wins.
  void run(const float* scores, int classes, Size source, Size size, Size content, Size image,
           std::uint8_t* labels);

 private:
  struct Scores {
    const float* values;
    int classes;
    Size size;

    const float* row(int k, int y) const {
      return values + static_cast<std::size_t>(k) * size.pixels() +
             static_cast<std::size_t>(y) * static_cast<std::size_t>(size.width);
    }
  };

  // A row of the source, resized along the row, of those classes that were needed.
  struct WideRow {
    std::vector<float> values;  // [K, width]
    std::vector<std::uint8_t> made;
    int y = -1;
  };

  // Finds the classes that can win in the cells between two rows of the source. A resized score lies between
  // the lowest and the highest of its cell, four neighbouring scores: a class whose highest is below the
  // lowest of another one has no pixel of the cell.
  void find_able(const Scores& scores, int low, int high);
  // The rows of the able classes, as wide as the grid; `stride` receives the distance from class to class.
  const float* wide(const Scores& scores, int y, std::size_t* stride);
  void label_row(const Scores& scores, int y, int width, std::uint8_t* labels);

  AxisTaps vertical_;
  AxisTaps horizontal_;
  NearestTaps rows_;
  NearestTaps columns_;
  std::array<WideRow, 2> wide_;
  std::vector<float> bar_;          // of every cell, the highest of the lowest scores of its classes
  std::vector<std::int32_t> able_;  // ascending
  std::vector<std::uint8_t> line_;  // labels of a row of the grid
  bool prune_ = false;
  int able_row_ = -1;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_SCORE_LABELS_H_
