// Parts of a manifest, read from its JSON. A field that is missing, of another type or out of range throws
// Error(kRuntime), which names it.
#ifndef MOBILESEG_SRC_MANIFEST_FIELDS_H_
#define MOBILESEG_SRC_MANIFEST_FIELDS_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "json_fields.h"
#include "mobileseg/manifest.h"

namespace mobileseg {

ImageSpec image_spec(const Field& field);

// Tensors and files of one graph.
GraphSpec graph_of(const Field& field);

std::vector<std::string> texts_of(const Field& field);

std::vector<std::array<std::uint8_t, 3>> palette_of(const Field& field);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_MANIFEST_FIELDS_H_
