#include "kernel_tracks.h"

#include <algorithm>
#include <cmath>

namespace mobileseg {
namespace {

constexpr double kTiny = 1e-12;
constexpr double kSteps = 1 << 20;  // of a cosine, when objects are paired

double product(const float* a, const float* b, std::size_t length) {
  double sum = 0;
  for (std::size_t i = 0; i < length; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

double length_of(const float* kernel, std::size_t length) {
  return std::sqrt(product(kernel, kernel, length));
}

std::int64_t in_steps(double value) {
  return static_cast<std::int64_t>(std::floor(value * kSteps + 0.5));
}

}  // namespace

void KernelTracks::reserve(std::size_t objects, std::size_t length) {
  for (std::vector<int>* one : {&track_ids_, &track_labels_, &missed_, &ids_}) one->reserve(objects);
  track_kernels_.reserve(objects * length);
  lengths_.reserve(objects);
  costs_.reserve(objects * objects);
  assignment_.reserve(objects);
}

const std::vector<int>& KernelTracks::associate(const KernelObjects& objects) {
  const std::size_t length = objects.length;
  pair(objects);
  for (int& missed : missed_) ++missed;
  for (std::size_t object = 0; object < objects.count; ++object) {
    if (ids_[object] < 0) continue;
    const auto track = static_cast<std::size_t>(ids_[object]);  // an index, until here
    ids_[object] = track_ids_[track];
    track_labels_[track] = objects.labels[object];
    missed_[track] = 0;
    float* old = track_kernels_.data() + track * length;
    const float* seen = objects.kernels + object * length;
    for (std::size_t i = 0; i < length; ++i) {
      old[i] = options_.momentum * old[i] + (1.0F - options_.momentum) * seen[i];
    }
  }
  drop_lost(length);
  for (std::size_t object = 0; object < objects.count; ++object) {
    if (ids_[object] >= 0 || !(objects.scores[object] >= options_.birth_score)) continue;
    ids_[object] = next_id_++;
    track_ids_.push_back(ids_[object]);
    track_labels_.push_back(objects.labels[object]);
    missed_.push_back(0);
    const float* kernel = objects.kernels + object * length;
    track_kernels_.insert(track_kernels_.end(), kernel, kernel + length);
  }
  return ids_;
}

// The index of the track of every object, -1 of none, into ids_.
void KernelTracks::pair(const KernelObjects& objects) {
  const std::size_t length = objects.length;
  ids_.assign(objects.count, -1);
  lengths_.clear();
  for (std::size_t object = 0; object < objects.count; ++object) {
    lengths_.push_back(length_of(objects.kernels + object * length, length));
  }
  costs_.clear();
  for (std::size_t track = 0; track < track_ids_.size(); ++track) {
    const float* old = track_kernels_.data() + track * length;
    const double old_length = length_of(old, length);
    for (std::size_t object = 0; object < objects.count; ++object) {
      double alike = product(old, objects.kernels + object * length, length) /
                     std::max(old_length * lengths_[object], kTiny);
      if (track_labels_[track] != objects.labels[object]) alike -= options_.class_penalty;
      // Any pair that counts is better than none.
      costs_.push_back(alike >= options_.similarity ? -in_steps(alike + 2) : 0);
    }
  }
  const std::vector<int>& pairs = assignment_.solve(costs_, track_ids_.size(), objects.count);
  for (std::size_t track = 0; track < pairs.size(); ++track) {
    if (pairs[track] < 0) continue;
    const auto object = static_cast<std::size_t>(pairs[track]);
    if (costs_[track * objects.count + object] < 0) ids_[object] = static_cast<int>(track);
  }
}

void KernelTracks::drop_lost(std::size_t length) {
  std::size_t kept = 0;
  for (std::size_t track = 0; track < track_ids_.size(); ++track) {
    if (missed_[track] > options_.lost_keyframes) continue;
    track_ids_[kept] = track_ids_[track];
    track_labels_[kept] = track_labels_[track];
    missed_[kept] = missed_[track];
    std::copy_n(track_kernels_.data() + track * length, length, track_kernels_.data() + kept * length);
    ++kept;
  }
  for (std::vector<int>* one : {&track_ids_, &track_labels_, &missed_}) one->resize(kept);
  track_kernels_.resize(kept * length);
}

void KernelTracks::clear() {
  track_ids_.clear();
  track_labels_.clear();
  missed_.clear();
  track_kernels_.clear();
  next_id_ = 0;
}

std::vector<int> permutation(const float* previous, const float* current, std::size_t count,
                             std::size_t length) {
  std::vector<std::int64_t> costs;
  costs.reserve(count * count);
  for (std::size_t row = 0; row < count; ++row) {
    const float* first = previous + row * length;
    for (std::size_t column = 0; column < count; ++column) {
      const float* second = current + column * length;
      const double lengths = std::max(length_of(first, length) * length_of(second, length), kTiny);
      costs.push_back(-in_steps(product(first, second, length) / lengths));
    }
  }
  Assignment assignment;
  return assignment.solve(costs, count, count);
}

}  // namespace mobileseg
