// The section of a video model with queries (MobileInst) in a manifest; the fields are those of
// mobileseg/video/mobileinst/options.py.
#ifndef MOBILESEG_SRC_QUERY_SETTINGS_H_
#define MOBILESEG_SRC_QUERY_SETTINGS_H_

#include "kernel_tracks.h"
#include "keyframes.h"
#include "mobileseg/manifest.h"
#include "query_masks.h"

namespace mobileseg {

struct QuerySettings : TaskSettings {
  QueryOptions queries;
  int mask_stride = 8;  // pixels of the network's input per cell of the mask features
  KernelOptions kernels;
  KeyframeRule keyframes;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_QUERY_SETTINGS_H_
