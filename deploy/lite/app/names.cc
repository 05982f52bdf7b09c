#include "names.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <opencv2/imgproc.hpp>

#ifdef MOBILESEG_FREETYPE
#include <opencv2/freetype.hpp>
#endif

#include "files.h"
#include "mobileseg/error.h"
#include "track_colors.h"

namespace app {
namespace {

using mobileseg::Error;
using mobileseg::ErrorKind;

constexpr int kHershey = cv::FONT_HERSHEY_SIMPLEX;

#ifdef MOBILESEG_FREETYPE
// Where Debian and Android keep fonts; those of the second list have Chinese, Japanese and Korean, too.
constexpr const char* kFonts[] = {"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
                                  "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
                                  "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
                                  "/system/fonts/Roboto-Regular.ttf"};
constexpr const char* kFontsOfTheEast[] = {
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf", "/system/fonts/NotoSansCJK-Regular.ttc"};

// Whether UTF-8 has a character from U+3000 on: scripts that fonts of the first list lack.
bool is_eastern(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0xE3;  // three bytes from U+3000 on, and all of four
  });
}

std::string found_font(bool eastern) {
  if (eastern) {
    for (const char* path : kFontsOfTheEast) {
      if (mobileseg::is_file(path)) return path;
    }
    return "";
  }
  for (const char* path : kFonts) {
    if (mobileseg::is_file(path)) return path;
  }
  return "";
}

#endif

cv::Scalar color_of_track(int id) {
  const auto& rgb = mobileseg::kTrackColors[id % mobileseg::kTrackColorCount];
  return cv::Scalar(rgb[2], rgb[1], rgb[0]);
}

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 32 && c < 127; });
}

// Black or white, whichever is easier to read on the colour (luma of ITU-R BT.601).
cv::Scalar ink_on(const cv::Scalar& bgr) {
  return 0.114 * bgr[0] + 0.587 * bgr[1] + 0.299 * bgr[2] > 140 ? cv::Scalar::all(0) : cv::Scalar::all(255);
}

}  // namespace

class NameWriter::Font {
 public:
  // Loads a file; an empty path is OpenCV's own font.
  explicit Font(const std::string& path) {
    if (path.empty()) return;
#ifdef MOBILESEG_FREETYPE
    try {
      type_ = cv::freetype::createFreeType2();
      type_->loadFontData(path, 0);
    } catch (const cv::Exception&) {
      throw Error(ErrorKind::kData, path + " is no font that FreeType reads",
                  "name a .ttf, .otf or .ttc file");
    }
#else
    throw Error(ErrorKind::kDependency,
                "this program was built without OpenCV's module freetype, so it cannot use " + path,
                "build it with that module (opencv_contrib), or leave --font out");
#endif
  }

  cv::Size size(const std::string& text, double scale, int thickness, int* below) const {
#ifdef MOBILESEG_FREETYPE
    if (type_) return type_->getTextSize(text, height(scale), -1, below);
#endif
    return cv::getTextSize(text, kHershey, scale, thickness, below);
  }

  void put(cv::Mat* picture, const std::string& text, cv::Point origin, double scale, int thickness,
           const cv::Scalar& ink) const {
#ifdef MOBILESEG_FREETYPE
    if (type_) {
      type_->putText(*picture, text, origin, height(scale), ink, -1, cv::LINE_AA, true);
      return;
    }
#endif
    cv::putText(*picture, text, origin, kHershey, scale, ink, thickness, cv::LINE_AA);
  }

 private:
#ifdef MOBILESEG_FREETYPE
  // Capitals of OpenCV's font are 21 pixels high at scale 1, those of most others 0.73 of the font's height.
  static int height(double scale) {
    return std::max(6, static_cast<int>(std::lround(scale * 21 / 0.73)));
  }

  cv::Ptr<cv::freetype::FreeType2> type_;
#endif
};

NameWriter::NameWriter(const mobileseg::Manifest& manifest, mobileseg::ResultForm form,
                       const std::string& font)
    : names_(manifest.classes) {
  for (const auto& rgb : manifest.palette) colors_.emplace_back(rgb[2], rgb[1], rgb[0]);
  std::string path = font;
#ifdef MOBILESEG_FREETYPE
  const bool foreign = !std::all_of(names_.begin(), names_.end(), is_ascii);
  if (path.empty() && foreign) path = found_font(std::any_of(names_.begin(), names_.end(), is_eastern));
#endif
  font_ = std::make_unique<Font>(path);
  if (!path.empty()) return;
  std::string said;
  for (std::size_t label = 0; label < names_.size(); ++label) {
    if (is_ascii(names_[label])) continue;
    const std::string drawn = "class " + std::to_string(label);
    said += (said.empty() ? "" : ", ") + drawn + " is " + names_[label];
    names_[label] = drawn;
  }
  if (!said.empty() && form == mobileseg::ResultForm::kInstances) {
    std::fprintf(stderr, "note: no font for these names, so overlays number them: %s\n", said.c_str());
  }
}

NameWriter::~NameWriter() = default;

void NameWriter::draw(const mobileseg::Result& result, cv::Mat* picture) const {
  const double scale = std::max(0.35, picture->rows / 1000.0);
  const int thickness = std::max(1, static_cast<int>(scale * 1.5));
  for (auto one = result.instances.rbegin(); one != result.instances.rend(); ++one) {
    const auto label = static_cast<std::size_t>(one->label);
    if (label >= names_.size()) continue;
    const int percent = static_cast<int>(std::lround(one->score * 100));
    const std::string id = one->track_id >= 0 ? std::to_string(one->track_id) + ": " : "";
    const std::string text = id + names_[label] + " " + std::to_string(percent) + "%";
    int baseline = 0;
    const cv::Size extent = font_->size(text, scale, thickness, &baseline);
    const int pad = std::max(1, extent.height / 4);
    const int height = extent.height + baseline + pad;
    const int left =
        std::max(0, std::min(static_cast<int>(one->box.x1), picture->cols - extent.width - 2 * pad));
    const int top = std::max(0, static_cast<int>(one->box.y1) - height);
    const cv::Scalar color = one->track_id >= 0 ? color_of_track(one->track_id) : colors_[label];
    cv::rectangle(*picture, cv::Rect(left, top, extent.width + 2 * pad, height), color, cv::FILLED);
    font_->put(picture, text, {left + pad, top + pad + extent.height}, scale, thickness, ink_on(color));
  }
}

}  // namespace app
