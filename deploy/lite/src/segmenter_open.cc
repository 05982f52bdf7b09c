// Kept apart from the rest of Segmenter: whoever links the core alone brings an engine of his own.
#include <utility>

#include "mobileseg/segmenter.h"

namespace mobileseg {

Segmenter Segmenter::open(const std::string& folder, const EngineOptions& options) {
  Manifest manifest = Manifest::read(folder);
  std::unique_ptr<Engine> engine = make_engine(manifest, options);
  return Segmenter(std::move(manifest), std::move(engine));
}

}  // namespace mobileseg
