#include "names.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <string>

namespace app {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;

// Black or white, whichever is easier to read on the colour (luma of ITU-R BT.601).
cv::Scalar ink_on(const cv::Scalar& bgr) {
  return 0.114 * bgr[0] + 0.587 * bgr[1] + 0.299 * bgr[2] > 140 ? cv::Scalar::all(0) : cv::Scalar::all(255);
}

}  // namespace

void draw_names(const mobileseg::Result& result, const mobileseg::Manifest& manifest, cv::Mat* picture) {
  const double scale = std::max(0.35, picture->rows / 1000.0);
  const int thickness = std::max(1, static_cast<int>(scale * 1.5));
  for (auto one = result.instances.rbegin(); one != result.instances.rend(); ++one) {
    const auto label = static_cast<std::size_t>(one->label);
    if (label >= manifest.classes.size()) continue;
    const int percent = static_cast<int>(std::lround(one->score * 100));
    const std::string text = manifest.classes[label] + " " + std::to_string(percent) + "%";
    int baseline = 0;
    const cv::Size extent = cv::getTextSize(text, kFont, scale, thickness, &baseline);
    const int pad = std::max(1, extent.height / 4);
    const int height = extent.height + baseline + pad;
    const int left =
        std::max(0, std::min(static_cast<int>(one->box.x1), picture->cols - extent.width - 2 * pad));
    const int top = std::max(0, static_cast<int>(one->box.y1) - height);
    const auto& rgb = manifest.palette[label];
    const cv::Scalar color(rgb[2], rgb[1], rgb[0]);
    cv::rectangle(*picture, cv::Rect(left, top, extent.width + 2 * pad, height), color, cv::FILLED);
    cv::putText(*picture, text, {left + pad, top + pad + extent.height}, kFont, scale, ink_on(color),
                thickness, cv::LINE_AA);
  }
}

}  // namespace app
