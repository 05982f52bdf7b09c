// The section of a video model with queries (MobileInst) in a manifest; the fields are those of
// mobileseg/video/mobileinst/options.py.
#ifndef MOBILESEG_SRC_QUERY_SETTINGS_H_
#define MOBILESEG_SRC_QUERY_SETTINGS_H_

#include <memory>

#include "kernel_tracks.h"
#include "keyframes.h"
#include "mobileseg/manifest.h"
#include "query_masks.h"

namespace mobileseg {

class Field;

struct QuerySettings : TaskSettings {
  QueryOptions queries;
  int mask_stride = 8;  // pixels of the network's input per cell of the mask features
  KernelOptions kernels;
  KeyframeRule keyframes;
};

// Whether a manifest's section is of a network with queries.
bool is_query_based(const Field* section);
const QuerySettings* query_settings_of(const Manifest& manifest);  // null for other networks

// As `Task::settings`; `keyframes` is the rule that the section has.
std::shared_ptr<const QuerySettings> read_query_settings(const Field& section, const KeyframeRule& keyframes,
                                                         Manifest* manifest);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_QUERY_SETTINGS_H_
