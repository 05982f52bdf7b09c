// Options of the tracker, which gives objects of a stream ids that stay.
#ifndef MOBILESEG_TRACKING_H_
#define MOBILESEG_TRACKING_H_

namespace mobileseg {

// When an object is the one of earlier frames; as `TrackingOptions` of the Python package.
struct TrackingOptions {
  double score = 0.3;      // an object begins a track from this score on
  double low_score = 0.1;  // an object of at least this one continues a track of the frame before
  double overlap = 0.1;    // what object and expected place must have in common
  int max_age = 30;        // frames that a track is kept for after it was last seen
  bool same_class = true;  // objects of another class never continue a track
  int min_hits = 1;        // frames that a track must have been seen in before its object is reported
};

}  // namespace mobileseg

#endif  // MOBILESEG_TRACKING_H_
