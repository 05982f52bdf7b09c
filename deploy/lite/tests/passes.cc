// mobileseg_passes FOLDER PASSES: segments the first recorded image of a folder, brought to the input's size,
// that often. What one pass costs is the difference of two runs over the difference of their passes: loading
// the graph and the first pass, in which the engine prepares its weights, drop out
// (tools/count_instructions.py).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <vector>

#include "golden.h"
#include "mobileseg/mobileseg.h"
#include "resize.h"

using namespace mobileseg;

namespace {

constexpr std::size_t kChannels = 3;

std::vector<std::uint8_t> resized(const ImageView& image, Size size) {
  NearestTaps rows, columns;
  rows.set(image.size.height, size.height);
  columns.set(image.size.width, size.width);
  std::vector<std::uint8_t> pixels(size.pixels() * kChannels);
  std::uint8_t* next = pixels.data();
  for (const std::int32_t y : rows.index) {
    for (const std::int32_t x : columns.index) {
      std::memcpy(next, image.row(y) + static_cast<std::size_t>(x) * kChannels, kChannels);
      next += kChannels;
    }
  }
  return pixels;
}

}  // namespace

int main(int count, char** arguments) {
  const long passes = count == 3 ? std::strtol(arguments[2], nullptr, 10) : 0;
  if (passes < 1) {
    std::fprintf(stderr, "usage: mobileseg_passes FOLDER PASSES\n");
    return 2;
  }
  try {
    EngineOptions options;
    options.any_version = true;  // the self test says whether the runtime gives what it must
    Segmenter segmenter = Segmenter::open(arguments[1], options);
    const Golden golden(segmenter.manifest());
    const Size size = segmenter.manifest().image.size;
    const std::vector<std::uint8_t> pixels = resized(golden.image(0), size);
    const ImageView view{pixels.data(), size, static_cast<std::size_t>(size.width) * kChannels,
                         ColorOrder::kRgb};
    Result result;
    for (long pass = 0; pass < passes; ++pass) segmenter.run(view, &result);
    std::printf("%ld passes at %dx%d, %zu labels, %zu objects\n", passes, size.width, size.height,
                result.labels.size(), result.instances.size());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
