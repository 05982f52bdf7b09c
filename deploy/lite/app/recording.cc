#include "recording.h"

#include <cstdio>
#include <utility>

#include "mobileseg/error.h"

namespace app {
namespace {

using mobileseg::Error;
using mobileseg::ErrorKind;

// 'overlay/clip.mp4' -> 'overlay/.clip.partial.mp4': OpenCV chooses the container by the suffix.
std::string partial_of(const std::string& path) {
  const std::size_t name = path.rfind('/') + 1;
  const std::size_t dot = path.rfind('.');
  return path.substr(0, name) + "." + path.substr(name, dot - name) + ".partial" + path.substr(dot);
}

void rename_to(const std::string& partial, const std::string& path) {
  if (std::rename(partial.c_str(), path.c_str()) != 0) {
    throw Error(ErrorKind::kData, "cannot write " + path, "check that the folder may be written");
  }
}

int frames_in(const std::string& path) {
  cv::VideoCapture capture(path);
  return capture.isOpened() ? static_cast<int>(capture.get(cv::CAP_PROP_FRAME_COUNT)) : 0;
}

}  // namespace

VideoRecording::VideoRecording(std::string path, double rate)
    : path_(std::move(path)), partial_(partial_of(path_)), rate_(rate) {}

VideoRecording::~VideoRecording() {
  writer_.release();
  std::remove(partial_.c_str());
}

void VideoRecording::write(const cv::Mat& frame) {
  const cv::Size size(frame.cols / 2 * 2, frame.rows / 2 * 2);
  if (frames_ == 0) {
    if (size.empty()) throw Error(ErrorKind::kData, path_ + ": a video needs at least 2x2 pixels");
    writer_.open(partial_, cv::VideoWriter::fourcc('m', 'p', '4', 'v'), rate_, size);
    if (!writer_.isOpened()) {
      throw Error(ErrorKind::kData, "cannot write " + path_,
                  "check the folder and the space on the disk; OpenCV needs FFmpeg to write MPEG-4");
    }
  }
  writer_.write(frame(cv::Rect({0, 0}, size)));
  ++frames_;
}

void VideoRecording::finish() {
  writer_.release();
  const int stored = frames_in(partial_);
  if (stored != frames_) {
    throw Error(ErrorKind::kData,
                "cannot write " + path_ + ": " + std::to_string(stored) + " of " + std::to_string(frames_) +
                    " frames are stored",
                "check the space on the disk");
  }
  rename_to(partial_, path_);
}

LineRecording::LineRecording(std::string path)
    : path_(std::move(path)), partial_(partial_of(path_)), file_(partial_, std::ios::trunc) {
  if (!file_) fail();
}

LineRecording::~LineRecording() {
  file_.close();
  std::remove(partial_.c_str());
}

void LineRecording::finish() {
  file_.close();
  if (!file_) fail();
  rename_to(partial_, path_);
}

void LineRecording::fail() const {
  throw Error(ErrorKind::kData, "cannot write " + path_, "check the folder and the space on the disk");
}

}  // namespace app
