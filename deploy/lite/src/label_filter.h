// Smoothing of label video: class probabilities are averaged with those of earlier frames, which move with
// the image; the steps and all numbers are those of mobileseg/tracking/label_filter.py.
#ifndef MOBILESEG_SRC_LABEL_FILTER_H_
#define MOBILESEG_SRC_LABEL_FILTER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "block_motion.h"
#include "mobileseg/image.h"

namespace mobileseg {

class LabelFilter {
 public:
  // `weight` of earlier frames, from 0 to below 1. Throws Error(kUsage).
  explicit LabelFilter(double weight);

  // Looks at the next frame; one of another size begins anew.
  void see(const ImageView& image);
  // Averages the probabilities of that frame, [classes, size], in place. `content` is the part of the
  // network's input that the image fills, `covered` all of it, which the scores cover.
  void smooth(std::size_t classes, Size size, Size content, Size covered, float* scores);
  void reset();

 private:
  // Where on one axis the places of the scores lie: the block of the frame.
  static void blocks_of(int length, int cells, int content, int covered, std::vector<std::size_t>* blocks);
  void compare();

  float weight_;
  bool started_ = false;
  bool moving_ = false;  // the motion from the frame before is known
  GreyCells grey_, next_;
  BlockMotion search_;
  std::vector<Displacement> motion_;
  std::vector<char> unlike_;  // blocks that look different in the frame before
  std::vector<float> kept_;   // filtered probabilities of the frame before
  std::size_t classes_ = 0;
  Size size_;
  std::vector<std::size_t> rows_, columns_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_LABEL_FILTER_H_
