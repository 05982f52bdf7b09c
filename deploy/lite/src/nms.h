// Non-maximum suppression: the three forms of YOLACT (Bolya et al. 2019, arXiv:1904.02689).
#ifndef MOBILESEG_SRC_NMS_H_
#define MOBILESEG_SRC_NMS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "instance_settings.h"
#include "mobileseg/result.h"

namespace mobileseg {

// A box may be a candidate of several classes.
struct Candidate {
  float score;
  std::uint32_t box;  // row of the boxes
  std::uint32_t label;
};

struct SuppressionOptions {
  NmsKind kind = NmsKind::kFast;
  float iou_threshold = 0.5F;
  std::size_t top_k = 200;  // fast and cross-class: candidates, per class or in all; 0 never
  std::size_t max_detections = 100;
  bool inclusive = false;  // traditional: sides are one longer, and the threshold itself suppresses
};

// In all forms only a better candidate suppresses, so the candidates are looked at best first (of equal
// scores the lower box and then the lower class), each is compared with the earlier ones of its class, and
// the search ends when enough are found.
class Suppression {
 public:
  // Candidates to choose from; cleared by the caller before a frame.
  std::vector<Candidate>& candidates() { return candidates_; }
  void reserve(std::size_t candidates, std::size_t classes);

  // What is left, best first; lasts until the next call. Reorders the candidates.
  const std::vector<Candidate>& run(const std::vector<Box>& boxes, std::size_t classes,
                                    const SuppressionOptions& options);

 private:
  struct Seen {
    std::uint32_t box;
    std::int32_t before;  // the one seen before it in its class, -1 for none
  };

  bool overlapped(const std::vector<Box>& boxes, const Box& box, std::int32_t newest,
                  const SuppressionOptions& options) const;

  std::vector<Candidate> candidates_;
  std::vector<Candidate> kept_;
  std::vector<Seen> seen_;
  std::vector<std::int32_t> newest_;  // of every class, a place in seen_
  std::vector<std::size_t> counts_;   // seen in every class
};

// Intersection over union; `extra` is 1 when corners are pixels that belong to the box, else 0.
float intersection_over_union(const Box& a, const Box& b, float extra);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_NMS_H_
