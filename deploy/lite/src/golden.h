// golden.npz, the reference of an artefact folder, item by item.
#ifndef MOBILESEG_SRC_GOLDEN_H_
#define MOBILESEG_SRC_GOLDEN_H_

#include <cstdint>
#include <map>
#include <string>

#include "compare.h"
#include "mobileseg/image.h"
#include "mobileseg/manifest.h"
#include "npz.h"

namespace mobileseg {

class Golden {
 public:
  // Reads the file after comparing it with its hash; throws Error(kRuntime).
  explicit Golden(const Manifest& manifest);
  // From arrays that are there already; `source` names them in messages.
  Golden(std::map<std::string, Array> arrays, std::string source);

  int items() const { return items_; }
  bool has(const std::string& kind, int item, const std::string& name = "") const;
  // The array '<kind>.<item>' or '<kind>.<item>.<name>'; throws Error(kRuntime) when it is missing.
  const Array& at(const std::string& kind, int item, const std::string& name = "") const;
  double scalar(const std::string& kind, int item, const std::string& name = "") const;
  ImageView image(int item) const;
  // How inputs and raw outputs are thinned out.
  Subsample sample(int item, bool channels_last) const;
  // Name of the pipeline of graphs that a frame runs.
  std::string pipeline(int item) const;
  // Number of the stream that a frame belongs to: those of one number run in their order. A frame without one
  // is a stream by itself, and has a negative number of its own.
  std::int64_t sequence(int item) const;

 private:
  std::map<std::string, Array> arrays_;
  std::string source_;
  int items_ = 0;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_GOLDEN_H_
