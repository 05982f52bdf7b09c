// Names and scores over images; the core draws masks and boxes and knows no fonts.
#ifndef MOBILESEG_APP_NAMES_H_
#define MOBILESEG_APP_NAMES_H_

#include <memory>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "mobileseg/manifest.h"
#include "mobileseg/result.h"

namespace app {

// Writes names of classes. OpenCV's own font has ASCII alone: other names need OpenCV's module freetype and a
// font file; without them 'class 3' is written, and said once which name that is.
class NameWriter {
 public:
  // Names are written on instances alone. `font` is a file; empty: the first one of the usual places that has
  // the script of the names. Throws mobileseg::Error(kData) when the file is no font, Error(kDependency) when
  // this build cannot use it.
  NameWriter(const mobileseg::Manifest& manifest, mobileseg::ResultForm form, const std::string& font);
  ~NameWriter();

  // Writes the name and the score of every instance at the top left of its box, the best on top.
  void draw(const mobileseg::Result& result, cv::Mat* picture) const;

 private:
  class Font;

  std::vector<std::string> names_;
  std::vector<cv::Scalar> colors_;
  std::unique_ptr<Font> font_;
};

}  // namespace app

#endif  // MOBILESEG_APP_NAMES_H_
