#include "tracker.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "mobileseg/error.h"

namespace mobileseg {
namespace {

constexpr std::int64_t kUnit = 256;  // places per pixel
constexpr std::int64_t kOne = 1000;  // overlap of what is equal
constexpr std::int64_t kGain = 4;    // a velocity moves by one part in so many
constexpr std::int64_t kRoom = 300;  // thousandths of a box's sides, when what is left is compared again
constexpr std::int64_t kRoomPerFrame = 200;  // more for each frame that the track was missing in
constexpr std::int64_t kMostRoom = 2000;
constexpr std::int64_t kLeastAround = 100;  // what boxes with room must have in common
constexpr std::int64_t kForesight = 15;     // frames for which a missing object is thought to move on
constexpr std::int64_t kLife = 3;     // frames that a young track is kept for after each that it was seen in
constexpr int kMostFrames = 1000000;  // of `max_age` and `min_hits`

std::int64_t placed(float value, int pixels) {
  const auto place = static_cast<std::int64_t>(std::floor(
      std::min(std::max(static_cast<double>(value), -1e9), 1e9) * static_cast<double>(kUnit) + 0.5));
  return std::min(std::max<std::int64_t>(place, 0), pixels * kUnit);
}

std::int64_t middle(const Tracker::Place& box, std::size_t axis) {
  return floor_div(box[axis] + box[axis + 2], 2);
}

[[noreturn]] void wrong(const std::string& what) {
  throw Error(ErrorKind::kUsage, "tracking: " + what);
}

}  // namespace

Tracker::Tracker(const TrackingOptions& options) : options_(options) {
  for (const double value : {options.score, options.low_score, options.overlap}) {
    if (!(value >= 0 && value <= 1)) wrong("score, low_score and overlap are from 0 to 1");
  }
  if (options.low_score > options.score) wrong("low_score is more than score");
  if (options.max_age < 0 || options.max_age > kMostFrames) wrong("max_age is from 0 to 1000000");
  if (options.min_hits < 1 || options.min_hits > kMostFrames) wrong("min_hits is from 1 to 1000000");
}

void Tracker::run(Result* result) {
  if (started_ && result->size != size_) {
    throw Error(ErrorKind::kRuntime, "a frame has another size than those before it",
                "call reset() before frames of another size");
  }
  size_ = result->size;
  look_at(*result);
  expect();
  compare();
  free_.assign(tracks_.size(), 1);
  const auto least =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(std::floor(options_.overlap * kOne + 0.5)));
  match(overlaps_, least, Who::kStrong);
  match(overlaps_, least, Who::kWeak);
  compare_around();
  match(around_, kLeastAround, Who::kStrong);
  update(result);
  started_ = true;
}

void Tracker::reset() {
  started_ = false;
  next_id_ = 0;
  tracks_.clear();
}

// The objects of the frame in integers.
void Tracker::look_at(const Result& result) {
  count_ = result.instances.size();
  if (seen_.size() < count_) seen_.resize(count_);
  for (std::size_t i = 0; i < count_; ++i) {
    const Instance& instance = result.instances[i];
    const Box& box = instance.box;
    for (const float value : {box.x1, box.y1, box.x2, box.y2}) {
      if (!std::isfinite(value)) throw Error(ErrorKind::kRuntime, "a box is not finite");
    }
    Seen& one = seen_[i];
    one.box = {{placed(box.x1, size_.width), placed(box.y1, size_.height), placed(box.x2, size_.width),
                placed(box.y2, size_.height)}};
    one.label = instance.label;
    one.strong = instance.score >= static_cast<float>(options_.score);
    one.weak = !one.strong && instance.score >= static_cast<float>(options_.low_score);
    one.owner = -1;
    one.mask.sample(result, instance);
  }
}

// Where the tracks have moved to, their centres inside of the image.
void Tracker::expect() {
  expected_.resize(tracks_.size());
  for (std::size_t i = 0; i < tracks_.size(); ++i) {
    const Track& one = tracks_[i];
    const std::int64_t age = std::min(one.missed + 1, kForesight);
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const std::int64_t limit = (axis == 0 ? size_.width : size_.height) * kUnit;
      const std::int64_t centre = middle(one.box, axis);
      const std::int64_t moved =
          std::min(std::max<std::int64_t>(centre + one.velocity[axis] * age, 0), limit) - centre;
      expected_[i][axis] = one.box[axis] + moved;
      expected_[i][axis + 2] = one.box[axis + 2] + moved;
    }
  }
}

// What tracks and objects have in common: the mean of boxes and masks.
void Tracker::compare() {
  overlaps_.assign(tracks_.size() * count_, 0);
  const std::int64_t cell = CoarseMask::spacing(size_) * kUnit;
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    const Track& one = tracks_[t];
    const std::int64_t columns = floor_div(expected_[t][0] - one.box[0] + cell / 2, cell);
    const std::int64_t rows = floor_div(expected_[t][1] - one.box[1] + cell / 2, cell);
    for (std::size_t i = 0; i < count_; ++i) {
      if (!allowed(t, i)) continue;
      std::int64_t common = overlap(expected_[t], seen_[i].box);
      const CoarseMask& mask = seen_[i].mask;
      if (common != 0 && one.mask.count > 0 && mask.count > 0) {
        const std::int64_t both = shared_points(one.mask, mask, rows, columns);
        common = floor_div(common + kOne * both / (one.mask.count + mask.count - both), 2);
      }
      overlaps_[t * count_ + i] = common;
    }
  }
}

