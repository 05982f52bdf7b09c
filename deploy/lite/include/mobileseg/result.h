// What a network says of an image. A result is meant to be used again: its memory is kept from frame to
// frame.
#ifndef MOBILESEG_RESULT_H_
#define MOBILESEG_RESULT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mobileseg/image.h"

namespace mobileseg {

// What a result consists of: a label per pixel, or instances.
enum class ResultForm { kLabels, kInstances };

// Pixels, x to the right, y down; x2 and y2 are the right and lower edges.
struct Box {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
};

// The part of the image in which a mask may be set; everything outside is clear and has no memory.
struct MaskRegion {
  int top = 0;
  int left = 0;
  Size size;
  std::size_t offset = 0;  // of its first byte in Result::mask_bytes
};

struct Instance {
  Box box;  // inside the image
  float score = 0;
  int label = 0;  // class index
  MaskRegion mask;
  int track_id = -1;  // of the object through a stream; -1: none
};

struct StageTimes {  // milliseconds
  double preprocess = 0;
  double inference = 0;
  double postprocess = 0;
};

struct Result {
  ResultForm form = ResultForm::kLabels;
  Size size;                             // of the image
  std::vector<std::uint8_t> labels;      // [height, width] class indices
  std::vector<Instance> instances;       // by falling score
  std::vector<std::uint8_t> mask_bytes;  // 0 or 1 per pixel of every region, one region after another
  StageTimes times;
  // Name of the pipeline of graphs that gave it, of a network that has several: of a video network 'key' for
  // a frame that was computed whole, and 'nonkey' for one that builds on it.
  std::string pipeline;

  const std::uint8_t* mask(const Instance& instance) const {
    return mask_bytes.data() + instance.mask.offset;
  }
};

}  // namespace mobileseg

#endif  // MOBILESEG_RESULT_H_
