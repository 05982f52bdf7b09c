// Rows of the form that `mobileseg benchmark --merge` reads.
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "commands.h"
#include "files.h"
#include "mobileseg/mobileseg.h"
#include "pictures.h"

namespace app {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;
constexpr std::size_t kStageCount = 5;
constexpr const char* kStages[kStageCount] = {"decode", "preprocess", "inference", "postprocess", "draw"};
constexpr const char* kStream = "stream";  // kind of frame of the row of all frames

struct TimedFrame {
  std::string pipeline;
  std::array<double, kStageCount> stages;  // milliseconds

  double total() const { return std::accumulate(stages.begin(), stages.end(), 0.0); }
};

using TimedFrames = std::vector<TimedFrame>;

double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string found;
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    if (line.compare(0, 10, "model name") == 0) return line.substr(colon + 2);
    if (line.compare(0, 8, "Hardware") == 0) found = line.substr(colon + 2);  // Android
  }
  return found;
}

// The hottest sensor, in degrees Celsius; 0 when there is none.
double temperature() {
  double hottest = 0;
  for (int zone = 0; zone < 64; ++zone) {
    const std::string text = first_line("/sys/class/thermal/thermal_zone" + std::to_string(zone) + "/temp");
    if (!text.empty()) hottest = std::max(hottest, std::strtod(text.c_str(), nullptr) / 1000.0);
  }
  return hottest < 200 ? hottest : 0;
}

Json machine_facts() {
  struct utsname system {};
  uname(&system);
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  const std::string cpu = cpu_name();
  Json facts = {{"cpu", cpu.empty() ? system.machine : cpu},
                {"cores", std::thread::hardware_concurrency()},
                {"system", std::string(system.sysname) + " " + system.machine},
                {"load", load}};
  const std::string governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (!governor.empty()) facts["governor"] = governor;
  const double degrees = temperature();
  if (degrees != 0) facts["temperature_c"] = degrees;
  return facts;
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  struct tm parts {};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", &parts);
  return text;
}

// Linear between the two neighbours, as NumPy does it.
double percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  const double place = percent / 100.0 * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(place);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (place - static_cast<double>(low));
}

Json statistics(const std::vector<double>& values) {
  const auto rounded = [](double value) { return std::round(value * 1e4) / 1e4; };
  return {{"median_ms", rounded(percentile(values, 50))},
          {"p95_ms", rounded(percentile(values, 95))},
          {"max_ms", rounded(percentile(values, 100))}};
}

// Shapes and noise, for want of a photograph: decoding costs about as much.
std::string drawn_picture(mobileseg::Size size, const std::string& folder) {
  cv::RNG rng(0);
  cv::Mat coarse(std::max(2, size.height / 24), std::max(2, size.width / 24), CV_8UC3);
  rng.fill(coarse, cv::RNG::UNIFORM, 0, 256);
  cv::Mat picture;
  cv::resize(coarse, picture, {size.width, size.height}, 0, 0, cv::INTER_CUBIC);
  cv::Mat noise(picture.size(), CV_16SC3);
  rng.fill(noise, cv::RNG::NORMAL, 0, 6);
  cv::add(picture, noise, picture, cv::noArray(), CV_8UC3);
  const std::string path = folder + "/mobileseg_lite_benchmark.jpg";
  if (!cv::imwrite(path, picture, {cv::IMWRITE_JPEG_QUALITY, 90})) {
    throw mobileseg::Error(mobileseg::ErrorKind::kData, "cannot write " + path, "name an image with --image");
  }
  return path;
}

TimedFrames measure(mobileseg::Segmenter* segmenter, const std::string& path, const Options& options) {
  const mobileseg::Painter painter(segmenter->manifest(), options.alpha);
  mobileseg::Stream stream = segmenter->stream();
  mobileseg::Result result;
  cv::Mat drawn;
  TimedFrames frames;
  for (int run = -options.warmup; run < options.runs; ++run) {
    const Clock::time_point start = Clock::now();
    const cv::Mat picture = read_picture(path);
    const Clock::time_point decoded = Clock::now();
    stream.step(view_of(picture), &result);
    const Clock::time_point segmented = Clock::now();
    picture.copyTo(drawn);
    painter.draw(result, drawn.data, drawn.step[0], mobileseg::ColorOrder::kBgr);
    const Clock::time_point finished = Clock::now();
    if (run < 0) continue;
    frames.push_back({result.pipeline,
                      {{milliseconds(start, decoded), result.times.preprocess, result.times.inference,
                        result.times.postprocess, milliseconds(segmented, finished)}}});
  }
  return frames;
}

