// Masks of instances from prototypes and coefficients (YOLACT, Bolya et al. 2019, arXiv:1904.02689).
#ifndef MOBILESEG_SRC_MASK_ASSEMBLY_H_
#define MOBILESEG_SRC_MASK_ASSEMBLY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mobileseg/image.h"
#include "mobileseg/result.h"
#include "resize.h"

namespace mobileseg {

// A mask is the sigmoid of a linear combination of the prototypes, cut to the predicted box on the grid of
// the prototypes, enlarged bilinearly to the image and compared with a threshold. Only what a box can touch
// is computed; the result is that of enlarging the whole grid, because outside of the cut everything is 0.
class MaskAssembly {
 public:
  // For every frame, before the masks of it. `prototypes` is [kinds, grid]; it must last until the last
  // `draw`.
  void start(const float* prototypes, int kinds, Size grid, Size image);

  // The part of the image that a box (in parts of the image, corners in any order) can touch; empty when
  // none.
  MaskRegion region(const Box& box) const;

  // Fills the bytes of a region that `region` gave for this box.
  void draw(const float* coefficients, const Box& box, const MaskRegion& region, float threshold,
            std::uint8_t* bytes);

 private:
  struct Span {
    int first = 0;
    int end = 0;
    int length() const { return end - first; }
  };

  static Span cut(float a, float b, int cells);
  static Span touched(const Span& cut, int cells, int pixels);
  void row_of_mask(const float* coefficients, int y, const Span& columns);

  const float* prototypes_ = nullptr;
  int kinds_ = 0;
  Size grid_;
  Size image_;
  AxisTaps vertical_;
  AxisTaps horizontal_;
  std::vector<float> row_;   // one row of the grid, 0 outside of the cut
  std::vector<float> wide_;  // the rows of the cut, each resized to the columns of the region
  std::vector<float> zeros_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_MASK_ASSEMBLY_H_
