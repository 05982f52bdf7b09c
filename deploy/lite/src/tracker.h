// Identities of objects through the frames of a stream; the steps and all integers are those of
// mobileseg/tracking/tracker.py, which has the method's sources.
#ifndef MOBILESEG_SRC_TRACKER_H_
#define MOBILESEG_SRC_TRACKER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "assignment.h"
#include "coarse_mask.h"
#include "mobileseg/result.h"
#include "mobileseg/tracking.h"

namespace mobileseg {

class Tracker {
 public:
  // x1, y1, x2, y2 in 1/256 pixel.
  using Place = std::array<std::int64_t, 4>;

  struct Track {
    int id = 0;
    int label = 0;
    Place box{};                             // where it was seen last
    std::array<std::int64_t, 2> velocity{};  // columns and rows per frame, in 1/256 pixel
    CoarseMask mask;                         // where it was seen last
    std::int64_t hits = 1;                   // frames that it was seen in
    std::int64_t missed = 0;                 // frames since
    bool confirmed = true;                   // it is reported
  };

  // Throws Error(kUsage) for options that cannot be used.
  explicit Tracker(const TrackingOptions& options);

  // Fills `track_id` of all instances of the next frame; -1 is left of those that belong to no track. Throws
  // Error(kRuntime) for a box that is no number, and for a frame of another size than those before it.
  void run(Result* result);
  void reset();
  bool started() const { return started_; }
  const std::vector<Track>& tracks() const { return tracks_; }
  // What the tracks before the latest frame had in common with its objects, [tracks, objects], in
  // thousandths.
  const std::vector<std::int64_t>& overlaps() const { return overlaps_; }

  // Intersection over union in thousandths, when both grow by `room` thousandths of their sides on each side.
  static std::int64_t overlap(const Place& track, const Place& object, std::int64_t room = 0);

 private:
  struct Seen {
    Place box{};
    int label = 0;
    bool strong = false;
    bool weak = false;
    CoarseMask mask;
    int owner = -1;  // index of the track
  };

  enum class Who { kStrong, kWeak };

  void look_at(const Result& result);
  void expect();
  void compare();
  void compare_around();
  void match(const std::vector<std::int64_t>& overlaps, std::int64_t least, Who who);
  bool allowed(std::size_t track, std::size_t object) const;
  bool wanted(std::size_t track, std::size_t object, Who who) const;
  void update(Result* result);
  void see_again(Track* track, Seen* object) const;
  std::int64_t patience(const Track& track) const;

  TrackingOptions options_;
  bool started_ = false;
  Size size_;
  int next_id_ = 0;
  std::vector<Track> tracks_;  // by rising id
  std::vector<Seen> seen_;     // of this frame; the first `count_`
  std::size_t count_ = 0;
  std::vector<Place> expected_;                  // of the tracks
  std::vector<char> free_;                       // tracks without an object
  std::vector<std::int64_t> overlaps_, around_;  // [tracks, objects]
  std::vector<std::size_t> rows_, columns_;
  std::vector<std::int64_t> costs_;
  Assignment assignment_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_TRACKER_H_
