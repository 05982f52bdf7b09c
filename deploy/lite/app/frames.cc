#include "frames.h"

#include <cstdlib>

#include "files.h"
#include "mobileseg/error.h"
#include "pictures.h"

namespace app {
namespace {

using mobileseg::Error;
using mobileseg::ErrorKind;

constexpr double kUnknownRate = 25.0;  // frames per second of a source that does not say

int camera_number(const std::string& text) {
  char* end = nullptr;
  const long number = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || number < 0 || number > 99) {
    throw Error(ErrorKind::kUsage, "'" + text + "' is no number of a camera");
  }
  return static_cast<int>(number);
}

}  // namespace

FrameSource::FrameSource(const Options& options) : where_(options.inputs[0]), rate_(kUnknownRate) {
  if (options.verb == "camera") {
    name_ = "camera" + where_;
    capture_.open(camera_number(where_));
  } else {
    while (where_.size() > 1 && where_.back() == '/') where_.pop_back();
    name_ = stem_of(where_);
    if (mobileseg::is_folder(where_)) {
      pictures_ = pictures_in(where_);
      return;
    }
    if (!mobileseg::is_file(where_)) throw Error(ErrorKind::kData, "there is no file " + where_);
    capture_.open(where_);
  }
  if (!capture_.isOpened()) throw Error(ErrorKind::kData, where_ + " cannot be opened as a " + options.verb);
  const double said = capture_.get(cv::CAP_PROP_FPS);
  if (said > 0 && said < 1000) rate_ = said;
}

bool FrameSource::read(cv::Mat* frame) {
  if (pictures_.empty()) return capture_.read(*frame);
  if (next_ == pictures_.size()) return false;
  *frame = read_picture(pictures_[next_++]);
  return true;
}

}  // namespace app
