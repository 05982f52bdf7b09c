// Motion of blocks from one frame to another, by search on small grey images; the steps and all integers are
// those of mobileseg/tracking/motion.py.
#ifndef MOBILESEG_SRC_BLOCK_MOTION_H_
#define MOBILESEG_SRC_BLOCK_MOTION_H_

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "mobileseg/image.h"

namespace mobileseg {

// Means of (R + 2 G + B) / 4 over square cells.
struct GreyCells {
  Size size;  // in cells
  std::vector<std::int32_t> values;

  // Pixels along the sides of a cell.
  static int cell_of(Size size);
  // Rows and columns that fill no cell are left out; the memory is used again.
  void read(const ImageView& image);
};

// Columns and rows, in cells.
using Displacement = std::array<std::int32_t, 2>;

class BlockMotion {
 public:
  static constexpr int kBlock = 16;  // cells along the sides of a block

  BlockMotion();

  // Where the blocks of one grey image are in another of the same size, row by row. Lasts until the next
  // call.
  const std::vector<Displacement>& search(const GreyCells& first, const GreyCells& second);
  Size blocks() const { return blocks_; }

 private:
  static constexpr int kLevels = 3;
  using Steps = std::vector<std::pair<int, int>>;  // rows and columns

  static Steps steps_within(int reach);
  void build(const GreyCells& image, std::array<GreyCells, kLevels>* levels) const;
  void refine(int level, const Steps& steps);
  std::int64_t cost(int level, int row, int column, const Displacement& moved) const;

  Size blocks_;
  Steps wide_, narrow_;
  std::array<GreyCells, kLevels> first_, second_;
  std::vector<Displacement> motion_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_BLOCK_MOTION_H_
