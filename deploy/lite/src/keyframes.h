// When a frame of a video is computed whole: the rule of mobileseg/video/keyframes.py, in the same integers
// and in doubles in the same order, so that both decide alike.
#ifndef MOBILESEG_SRC_KEYFRAMES_H_
#define MOBILESEG_SRC_KEYFRAMES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "mobileseg/image.h"
#include "mobileseg/result.h"

namespace mobileseg {

struct KeyframeRule {
  int every = 5;  // frames from one key frame to the next; 1: every frame is one
  // A thumbnail that differs from the key frame's by this mean share of the range; 0: they are not
  // compared.
  double scene_cut = 0;
  // This share of the key frame's objects is no longer where it was; 0: objects are not compared.
  double lost_objects = 0;
  // Frames after which a key frame that is due comes into use, below `every`; 0: at once.
  int delay = 0;
};

// Whether the next frame is a key frame. `age` is the number of frames since the latest key frame, 1 for the
// one after it, 0 when there was none; `difference` and `lost` are 0..1.
bool is_key(int age, const KeyframeRule& rule, double difference, double lost);

// Whether the key frame no longer says anything of the next frame.
bool is_broken(const KeyframeRule& rule, double difference, double lost);

// 12 rows of 16 cells; in each the sum of R + 2G + B over 64 pixels on a regular grid. The order of the
// colours makes no difference.
constexpr std::size_t kThumbnailRows = 12;
constexpr std::size_t kThumbnailColumns = 16;
using Thumbnail = std::array<std::int32_t, kThumbnailRows * kThumbnailColumns>;

Thumbnail thumbnail(const ImageView& image);

// Mean distance of two thumbnails as a share of the range, 0..1.
double thumbnail_difference(const Thumbnail& first, const Thumbnail& second);

struct SeenObject {
  Box box;  // pixels
  int label = 0;
};

// Share of a key frame's objects of whose class no box of a later frame has an IoU of at least 0.5 with
// theirs.
double lost_share(const std::vector<SeenObject>& key, const std::vector<SeenObject>& later);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_KEYFRAMES_H_
