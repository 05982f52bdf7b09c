// The section of a video instance segmentation model in a manifest.
#ifndef MOBILESEG_SRC_VIDEO_SETTINGS_H_
#define MOBILESEG_SRC_VIDEO_SETTINGS_H_

#include "instance_settings.h"
#include "keyframes.h"

namespace mobileseg {

struct VideoSettings : InstanceSettings {
  KeyframeRule keyframes;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_VIDEO_SETTINGS_H_
