#include <chrono>
#include <cstdio>

#include "commands.h"
#include "files.h"
#include "mobileseg/mobileseg.h"
#include "names.h"
#include "pictures.h"

namespace app {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// The colours of the numbers in an instance map.
mobileseg::ColorTable instance_colors(const mobileseg::Result& result, const mobileseg::Manifest& manifest) {
  const mobileseg::ColorTable classes = mobileseg::color_table(manifest);
  mobileseg::ColorTable table{};
  for (std::size_t i = 0; i < result.instances.size() && i + 1 < table.size(); ++i) {
    table[i + 1] = classes[static_cast<std::size_t>(result.instances[i].label) % classes.size()];
  }
  return table;
}

class ImageWriter {
 public:
  ImageWriter(const Options& options, const mobileseg::Segmenter& segmenter)
      : folder_(options.output),
        segmenter_(segmenter),
        painter_(segmenter.manifest(), options.alpha),
        names_(segmenter.manifest(), segmenter.form(), options.font) {
    labels_ = segmenter.form() == mobileseg::ResultForm::kLabels;
    masks_ = folder_ + (labels_ ? "/labels/" : "/instances/");
    for (const std::string& part : {folder_ + "/overlay", masks_, folder_ + "/json"})
      mobileseg::make_folders(part);
  }

  void write(const std::string& source, const std::string& name, cv::Mat picture,
             const mobileseg::Result& result, double decode_ms) {
    const mobileseg::Manifest& manifest = segmenter_.manifest();
    const std::string json =
        mobileseg::to_json(result, manifest, segmenter_.engine().name(), {source, name, decode_ms});
    mobileseg::write_file(folder_ + "/json/" + name + ".json", json + "\n");
    if (labels_) {
      mobileseg::write_palette_png(masks_ + name + ".png", result.labels.data(), result.size,
                                   mobileseg::color_table(manifest));
    } else {
      mobileseg::instance_map(result, &numbers_);
      mobileseg::write_palette_png(masks_ + name + ".png", numbers_.data(), result.size,
                                   instance_colors(result, manifest));
    }
    painter_.draw(result, picture.data, picture.step[0], mobileseg::ColorOrder::kBgr);
    names_.draw(result, &picture);
    mobileseg::write_color_png(folder_ + "/overlay/" + name + ".png", view_of(picture));
  }

 private:
  std::string folder_;
  std::string masks_;
  const mobileseg::Segmenter& segmenter_;
  mobileseg::Painter painter_;
  NameWriter names_;
  bool labels_ = true;
  std::vector<std::uint8_t> numbers_;
};

}  // namespace

int run_images(const Options& options) {
  const std::vector<std::string> paths =
      options.verb == "folder" ? pictures_in(options.inputs[0]) : options.inputs;
  mobileseg::Segmenter segmenter = mobileseg::Segmenter::open(options.model, options.engine);
  ImageWriter writer(options, segmenter);
  mobileseg::Result result;
  DistinctNames names;
  int exit_code = 0;
  std::size_t done = 0;
  for (const std::string& path : paths) {
    const std::string name = names.name_of(stem_of(path));
    try {
      const Clock::time_point start = Clock::now();
      const cv::Mat picture = read_picture(path);
      const double decode_ms = since(start);
      segmenter.run(view_of(picture), &result);
      mobileseg::drop_below(options.min_score, &result);
      writer.write(path, name, picture, result, decode_ms);
      ++done;
      std::printf("%s: %dx%d, decode %.1f, preprocess %.2f, inference %.1f, postprocess %.2f ms\n",
                  path.c_str(), picture.cols, picture.rows, decode_ms, result.times.preprocess,
                  result.times.inference, result.times.postprocess);
    } catch (const mobileseg::Error& error) {  // one bad image does not stop the others
      std::fprintf(stderr, "error: %s\n", error.what());
      exit_code = error.exit_code();
    }
  }
  std::printf("%zu of %zu images, results in %s\n", done, paths.size(), options.output.c_str());
  return exit_code;
}

}  // namespace app
