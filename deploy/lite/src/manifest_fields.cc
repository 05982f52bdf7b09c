#include "manifest_fields.h"

#include <cmath>

namespace mobileseg {
namespace {

constexpr std::int64_t kMaxSide = 16384;
constexpr double kLargestInput = 1e9;  // of normalised pixels; networks see values below ten

const std::map<std::string, DType> kTypes = {{"float32", DType::kFloat32}, {"float64", DType::kFloat64},
                                             {"int32", DType::kInt32},     {"int64", DType::kInt64},
                                             {"uint8", DType::kUint8},     {"bool", DType::kBool}};
const std::map<std::string, OutputResize> kResizes = {
    {"labels-nearest", OutputResize::kLabelsNearest},
    {"scores-bilinear", OutputResize::kScoresBilinear},
    {"probabilities-bilinear", OutputResize::kProbabilitiesBilinear},
    {"in-graph", OutputResize::kInGraph},
    {"none", OutputResize::kNone}};

std::array<double, 3> triple(const Field& field) {
  const std::vector<Field> items = field.items();
  if (items.size() != 3) field.fail("expected 3 numbers, found " + std::to_string(items.size()));
  return {{items[0].number(), items[1].number(), items[2].number()}};
}

// What Python knows of images and this program does not.
void require_common_pixels(const Field& field) {
  if (field.has("channels") && field["channels"].integer(1, 4) != 3) {
    field["channels"].fail("it takes images of " + std::to_string(field["channels"].integer(1, 4)) +
                           " channels, this program those of 3");
  }
  if (!field.has("range")) return;
  const std::vector<Field> range = field["range"].items();
  if (range.size() != 2) field["range"].fail("expected 2 numbers");
  const auto low = range[0].integer(0, 65535), high = range[1].integer(0, 65535);
  if (low != 0 || high != 255) {
    field["range"].fail("it takes pixels of " + std::to_string(low) + " to " + std::to_string(high) +
                        ", this program those of 0 to 255");
  }
}

// No dimensions where it is missing.
Shape shape_of(const Field& field) {
  Shape shape;
  if (!field.has("shape")) return shape;
  const std::vector<Field> dims = field["shape"].items();
  if (dims.size() > static_cast<std::size_t>(Shape::kMaxRank)) field.fail("shape has more than 6 dimensions");
  for (const Field& dim : dims) shape.push_back(dim.integer(-1, std::int64_t{1} << 30));
  return shape;
}

OutputSpec output_spec(const Field& field) {
  OutputSpec spec;
  spec.name = field["name"].text();
  spec.kind = field["kind"].text();
  spec.dtype = field["dtype"].choice(kTypes);
  spec.shape = shape_of(field);
  if (field.has("resize")) spec.resize = field["resize"].choice(kResizes);
  if (field.has("upsample")) {
    const std::vector<Field> sides = field["upsample"].items();
    if (sides.size() != 2) field["upsample"].fail("expected 2 numbers");
    spec.upsample = {static_cast<int>(sides[0].integer(1, kMaxSide)),
                     static_cast<int>(sides[1].integer(1, kMaxSide))};
  }
  return spec;
}

std::vector<OutputSpec> output_specs(const Field& field) {
  std::vector<OutputSpec> specs;
  for (const Field& item : field.items()) specs.push_back(output_spec(item));
  if (specs.empty()) field.fail("no output is named");
  return specs;
}

GraphFile graph_file_of(const Field& field) {
  GraphFile file;
  if (field.has("model")) file.model = field["model"].text();
  for (const char* key : {"params", "param", "bin", "shapes"}) {
    if (field.has(key)) file.others.push_back(field[key].text());
  }
  if (file.model.empty() && file.others.empty()) field.fail("no file is named");
  if (field.has("inputs")) file.inputs = field["inputs"].texts();
  if (field.has("outputs")) file.outputs = field["outputs"].texts();
  if (field.has("output_specs")) file.output_specs = output_specs(field["output_specs"]);
  return file;
}

}  // namespace

ImageSpec image_spec(const Field& field) {
  require_common_pixels(field);
  ImageSpec spec;
  spec.name = field["name"].text();
  spec.size.height = static_cast<int>(field["height"].integer(1, kMaxSide));
  spec.size.width = static_cast<int>(field["width"].integer(1, kMaxSide));
  if (field.has("dynamic")) spec.dynamic = field["dynamic"].boolean();
  if (field.has("multiple")) spec.multiple = static_cast<int>(field["multiple"].integer(1, kMaxSide));
  if (field.has("color")) {
    spec.color = field["color"].choice<ColorOrder>({{"RGB", ColorOrder::kRgb}, {"BGR", ColorOrder::kBgr}});
  }
  if (field.has("layout"))
    spec.channels_last = field["layout"].choice<bool>({{"NCHW", false}, {"NHWC", true}});
  if (field.has("dtype")) {
    spec.dtype = field["dtype"].choice<DType>({{"float32", DType::kFloat32}, {"uint8", DType::kUint8}});
  }
  if (field.has("resize")) {
    const Field resize = field["resize"];
    if (resize.has("mode")) {
      spec.resize = resize["mode"].choice<ResizeMode>({{"stretch", ResizeMode::kStretch},
                                                       {"keep-ratio", ResizeMode::kKeepRatio},
                                                       {"none", ResizeMode::kNone}});
    }
    if (resize.has("rule")) resize["rule"].choice<bool>({{"bilinear-half-pixel-float32", true}});
    spec.pads_with_mean = !resize.has("padding");
    if (!spec.pads_with_mean) spec.padding = triple(resize["padding"]);
  }
  if (field.has("scale")) spec.scale = field["scale"].number();
  if (field.has("mean")) spec.mean = triple(field["mean"]);
  if (field.has("std")) spec.std = triple(field["std"]);
  if (field.has("normalized_in_graph")) spec.normalized_in_graph = field["normalized_in_graph"].boolean();

  for (const double value : spec.std) {
    if (!(value > 0)) field.fail("std has a value that is not positive");
  }
  if (!(spec.scale > 0)) field.fail("scale is not positive");
  for (std::size_t i = 0; i < spec.std.size(); ++i) {
    if (!((255 * spec.scale + std::fabs(spec.mean[i])) / spec.std[i] <= kLargestInput))
      field.fail("scale, mean and std make inputs beyond 1e9");
  }
  if (spec.resize == ResizeMode::kKeepRatio && spec.dynamic) {
    field.fail("resize.mode keep-ratio needs a fixed size, and the graph takes any");
  }
  if (spec.dtype == DType::kUint8 && !spec.normalized_in_graph) {
    field.fail("it is uint8 but the graph does not normalise");
  }
  if (spec.padded(spec.size) != spec.size) field.fail("height or width is no multiple of 'multiple'");
  return spec;
}

GraphSpec graph_of(const Field& field) {
  GraphSpec graph;
  for (const Field& item : field["inputs"].items()) {
    graph.inputs.push_back({item["name"].text(), item["dtype"].choice(kTypes), shape_of(item)});
  }
  graph.outputs = output_specs(field["outputs"]);
  if (field.has("files")) {
    for (const auto& engine : field["files"].members()) {
      graph.files[engine.first] = graph_file_of(engine.second);
    }
  }
  return graph;
}

std::vector<std::string> texts_of(const Field& field) {
  std::vector<std::string> texts;
  for (const Field& item : field.items()) texts.push_back(item.text());
  return texts;
}

std::vector<std::array<std::uint8_t, 3>> palette_of(const Field& field) {
  std::vector<std::array<std::uint8_t, 3>> palette;
  for (const Field& color : field.items()) {
    const std::vector<Field> parts = color.items();
    if (parts.size() != 3) color.fail("expected 3 numbers");
    palette.push_back({{static_cast<std::uint8_t>(parts[0].integer(0, 255)),
                        static_cast<std::uint8_t>(parts[1].integer(0, 255)),
                        static_cast<std::uint8_t>(parts[2].integer(0, 255))}});
  }
  return palette;
}

}  // namespace mobileseg
