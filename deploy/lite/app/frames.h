// Frames one after the other: of a video, a camera, or the pictures of a folder.
#ifndef MOBILESEG_APP_FRAMES_H_
#define MOBILESEG_APP_FRAMES_H_

#include <cstddef>
#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>
#include <string>
#include <vector>

#include "options.h"

namespace app {

class FrameSource {
 public:
  // What the verb names; throws mobileseg::Error when it cannot be opened.
  explicit FrameSource(const Options& options);

  // False when there are no more. Throws mobileseg::Error(kData) for a picture that cannot be read.
  bool read(cv::Mat* frame);
  double rate() const { return rate_; }                // frames per second
  const std::string& name() const { return name_; }    // of the results
  const std::string& where() const { return where_; }  // as the user named it

 private:
  std::string where_;
  std::string name_;
  double rate_;
  cv::VideoCapture capture_;
  std::vector<std::string> pictures_;  // of a folder
  std::size_t next_ = 0;
};

}  // namespace app

#endif  // MOBILESEG_APP_FRAMES_H_