Json row_of(const mobileseg::Segmenter& segmenter, const TimedFrames& frames,
            const mobileseg::EngineOptions& engine, const Options& options, const std::string& image) {
  const mobileseg::ImageSpec& input = segmenter.manifest().image;
  Json stages;
  std::vector<double> values(frames.size());
  for (std::size_t stage = 0; stage < kStageCount; ++stage) {
    for (std::size_t i = 0; i < frames.size(); ++i) values[i] = frames[i].stages[stage];
    stages[kStages[stage]] = statistics(values);
  }
  for (std::size_t i = 0; i < frames.size(); ++i) values[i] = frames[i].total();
  const std::string size = std::to_string(input.size.width) + "x" + std::to_string(input.size.height);
  Json row = {{"folder", options.model},
              {"name", segmenter.manifest().name},
              {"engine", segmenter.engine().name() + " (C++)"},
              {"input", input.dynamic ? "dynamic" : size},
              {"threads", engine.threads},
              {"power", name_of(engine.power)},
              {"runs", frames.size()},
              {"stages", stages},
              {"total", statistics(values)}};
  row.update(machine_facts());
  row["image"] = image;
  row["date"] = now_utc();
  row["versions"] = {{"paddle-lite", segmenter.engine().version()}, {"opencv", CV_VERSION}};
  return row;
}

// One row; where frames are of several kinds, one for each of them and one for the stream, with its mean.
std::vector<Json> rows_of(const mobileseg::Segmenter& segmenter, const TimedFrames& frames,
                          const mobileseg::EngineOptions& engine, const Options& options,
                          const std::string& image) {
  std::vector<Json> rows;
  std::set<std::string> kinds;
  double sum = 0;
  for (const TimedFrame& frame : frames) {
    kinds.insert(frame.pipeline);
    sum += frame.total();
  }
  Json whole = row_of(segmenter, frames, engine, options, image);
  if (kinds.size() > 1) {
    for (const std::string& kind : kinds) {
      TimedFrames some;
      std::copy_if(frames.begin(), frames.end(), std::back_inserter(some),
                   [&](const TimedFrame& frame) { return frame.pipeline == kind; });
      rows.push_back(row_of(segmenter, some, engine, options, image));
      rows.back()["frame"] = kind;
    }
    whole["total"]["mean_ms"] = std::round(sum / static_cast<double>(frames.size()) * 1e4) / 1e4;
    whole["frame"] = kStream;
  }
  rows.push_back(whole);
  return rows;
}

void print_row(const Json& row) {
  std::printf("%2d threads, %-9s", row["threads"].get<int>(), row["power"].get<std::string>().c_str());
  if (row.contains("frame")) std::printf("  %-6s", row["frame"].get<std::string>().c_str());
  for (const char* stage : kStages) {
    std::printf("  %s %.2f", stage, row["stages"][stage]["median_ms"].get<double>());
  }
  std::printf("  total %.2f (p95 %.2f, max %.2f) ms", row["total"]["median_ms"].get<double>(),
              row["total"]["p95_ms"].get<double>(), row["total"]["max_ms"].get<double>());
  if (row["total"].contains("mean_ms")) std::printf(", mean %.2f ms", row["total"]["mean_ms"].get<double>());
  std::puts("");
}

}  // namespace

int run_benchmark(const Options& options) {
  cv::setNumThreads(1);
  Json rows = Json::array();
  for (const mobileseg::PowerMode power : options.powers) {
    for (const int threads : options.threads) {
      mobileseg::EngineOptions engine = options.engine;
      engine.threads = threads;
      engine.power = power;
      mobileseg::Segmenter segmenter = mobileseg::Segmenter::open(options.model, engine);
      const char* scratch = std::getenv("TMPDIR");
      const std::string path =
          options.image.empty() ? drawn_picture(segmenter.manifest().image.size, scratch ? scratch : "/tmp")
                                : options.image;
      const cv::Mat picture = read_picture(path);
      const std::string size = std::to_string(picture.cols) + "x" + std::to_string(picture.rows);
      const TimedFrames frames = measure(&segmenter, path, options);
      for (const Json& row : rows_of(segmenter, frames, engine, options, size)) {
        print_row(row);
        rows.push_back(row);
      }
    }
  }
  const bool named = options.output.size() > 5 && options.output.rfind(".json") == options.output.size() - 5;
  const std::string path = named ? options.output : options.output + "/benchmark.json";
  const std::size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) mobileseg::make_folders(path.substr(0, slash));
  mobileseg::write_file(path, Json({{"format", 1}, {"rows", rows}}).dump(1) + "\n");
  std::printf("rows in %s\n", path.c_str());
  return 0;
}

}  // namespace app
