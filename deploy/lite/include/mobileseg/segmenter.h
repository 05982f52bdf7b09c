// An image in, labels or instances out: preprocess, engine, postprocess of one artefact folder.
#ifndef MOBILESEG_SEGMENTER_H_
#define MOBILESEG_SEGMENTER_H_

#include <memory>
#include <string>

#include "mobileseg/engine.h"
#include "mobileseg/image.h"
#include "mobileseg/manifest.h"
#include "mobileseg/result.h"
#include "mobileseg/tracking.h"

namespace mobileseg {

struct StreamOptions {
  bool track = false;  // objects have ids that stay, and those that belong to no track are left out
  TrackingOptions tracking;
  double smooth = 0;  // weight of earlier frames in class probabilities, below 1: labels flicker less
};

// Frames of one source, in their order, with what the network and its task keep from frame to frame. Made by
// `Segmenter::stream`, which must outlive it. Streams of one segmenter share its engine and nothing else, so
// several can be fed in turn, by one thread.
//
// Keeps its buffers: pre- and postprocessing allocate nothing once the sizes are known.
class Stream {
 public:
  ~Stream();
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;

  // Segments the next frame. `result` is overwritten; pass the same one for every frame. Throws
  // Error(kRuntime) when the frame has another size than those that something is kept of.
  void step(const ImageView& image, Result* result);
  // Forgets all frames: the next one begins a stream.
  void reset();

 private:
  friend class Segmenter;
  struct State;
  explicit Stream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Use one per thread.
class Segmenter {
 public:
  // Loads a folder into the engine of this build. Throws Error when that cannot be done.
  static Segmenter open(const std::string& folder, const EngineOptions& options = EngineOptions());
  Segmenter(Manifest manifest, std::unique_ptr<Engine> engine);
  ~Segmenter();
  Segmenter(Segmenter&&) noexcept;
  Segmenter& operator=(Segmenter&&) noexcept;

  const Manifest& manifest() const;
  const Engine& engine() const;
  ResultForm form() const;  // of its results

  // Throws Error(kUsage) when results have nothing to track or to smooth, or for options that cannot be used;
  // Error(kRuntime) when graphs give no class probabilities to smooth.
  Stream stream(const StreamOptions& options = StreamOptions());

  // Segments an image: a stream of one frame. `result` is overwritten; pass the same one for every image.
  void run(const ImageView& image, Result* result);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SEGMENTER_H_
