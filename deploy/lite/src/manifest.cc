#include "mobileseg/manifest.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "files.h"
#include "json_fields.h"
#include "mobileseg/error.h"
#include "sha256.h"

namespace mobileseg {
namespace {

constexpr int kFormat = 1;
constexpr std::int64_t kMaxSide = 16384;
constexpr const char* kExportAgain = "export the model again with `mobileseg export`";

// Deeper nesting than any manifest has would end in a stack overflow inside the parser.
constexpr int kMaxDepth = 32;

const std::map<std::string, DType> kTypes = {{"float32", DType::kFloat32}, {"float64", DType::kFloat64},
                                             {"int32", DType::kInt32},     {"int64", DType::kInt64},
                                             {"uint8", DType::kUint8},     {"bool", DType::kBool}};
const std::map<std::string, OutputKind> kKinds = {
    {"labels", OutputKind::kLabels},         {"probabilities", OutputKind::kProbabilities},
    {"logits", OutputKind::kLogits},         {"boxes", OutputKind::kBoxes},
    {"scores", OutputKind::kScores},         {"coefficients", OutputKind::kCoefficients},
    {"prototypes", OutputKind::kPrototypes}, {"detections", OutputKind::kDetections}};
const std::map<std::string, OutputResize> kResizes = {{"labels-nearest", OutputResize::kLabelsNearest},
                                                      {"scores-bilinear", OutputResize::kScoresBilinear},
                                                      {"in-graph", OutputResize::kInGraph},
                                                      {"none", OutputResize::kNone}};

nlohmann::json parsed(const std::string& text, const std::string& source) {
  const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kMaxDepth) throw Error(ErrorKind::kRuntime, "it is nested too deeply");
    return true;
  };
  try {
    return nlohmann::json::parse(text, shallow);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kRuntime, source + " is not JSON: " + error.what(), kExportAgain);
  } catch (const Error& error) {
    throw Error(ErrorKind::kRuntime, source + ": " + error.what(), kExportAgain);
  }
}

std::array<double, 3> triple(const Field& field) {
  const std::vector<Field> items = field.items();
  if (items.size() != 3) field.fail("expected 3 numbers, found " + std::to_string(items.size()));
  return {{items[0].number(), items[1].number(), items[2].number()}};
}

InputSpec input_spec(const Field& field) {
  InputSpec spec;
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
    if (resize.has("mode")) spec.stretch = resize["mode"].choice<bool>({{"stretch", true}, {"none", false}});
    if (resize.has("rule")) resize["rule"].choice<bool>({{"bilinear-half-pixel-float32", true}});
  }
  if (field.has("scale")) spec.scale = field["scale"].number();
  if (field.has("mean")) spec.mean = triple(field["mean"]);
  if (field.has("std")) spec.std = triple(field["std"]);
  if (field.has("normalized_in_graph")) spec.normalized_in_graph = field["normalized_in_graph"].boolean();

  for (const double value : spec.std) {
    if (!(value > 0)) field.fail("std has a value that is not positive");
  }
  if (!(spec.scale > 0)) field.fail("scale is not positive");
  if (spec.dtype == DType::kUint8 && !spec.normalized_in_graph) {
    field.fail("the input is uint8 but the graph does not normalise");
  }
  if (spec.padded(spec.size) != spec.size) field.fail("height or width is no multiple of 'multiple'");
  return spec;
}

OutputSpec output_spec(const Field& field) {
  OutputSpec spec;
  spec.name = field["name"].text();
  spec.kind = field["kind"].choice(kKinds);
  spec.dtype = field["dtype"].choice(kTypes);
  const std::vector<Field> dims = field["shape"].items();
  if (dims.size() > static_cast<std::size_t>(Shape::kMaxRank)) field.fail("shape has more than 6 dimensions");
  for (const Field& dim : dims) spec.shape.push_back(dim.integer(-1, std::int64_t{1} << 30));
  if (field.has("resize")) spec.resize = field["resize"].choice(kResizes);
  return spec;
}

std::vector<OutputSpec> output_specs(const Field& field) {
  std::vector<OutputSpec> specs;
  for (const Field& item : field.items()) specs.push_back(output_spec(item));
  if (specs.empty()) field.fail("no output is named");
  return specs;
}

// An entry for another engine may name its files otherwise; only Paddle Lite's are read here.
GraphFile graph_file_of(const Field& field) {
  GraphFile file;
  if (field.has("model")) file.model = field["model"].text();
  if (field.has("inputs")) file.inputs = field["inputs"].texts();
  if (field.has("outputs")) file.outputs = field["outputs"].texts();
  if (field.has("output_specs")) file.output_specs = output_specs(field["output_specs"]);
  return file;
}

