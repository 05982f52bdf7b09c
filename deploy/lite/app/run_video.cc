#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <opencv2/highgui.hpp>
#include <opencv2/imgproc.hpp>
#include <string>

#include "commands.h"
#include "files.h"
#include "frames.h"
#include "mobileseg/mobileseg.h"
#include "names.h"
#include "pictures.h"
#include "recording.h"

namespace app {
namespace {

using Clock = std::chrono::steady_clock;
using mobileseg::Error;
using mobileseg::ErrorKind;

constexpr double kMemory = 0.9;  // of the shown rate: how much of the older frames stays in it

constexpr int kInterrupted = 130;  // what shells report for a program ended by Ctrl-C

volatile std::sig_atomic_t interrupted = 0;

extern "C" void note_interruption(int /*signal*/) {
  interrupted = 1;
}

// Ctrl-C ends after the present frame, with complete files; a second one ends at once.
void end_in_order_on_interruption() {
  struct sigaction action {};
  action.sa_handler = note_interruption;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// Frame rate and stage times in the corner, on a dark bar.
void draw_times(const std::string& text, cv::Mat* frame) {
  const double scale = std::max(0.4, frame->cols / 1600.0);
  int base = 0;
  const cv::Size size = cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, scale, 1, &base);
  cv::rectangle(*frame,
                {0, 0, std::min(size.width + 12, frame->cols), std::min(size.height + base + 8, frame->rows)},
                cv::Scalar(30, 30, 30), cv::FILLED);
  cv::putText(*frame, text, {6, size.height + 4}, cv::FONT_HERSHEY_SIMPLEX, scale, cv::Scalar(240, 240, 240),
              1, cv::LINE_AA);
}

// `kind` is the pipeline of a network that has several, '' of others.
std::string text_of(double rate, double decode_ms, const mobileseg::StageTimes& times,
                    const std::string& kind) {
  char text[160];
  std::snprintf(text, sizeof text, "%.1f fps  decode %.1f  pre %.2f  net %.1f  post %.2f ms", rate, decode_ms,
                times.preprocess, times.inference, times.postprocess);
  return kind.empty() ? text : text + ("  " + kind);
}

}  // namespace

int run_video(const Options& options) {
  mobileseg::Segmenter segmenter = mobileseg::Segmenter::open(options.model, options.engine);
  const mobileseg::Painter painter(segmenter.manifest(), options.alpha);
  const NameWriter names(segmenter.manifest(), segmenter.form(), options.font);
  FrameSource source(options);
  const std::string& name = source.name();
  mobileseg::make_folders(options.output + "/overlay");
  mobileseg::make_folders(options.output + "/json");
  VideoRecording video(options.output + "/overlay/" + name + ".mp4", source.rate());
  LineRecording lines(options.output + "/json/" + name + ".jsonl");
  end_in_order_on_interruption();

  mobileseg::StreamOptions following;
  following.track = options.track;
  following.tracking.score = static_cast<double>(options.min_score);
  following.tracking.low_score = std::min(following.tracking.low_score, following.tracking.score);
  following.smooth = static_cast<double>(options.smooth);
  mobileseg::Stream stream = segmenter.stream(following);
  mobileseg::Result result;
  cv::Mat frame;
  int count = 0;
  std::map<std::string, int> kinds;  // of frames, with how many there were
  double shown_rate = 0;
  for (Clock::time_point start = Clock::now(); interrupted == 0 && source.read(&frame);) {
    const double decode_ms = milliseconds(start, Clock::now());
    stream.step(view_of(frame), &result);
    if (!options.track) mobileseg::drop_below(options.min_score, &result);
    ++kinds[result.pipeline];
    const std::string number = std::to_string(count);
    lines.write(mobileseg::to_json(result, segmenter.manifest(), segmenter.engine().name(),
                                   {name + ":" + number, number, decode_ms}, -1));
    painter.draw(result, frame.data, frame.step[0], mobileseg::ColorOrder::kBgr);
    names.draw(result, &frame);
    draw_times(text_of(shown_rate, decode_ms, result.times, result.pipeline), &frame);
    video.write(frame);
    if (options.show) {
      cv::imshow("mobileseg_lite", frame);
      const int key = cv::waitKey(1);
      if (key == 'q' || key == 27) break;
    }
    ++count;
    const Clock::time_point now = Clock::now();
    const double current = 1000.0 / std::max(1e-3, milliseconds(start, now));
    shown_rate = count == 1 ? current : kMemory * shown_rate + (1 - kMemory) * current;
    start = now;
    if (count == options.max_frames) break;
  }
  if (count == 0 && interrupted == 0) throw Error(ErrorKind::kData, source.where() + " holds no frames");
  if (count > 0) {
    video.finish();
    lines.finish();
  }
  std::string of_kinds;
  for (const auto& kind : kinds) {
    if (!kind.first.empty()) of_kinds += ", " + std::to_string(kind.second) + " " + kind.first;
  }
  std::printf("%s%d frames%s, %.1f fps, results in %s\n", interrupted == 0 ? "" : "interrupted after ", count,
              of_kinds.c_str(), shown_rate, options.output.c_str());
  return interrupted != 0 && options.verb == "video" ? kInterrupted : 0;  // nothing else ends a camera
}

}  // namespace app