// The same for what is left, with boxes that have room around them.
void Tracker::compare_around() {
  around_.assign(tracks_.size() * count_, 0);
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    if (free_[t] == 0) continue;
    const std::int64_t room = std::min(kRoom + kRoomPerFrame * tracks_[t].missed, kMostRoom);
    for (std::size_t i = 0; i < count_; ++i) {
      if (allowed(t, i)) around_[t * count_ + i] = overlap(expected_[t], seen_[i].box, room);
    }
  }
}

// Gives objects to free tracks so that most is in common in all.
void Tracker::match(const std::vector<std::int64_t>& overlaps, std::int64_t least, Who who) {
  const auto good = [&](std::size_t t, std::size_t i) {
    return overlaps[t * count_ + i] >= least && wanted(t, i, who);
  };
  rows_.clear();
  columns_.clear();
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    for (std::size_t i = 0; i < count_; ++i) {
      if (!good(t, i)) continue;
      rows_.push_back(t);
      break;
    }
  }
  for (std::size_t i = 0; i < count_; ++i) {
    if (std::any_of(rows_.begin(), rows_.end(), [&](std::size_t t) { return good(t, i); })) {
      columns_.push_back(i);
    }
  }
  if (rows_.empty()) return;
  costs_.clear();
  for (const std::size_t t : rows_) {
    for (const std::size_t i : columns_) costs_.push_back(kOne - (good(t, i) ? overlaps[t * count_ + i] : 0));
  }
  const std::vector<int>& partners = assignment_.solve(costs_, rows_.size(), columns_.size());
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    if (partners[row] < 0) continue;
    const auto column = static_cast<std::size_t>(partners[row]);
    if (costs_[row * columns_.size() + column] >= kOne) continue;
    seen_[columns_[column]].owner = static_cast<int>(rows_[row]);
    free_[rows_[row]] = 0;
  }
}

bool Tracker::allowed(std::size_t track, std::size_t object) const {
  return !options_.same_class || tracks_[track].label == seen_[object].label;
}

bool Tracker::wanted(std::size_t track, std::size_t object, Who who) const {
  const Seen& one = seen_[object];
  if (free_[track] == 0 || one.owner >= 0) return false;
  return who == Who::kStrong ? one.strong : one.weak && tracks_[track].missed == 0;
}

void Tracker::update(Result* result) {
  for (Track& one : tracks_) ++one.missed;
  for (std::size_t i = 0; i < count_; ++i) {
    result->instances[i].track_id = -1;
    if (seen_[i].owner < 0) continue;
    Track& one = tracks_[static_cast<std::size_t>(seen_[i].owner)];
    see_again(&one, &seen_[i]);
    if (one.confirmed) result->instances[i].track_id = one.id;
  }
  const auto ended = std::remove_if(tracks_.begin(), tracks_.end(),
                                    [this](const Track& one) { return one.missed > patience(one); });
  tracks_.erase(ended, tracks_.end());
  for (std::size_t i = 0; i < count_; ++i) {
    Seen& object = seen_[i];
    if (!object.strong || object.owner >= 0) continue;
    tracks_.emplace_back();
    Track& one = tracks_.back();
    one.id = next_id_++;
    one.label = object.label;
    one.box = object.box;
    std::swap(one.mask, object.mask);
    one.confirmed = !started_ || options_.min_hits == 1;
    if (one.confirmed) result->instances[i].track_id = one.id;
  }
}

// `missed` counts this frame already.
void Tracker::see_again(Track* track, Seen* object) const {
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t speed = floor_div(middle(object->box, axis) - middle(track->box, axis), track->missed);
    std::int64_t& known = track->velocity[axis];
    known = track->hits == 1 ? speed : known + floor_div(speed - known + kGain / 2, kGain);
  }
  track->box = object->box;
  track->label = object->label;
  std::swap(track->mask, object->mask);
  ++track->hits;
  track->missed = 0;
  track->confirmed = track->confirmed || track->hits >= options_.min_hits;
}

std::int64_t Tracker::patience(const Track& track) const {
  return track.confirmed ? std::min<std::int64_t>(options_.max_age, kLife * track.hits) : 0;
}

std::int64_t Tracker::overlap(const Place& track, const Place& object, std::int64_t room) {
  std::int64_t shared[2];
  std::int64_t sides[2][2];
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t more = floor_div((track[axis + 2] - track[axis]) * room, kOne);
    const std::int64_t other = floor_div((object[axis + 2] - object[axis]) * room, kOne);
    shared[axis] = std::max<std::int64_t>(0, std::min(track[axis + 2] + more, object[axis + 2] + other) -
                                                 std::max(track[axis] - more, object[axis] - other));
    sides[0][axis] = track[axis + 2] - track[axis] + 2 * more;
    sides[1][axis] = object[axis + 2] - object[axis] + 2 * other;
  }
  const std::int64_t both = shared[0] * shared[1];
  const std::int64_t area = sides[0][0] * sides[0][1] + sides[1][0] * sides[1][1];
  return kOne * both / std::max<std::int64_t>(area - both, 1);
}

}  // namespace mobileseg