float fraction(const Field& field) {
  const double value = field.number();
  if (!(value >= 0 && value <= 1)) field.fail("expected a number from 0 to 1");
  return static_cast<float>(value);
}

DetectionSpec detection_spec(const Field& field) {
  DetectionSpec spec;
  if (field.has("anchors")) spec.anchors = field["anchors"].text();
  if (field.has("variances")) {
    const std::vector<Field> items = field["variances"].items();
    if (items.size() != 2) field["variances"].fail("expected 2 numbers");
    spec.variances = {{static_cast<float>(items[0].number()), static_cast<float>(items[1].number())}};
  }
  if (field.has("score_threshold")) spec.score_threshold = fraction(field["score_threshold"]);
  if (field.has("nms")) {
    spec.nms = field["nms"].choice<NmsKind>({{"fast", NmsKind::kFast},
                                             {"cross_class", NmsKind::kCrossClass},
                                             {"traditional", NmsKind::kTraditional}});
  }
  if (field.has("iou_threshold")) spec.iou_threshold = fraction(field["iou_threshold"]);
  if (field.has("top_k")) spec.top_k = static_cast<int>(field["top_k"].integer(1, 1 << 20));
  if (field.has("max_detections")) {
    spec.max_detections = static_cast<int>(field["max_detections"].integer(1, 1 << 20));
  }
  if (field.has("mask_threshold")) spec.mask_threshold = fraction(field["mask_threshold"]);
  if (field.has("threshold_after_nms")) spec.threshold_after_nms = field["threshold_after_nms"].boolean();
  if (field.has("inclusive_pixels")) spec.inclusive_pixels = field["inclusive_pixels"].boolean();
  if (field.has("truncate_boxes")) spec.truncate_boxes = field["truncate_boxes"].boolean();
  return spec;
}

// Classes are counted from 1 where the folder gives them no numbers.
std::vector<int> category_ids_of(const Field& block, std::size_t classes) {
  std::vector<int> ids;
  if (block.has("category_ids")) {
    for (const Field& item : block["category_ids"].items())
      ids.push_back(static_cast<int>(item.integer(0, std::numeric_limits<int>::max())));
  } else {
    for (std::size_t i = 1; i <= classes; ++i) ids.push_back(static_cast<int>(i));
  }
  return ids;
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

bool lies_outside(const std::string& name) {
  return name.empty() || name[0] == '/' || name.find('\\') != std::string::npos ||
         ("/" + name + "/").find("/../") != std::string::npos;
}

}  // namespace

Shape InputSpec::shape(Size input) const {
  return channels_last ? Shape{1, input.height, input.width, 3} : Shape{1, 3, input.height, input.width};
}

Size InputSpec::padded(Size content) const {
  const auto up = [this](int side) { return (side + multiple - 1) / multiple * multiple; };
  return {up(content.height), up(content.width)};
}

Manifest Manifest::parse(const std::string& text, const std::string& source, std::string* yaml_hash) {
  const nlohmann::json document = parsed(text, source);
  const Field top(document, source);
  if (!top.has("mobileseg")) top.fail("it has no 'mobileseg' block");
  const Field block = top["mobileseg"];
  const double version = block["format"].number();
  if (version != kFormat) {
    block.fail("it is written in format " + std::to_string(version) + ", this program reads format " +
               std::to_string(kFormat));
  }
  if (yaml_hash != nullptr && top.has("deploy_yaml_sha256")) *yaml_hash = top["deploy_yaml_sha256"].text();

  Manifest manifest;
  manifest.name = block["name"].text();
  if (block.has("task")) {
    manifest.task =
        block["task"].choice<Task>({{"semantic", Task::kSemantic}, {"instance", Task::kInstance}});
  }
  manifest.input = input_spec(block["input"]);
  manifest.outputs = output_specs(block["outputs"]);
  for (const Field& item : block["classes"].items()) manifest.classes.push_back(item.text());
  manifest.palette = palette_of(block["palette"]);
  if (block.has("ignore_index"))
    manifest.ignore_index = static_cast<int>(block["ignore_index"].integer(-1, 255));
  if (block.has("graphs")) {
    for (const auto& graph : block["graphs"].members()) {
      for (const auto& engine : graph.second.members()) {
        manifest.graphs[graph.first][engine.first] = graph_file_of(engine.second);
      }
    }
  }
  if (block.has("files")) manifest.files = block["files"].texts();
  if (block.has("versions")) manifest.versions = block["versions"].texts();
  if (block.has("golden")) manifest.golden = block["golden"].text();
  if (block.has("least_equal")) manifest.least_equal = block["least_equal"].number();
  if (manifest.task == Task::kInstance) {
    manifest.detection = detection_spec(block["detection"]);
    manifest.category_ids = category_ids_of(block, manifest.classes.size());
  }
  manifest.check(source);
  return manifest;
}

