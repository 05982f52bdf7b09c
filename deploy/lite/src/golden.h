// golden.npz, the reference of an artefact folder, item by item.
#ifndef MOBILESEG_SRC_GOLDEN_H_
#define MOBILESEG_SRC_GOLDEN_H_

#include <map>
#include <string>

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

 private:
  std::map<std::string, Array> arrays_;
  std::string source_;
  int items_ = 0;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_GOLDEN_H_
