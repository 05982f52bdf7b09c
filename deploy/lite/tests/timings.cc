// Times of the stages around the engine: mobileseg_timings FIXTURES prints medians in milliseconds. Processor
// time of the one thread that works, so other programs on the machine count little.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>

#include "block_motion.h"
#include "clip_fixture.h"
#include "fixtures.h"
#include "instance.h"
#include "preprocess.h"
#include "score_labels.h"
#include "semantic.h"
#include "tracker.h"

using namespace mobileseg;

namespace {

double processor_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

double median_ms(const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i < 205; ++i) {
    const double start = processor_ms();
    work();
    if (i >= 5) times.push_back(processor_ms() - start);
  }
  std::nth_element(times.begin(), times.begin() + 100, times.end());
  return times[100];
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2) setenv("MOBILESEG_FIXTURES", arguments[1], 1);
  {
    const fixtures::Case item("preprocess", "down");
    Preprocessor preprocessor(item.manifest.image);
    std::vector<float> input(256 * 256 * 3);
    const ImageView image = fixtures::view(item.at("image"));
    std::printf("preprocess 640x480 to 256x256: %.3f ms\n",
                median_ms([&] { preprocessor.run(image, input.data()); }));
  }
  for (const char* name : {"labels_up", "scores_up"}) {
    const fixtures::Case item("semantic", name);
    SemanticPostprocessor postprocessor(item.manifest.classes.size());
    const Geometry place = Preprocessor(item.manifest.image).geometry({480, 640});
    std::vector<std::uint8_t> labels;
    const double time = median_ms(
        [&] { postprocessor.run(item.manifest.outputs_of()[0], item.at("output").view(), place, &labels); });
    std::printf("semantic postprocess, %s, to 640x480: %.3f ms\n", name, time);
  }
  for (const int stride : {4, 8}) {  // 19 classes, smooth as those of networks are
    for (const Size size : {Size{256, 256}, Size{1024, 2048}}) {
      const Size source{size.height / stride, size.width / stride};
      std::vector<float> scores(19 * source.pixels());
      for (std::size_t i = 0; i < scores.size(); ++i) {
        const std::size_t k = i / source.pixels(), at = i % source.pixels();
        const auto x = static_cast<double>(at % static_cast<std::size_t>(source.width)) * stride / 40;
        const auto y = static_cast<double>(at / static_cast<std::size_t>(source.width)) * stride / 40;
        const auto phase = static_cast<double>(k);
        scores[i] = static_cast<float>(std::sin(x + phase * phase) + std::cos(y * 0.7 + phase * 1.3));
      }
      ScoreLabels tail;
      std::vector<std::uint8_t> labels(size.pixels());
      const double time =
          median_ms([&] { tail.run(scores.data(), 19, source, size, size, size, labels.data()); });
      std::printf("labels of 19 classes, stride %d, %dx%d: %.3f ms\n", stride, size.height, size.width, time);
    }
  }
  for (const std::string& name : fixtures::cases("instance")) {
    const fixtures::Case item("instance", name);
    InstancePostprocessor postprocessor(detection_of(item.manifest), item.manifest.classes.size(),
                                        read_anchors(item.manifest), item.manifest.outputs_of(),
                                        item.manifest.image.size);
    std::vector<TensorView> values;
    for (const OutputSpec& spec : item.manifest.outputs_of()) values.push_back(item.at(spec.name).view());
    Result result;
    const double time = median_ms([&] { postprocessor.run(values, {480, 640}, &result); });
    std::printf("instance postprocess, %s, %zu instances at 640x480: %.3f ms\n", name.c_str(),
                result.instances.size(), time);
  }
  {
    const fixtures::Clip clip("crowd");
    std::vector<Result> frames(static_cast<std::size_t>(clip.length()));
    for (int frame = 0; frame < clip.length(); ++frame)
      clip.fill(frame, &frames[static_cast<std::size_t>(frame)]);
    Tracker tracker(clip.options());
    std::size_t next = 0;
    const double time = median_ms([&] {
      if (next == 0) tracker.reset();
      tracker.run(&frames[next]);
      next = (next + 1) % frames.size();
    });
    std::printf("tracker, %zu instances at 640x480: %.3f ms\n", frames[0].instances.size(), time);
  }
  {
    const auto arrays = read_npz(fixtures::root() + "/tracking/motion.npz");
    GreyCells first, second;
    BlockMotion motion;
    const double time = median_ms([&] {
      first.read(fixtures::view(arrays.at("first.3")));
      second.read(fixtures::view(arrays.at("second.3")));
      motion.search(first, second);
    });
    std::printf("motion of blocks, 427x241: %.3f ms\n", time);
  }
  return 0;
}
