// Names and scores over pictures; the core draws masks and boxes and knows no fonts.
#ifndef MOBILESEG_APP_NAMES_H_
#define MOBILESEG_APP_NAMES_H_

#include <opencv2/core.hpp>

#include "mobileseg/manifest.h"
#include "mobileseg/result.h"

namespace app {

// Writes the name and the score of every instance at the top left of its box, the best on top.
void draw_names(const mobileseg::Result& result, const mobileseg::Manifest& manifest, cv::Mat* picture);

}  // namespace app

#endif  // MOBILESEG_APP_NAMES_H_
