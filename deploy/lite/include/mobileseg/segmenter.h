// A picture in, labels or instances out: preprocess, engine, postprocess of one artefact folder.
#ifndef MOBILESEG_SEGMENTER_H_
#define MOBILESEG_SEGMENTER_H_

#include <memory>
#include <string>

#include "mobileseg/engine.h"
#include "mobileseg/image.h"
#include "mobileseg/manifest.h"
#include "mobileseg/result.h"

namespace mobileseg {

// Keeps its buffers from frame to frame: pre- and postprocessing allocate nothing once the sizes are known.
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

  // Segments a picture. `result` is overwritten; pass the same one for every frame.
  void run(const ImageView& image, Result* result);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SEGMENTER_H_