void Manifest::check(const std::string& source) const {
  const auto refuse = [&](const std::string& reason) {
    throw Error(ErrorKind::kRuntime, source + " cannot be used: " + reason, kExportAgain);
  };
  if (classes.empty()) refuse("classes is empty");
  if (!(least_equal >= 0 && least_equal <= 1)) refuse("least_equal is not between 0 and 1");
  if (classes.size() > 256) refuse("it has more than 256 classes");
  if (palette.size() != classes.size()) {
    refuse("palette has " + std::to_string(palette.size()) + " colours for " +
           std::to_string(classes.size()) + " classes");
  }
  if (task == Task::kInstance && category_ids.size() != classes.size()) {
    refuse("category_ids has " + std::to_string(category_ids.size()) + " numbers for " +
           std::to_string(classes.size()) + " classes");
  }
  std::vector<std::string> names;
  for (const auto& graph : graphs) {
    for (const auto& engine : graph.second) {
      if (!engine.second.model.empty()) names.push_back(engine.second.model);
    }
  }
  if (!golden.empty()) names.push_back(golden);
  if (!detection.anchors.empty()) names.push_back(detection.anchors);
  if (task == Task::kInstance && input.dynamic)
    refuse("an instance graph takes one size, and 'dynamic' is set");
  for (const std::string& file : names) {
    if (lies_outside(file)) refuse("'" + file + "' lies outside the folder");
    if (files.count(file) == 0) refuse("'" + file + "' has no sha256 in 'files'");
  }
}

Manifest Manifest::read(const std::string& folder) {
  if (!is_folder(folder)) throw Error(ErrorKind::kRuntime, "there is no artefact folder " + folder);
  const std::string path = folder + "/deploy.json";
  if (!is_file(path)) {
    throw Error(
        ErrorKind::kRuntime, folder + " has no deploy.json",
        is_file(folder + "/deploy.yaml") ? kExportAgain : "name the folder that `mobileseg export` wrote");
  }
  std::string yaml_hash;
  Manifest manifest = parse(read_file(path, std::size_t{16} << 20), path, &yaml_hash);
  manifest.folder = folder;
  const std::string yaml = folder + "/deploy.yaml";
  if (is_file(yaml) && sha256_of_file(yaml) != yaml_hash) {
    throw Error(ErrorKind::kRuntime,
                path + " was not written together with deploy.yaml: one of them was changed",
                "copy the whole folder again, or export it again");
  }
  return manifest;
}

const GraphFile& Manifest::graph_file(const std::string& graph, const std::string& engine) const {
  const auto found = graphs.find(graph);
  if (found == graphs.end()) {
    throw Error(ErrorKind::kRuntime, "artefact '" + name + "' has no graph '" + graph + "'");
  }
  const auto file = found->second.find(engine);
  if (file == found->second.end() || file->second.model.empty()) {
    std::string present;
    for (const auto& pair : found->second) present += (present.empty() ? "" : ", ") + pair.first;
    throw Error(ErrorKind::kRuntime,
                "artefact '" + name + "' has no '" + engine + "' file for graph '" + graph + "', it has " +
                    (present.empty() ? "none" : present),
                "write it with `mobileseg export --targets " + engine + " ...`");
  }
  return file->second;
}

std::string Manifest::verified_path(const std::string& file) const {
  const auto found = files.find(file);
  const std::string where = path(file);
  if (found == files.end() || lies_outside(file)) {
    throw Error(ErrorKind::kRuntime,
                where + " is not listed in deploy.json, so its content cannot be trusted");
  }
  if (!is_file(where)) {
    throw Error(ErrorKind::kRuntime, where + " is missing, deploy.json lists it",
                "copy the whole artefact folder");
  }
  const std::string actual = sha256_of_file(where);
  if (actual != found->second) {
    throw Error(ErrorKind::kRuntime,
                where + " has sha256 " + actual.substr(0, 12) + "..., deploy.json says " +
                    found->second.substr(0, 12) + "...: the file was changed or copied incompletely",
                "copy the folder again, or export it again");
  }
  return where;
}

}  // namespace mobileseg
