// Frames of a video network whose graphs answer anything, of any form: a frame is refused or its objects lie
// in the image, ids are of one object each, and what the stream keeps is never read when nothing was kept.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../memory_engine.h"
#include "drawer.h"
#include "mobileseg/mobileseg.h"

namespace {

using namespace mobileseg;

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr const char* kManifest = R"({"deploy_yaml_sha256":
"0000000000000000000000000000000000000000000000000000000000000000", "mobileseg": {"format": 2, "name": "fuzzed",
"task": "video", "image": {"name": "x", "height": 8, "width": 8, "dynamic": false, "multiple": 1, "channels": 3,
"range": [0, 255], "color": "RGB", "layout": "NCHW", "dtype": "float32", "resize": {"mode": "stretch", "rule":
"bilinear-half-pixel-float32"}, "scale": 0.004, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
"normalized_in_graph": false}, "graphs": {
"whole": {"inputs": [{"name": "x", "dtype": "float32", "shape": [1, 3, 8, 8]}], "outputs": [
{"name": "seen", "kind": "features", "dtype": "float32", "shape": [1, 2], "resize": "none"}],
"files": {"lite_x86": {"model": "a.nb"}}},
"moved": {"inputs": [{"name": "x", "dtype": "float32", "shape": [1, 3, 8, 8]},
{"name": "before", "dtype": "float32", "shape": [1, 2]}], "outputs": [
{"name": "seen", "kind": "features", "dtype": "float32", "shape": [1, 2], "resize": "none"}],
"files": {"lite_x86": {"model": "b.nb"}}},
"heads": {"inputs": [{"name": "seen", "dtype": "float32", "shape": [1, 2]}], "outputs": [
{"name": "found", "kind": "detections", "dtype": "float32", "shape": [-1, 6], "resize": "none"},
{"name": "mask", "kind": "coefficients", "dtype": "float32", "shape": [-1, 2], "resize": "none"},
{"name": "proto", "kind": "prototypes", "dtype": "float32", "shape": [1, 2, 4, 4], "resize": "none"}],
"files": {"lite_x86": {"model": "c.nb"}}}},
"pipelines": {"key": ["whole", "heads"], "nonkey": ["moved", "heads"]},
"state": {"key": {"before": "seen"}, "nonkey": {"before": "seen"}},
"classes": ["a", "b"], "palette": [[1, 2, 3], [4, 5, 6]],
"files": {"a.nb": "00", "b.nb": "00", "c.nb": "00"},
"settings": {"detection": {"max_detections": 5}, "keyframes": {"every": 3, "scene_cut": 0.2, "lost_objects":
0.5}}}})";

// Most answers are objects as networks find them, some are of any values, and some of another form.
class DrawnEngine : public fixtures::MemoryEngine {
 public:
  DrawnEngine(const Manifest& manifest, Drawer* draw) : draw_(draw) {
    for (const std::string& name : manifest.deployed()) graphs_[name].outputs = manifest.graph(name).outputs;
  }
  const std::vector<OutputSpec>& outputs(const std::string& graph) const override {
    return graphs_.at(graph).outputs;
  }
  void share(const std::string& /*graph*/, const TensorSpec& /*spec*/, const TensorView& value) override {
    const auto* bytes = static_cast<const std::uint8_t*>(value.data);
    for (std::size_t i = 0; i < static_cast<std::size_t>(value.shape.count()) * size_of(value.dtype); ++i)
      sum_ += bytes[i];  // it is all there
  }
  const std::vector<TensorView>& run(const std::string& name) override {
    Graph& graph = graphs_.at(name);
    graph.arrays.clear();
    graph.views.clear();
    const std::int64_t objects = draw_->number(4);
    for (const OutputSpec& spec : graph.outputs) graph.arrays.push_back(answer(spec, objects));
    for (const Array& array : graph.arrays) graph.views.push_back(array.view());
    return graph.views;
  }

 private:
  struct Graph {
    std::vector<OutputSpec> outputs;
    std::vector<Array> arrays;
    std::vector<TensorView> views;
  };

  Array answer(const OutputSpec& spec, std::int64_t objects) {
    if (draw_->number(40) == 0) return draw_->array();
    Array array;
    array.dtype = DType::kFloat32;
    for (int axis = 0; axis < spec.shape.rank(); ++axis)
      array.shape.push_back(spec.shape[axis] == -1 ? objects : spec.shape[axis]);
    array.bytes = draw_->bytes(static_cast<std::size_t>(array.shape.count()) * sizeof(float));
    if (draw_->number(8) == 0) return array;
    auto* values = reinterpret_cast<float*>(array.bytes.data());
    for (std::int64_t i = 0; i < array.shape.count(); ++i)
      values[i] = static_cast<float>(draw_->number(40)) / 32.0F - 0.125F;
    if (spec.name == "found") {
      for (std::int64_t i = 0; i < objects; ++i) values[6 * i] = static_cast<float>(draw_->number(2));
    }
    return array;
  }

  Drawer* draw_;
  std::map<std::string, Graph> graphs_;
  std::uint64_t sum_ = 0;
};

void check(const Result& result, bool tracked) {
  std::set<int> ids;
  const auto width = static_cast<float>(result.size.width), height = static_cast<float>(result.size.height);
  for (const Instance& one : result.instances) {
    require(one.box.x1 >= 0 && one.box.y1 >= 0 && one.box.x2 <= width && one.box.y2 <= height);
    require(std::isfinite(one.score));
    require(one.label == 0 || one.label == 1);
    require(one.mask.top >= 0 && one.mask.top + one.mask.size.height <= result.size.height);
    require(one.mask.left >= 0 && one.mask.left + one.mask.size.width <= result.size.width);
    require(one.mask.offset + one.mask.size.pixels() <= result.mask_bytes.size());
    require(tracked == (one.track_id >= 0));
    if (tracked) require(ids.insert(one.track_id).second);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Drawer draw(data, size);
  static const Manifest manifest = Manifest::parse(kManifest, "fuzzed");
  Segmenter segmenter(manifest, std::make_unique<DrawnEngine>(manifest, &draw));
  StreamOptions options;
  options.track = draw.number(2) == 0;
  options.tracking.min_hits = 1 + draw.number(2);
  options.tracking.same_class = draw.number(2) == 0;
  Stream stream = segmenter.stream(options);
  Result result;
  Size frame{1 + draw.number(20), 1 + draw.number(20)};
  for (int i = 0; i < 8; ++i) {
    if (draw.number(10) == 0) stream.reset();
    if (draw.number(10) == 0) frame.width = 1 + draw.number(20);
    const std::size_t stride = 3 * static_cast<std::size_t>(frame.width);
    const std::vector<std::uint8_t> pixels = draw.bytes(stride * static_cast<std::size_t>(frame.height));
    try {
      stream.step({pixels.data(), frame, stride, ColorOrder::kRgb}, &result);
      require(result.pipeline == "key" || result.pipeline == "nonkey");
      check(result, options.track);
    } catch (const Error&) {
    }
  }
  return 0;
}
