// Which objects of a key frame are those of the key frames before: mask kernels that point the same way
// belong together. The steps are those of mobileseg/video/mobileinst/association.py.
#ifndef MOBILESEG_SRC_KERNEL_TRACKS_H_
#define MOBILESEG_SRC_KERNEL_TRACKS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "assignment.h"

namespace mobileseg {

struct KernelOptions {
  double rekey_below = 0;      // masks less sure than this share of the key frame's ask for one; 0: never
  float birth_score = 0.3F;    // an object begins a track from this score on
  double similarity = 0.5;     // cosine from which two kernels may be of one object
  double class_penalty = 0.2;  // what it loses where the classes differ
  int lost_keyframes = 30;     // key frames for which a track that is not seen is remembered
  float momentum = 0;          // share of its old kernel that a track keeps when it is seen
};

// The objects of a key frame; `kernels` is [count, length].
struct KernelObjects {
  const float* kernels;
  const int* labels;
  const float* scores;
  std::size_t count;
  std::size_t length;
};

// Keeps its memory.
class KernelTracks {
 public:
  explicit KernelTracks(const KernelOptions& options) : options_(options) {}

  // Room for that many objects and tracks.
  void reserve(std::size_t objects, std::size_t length);
  // The id of every object, -1 of those too weak to begin a track. Lasts until the next call.
  const std::vector<int>& associate(const KernelObjects& objects);
  void clear();

 private:
  void pair(const KernelObjects& objects);
  void drop_lost(std::size_t length);

  KernelOptions options_;
  std::vector<int> track_ids_, track_labels_, missed_;
  std::vector<float> track_kernels_;
  int next_id_ = 0;
  std::vector<double> lengths_;  // of the objects' kernels
  std::vector<std::int64_t> costs_;
  Assignment assignment_;
  std::vector<int> ids_;
};

// The published rule (MinVIS): query i of the key frame before goes on as query [i] of this one, so that the
// sum of 1 - cosine over all is the least. Both [count, length].
std::vector<int> permutation(const float* previous, const float* current, std::size_t count,
                             std::size_t length);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_KERNEL_TRACKS_H_
