// Rows of the form that `mobileseg benchmark --merge` reads.
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <thread>

#include "commands.h"
#include "files.h"
#include "mobileseg/mobileseg.h"
#include "pictures.h"

namespace app {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;
using Samples = std::map<std::string, std::vector<double>>;

// Milliseconds of the timed frames.
struct Measured {
  Samples stages;     // and "total"
  Samples pipelines;  // from pixels to a result, of the frames that ran each pipeline of graphs
};

constexpr const char* kStages[] = {"decode", "preprocess", "inference", "postprocess", "draw"};

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

Measured measure(mobileseg::Segmenter* segmenter, const std::string& path, const Options& options) {
  const mobileseg::Painter painter(segmenter->manifest(), options.alpha);
  mobileseg::Stream stream = segmenter->stream();
  mobileseg::Result result;
  cv::Mat drawn;
  Measured measured;
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
    const double values[] = {milliseconds(start, decoded), result.times.preprocess, result.times.inference,
                             result.times.postprocess, milliseconds(segmented, finished)};
    double total = 0;
    for (std::size_t i = 0; i < 5; ++i) {
      measured.stages[kStages[i]].push_back(values[i]);
      total += values[i];
    }
    measured.stages["total"].push_back(total);
    measured.pipelines[stream.pipeline()].push_back(result.times.preprocess + result.times.inference +
                                                    result.times.postprocess);
  }
  return measured;
}

// Of a network with several kinds of frames: how many of each there were and what they took, and the mean of
// the stream.
Json pipelines_of(const Samples& pipelines) {
  Json found;
  double sum = 0;
  std::size_t count = 0;
  for (const auto& pipeline : pipelines) {
    Json row = {{"frames", pipeline.second.size()}};
    row.update(statistics(pipeline.second));
    found[pipeline.first] = row;
    for (const double value : pipeline.second) sum += value;
    count += pipeline.second.size();
  }
  return {{"pipelines", found}, {"stream_mean_ms", std::round(sum / static_cast<double>(count) * 1e4) / 1e4}};
}

Json row_of(const mobileseg::Segmenter& segmenter, const Measured& measured,
            const mobileseg::EngineOptions& engine, const Options& options, const std::string& image) {
  const mobileseg::ImageSpec& input = segmenter.manifest().image;
  Json stages;
  for (const char* stage : kStages) stages[stage] = statistics(measured.stages.at(stage));
  const std::string size = std::to_string(input.size.width) + "x" + std::to_string(input.size.height);
  Json row = {{"folder", options.model},
              {"name", segmenter.manifest().name},
              {"engine", segmenter.engine().name() + " (C++)"},
              {"input", input.dynamic ? "dynamic" : size},
              {"threads", engine.threads},
              {"power", name_of(engine.power)},
              {"runs", options.runs},
              {"stages", stages},
              {"total", statistics(measured.stages.at("total"))}};
  if (measured.pipelines.count(mobileseg::kMain) == 0) row.update(pipelines_of(measured.pipelines));
  row.update(machine_facts());
  row["image"] = image;
  row["date"] = now_utc();
  row["versions"] = {{"paddle-lite", segmenter.engine().version()}, {"opencv", CV_VERSION}};
  return row;
}

void print_row(const Json& row) {
  std::printf("%2d threads, %-9s", row["threads"].get<int>(), row["power"].get<std::string>().c_str());
  for (const char* stage : kStages) {
    std::printf("  %s %.2f", stage, row["stages"][stage]["median_ms"].get<double>());
  }
  std::printf("  total %.2f (p95 %.2f, max %.2f) ms\n", row["total"]["median_ms"].get<double>(),
              row["total"]["p95_ms"].get<double>(), row["total"]["max_ms"].get<double>());
  if (!row.contains("pipelines")) return;
  for (const auto& pipeline : row["pipelines"].items()) {
    const Json& times = pipeline.value();
    std::printf("    %-8s %5d frames  median %.2f  p95 %.2f  max %.2f ms\n", pipeline.key().c_str(),
                times["frames"].get<int>(), times["median_ms"].get<double>(), times["p95_ms"].get<double>(),
                times["max_ms"].get<double>());
  }
  std::printf("    stream mean %.2f ms a frame\n", row["stream_mean_ms"].get<double>());
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
      rows.push_back(row_of(segmenter, measure(&segmenter, path, options), engine, options, size));
      print_row(rows.back());
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
