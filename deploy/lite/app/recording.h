// Files that grow frame by frame and get their name when they are complete, so that an earlier file stays
// good until then, whatever happens.
#ifndef MOBILESEG_APP_RECORDING_H_
#define MOBILESEG_APP_RECORDING_H_

#include <fstream>
#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>
#include <string>

namespace app {

// The overlay as MPEG-4. What `finish` has not completed is removed.
class VideoRecording {
 public:
  VideoRecording(std::string path, double rate);
  ~VideoRecording();
  VideoRecording(const VideoRecording&) = delete;
  VideoRecording& operator=(const VideoRecording&) = delete;

  // The file is made when the first frame tells its size; an odd last row or column is left out, the codec
  // stores pairs. Throws mobileseg::Error(kData).
  void write(const cv::Mat& frame);

  // Throws mobileseg::Error(kData) when not all frames are stored: OpenCV says nothing of a full disk.
  void finish();

 private:
  std::string path_;
  std::string partial_;
  double rate_;
  int frames_ = 0;
  cv::VideoWriter writer_;
};

// A line per frame. What `finish` has not completed is removed.
class LineRecording {
 public:
  explicit LineRecording(std::string path);  // throws mobileseg::Error(kData)
  ~LineRecording();
  LineRecording(const LineRecording&) = delete;
  LineRecording& operator=(const LineRecording&) = delete;

  void write(const std::string& line) { file_ << line << "\n"; }
  void finish();  // throws mobileseg::Error(kData)

 private:
  [[noreturn]] void fail() const;

  std::string path_;
  std::string partial_;
  std::ofstream file_;
};

}  // namespace app

#endif  // MOBILESEG_APP_RECORDING_H_
