// deploy.json: everything a program must know about an artefact folder.
#ifndef MOBILESEG_MANIFEST_H_
#define MOBILESEG_MANIFEST_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mobileseg/image.h"
#include "mobileseg/tensor.h"

namespace mobileseg {

// How an image becomes the size of the input. Stretched, whatever its aspect ratio; to the largest size of
// its aspect ratio that fits, padded at the bottom and right; or left at its own size (a dynamic graph pads
// it to `ImageSpec::multiple`).
enum class ResizeMode { kStretch, kKeepRatio, kNone };

// value = (pixel * scale - mean) / std per channel in the graph's colour order, unless the graph does it.
struct ImageSpec {
  std::string name;      // of the tensor that it becomes
  Size size;             // of a dynamic graph, the size it was traced with
  bool dynamic = false;  // any size whose sides are multiples of `multiple`
  int multiple = 1;
  ColorOrder color = ColorOrder::kRgb;
  bool channels_last = false;
  DType dtype = DType::kFloat32;
  ResizeMode resize = ResizeMode::kStretch;
  bool pads_with_mean = true;                // what is padded is 0 after normalisation; otherwise:
  std::array<double, 3> padding{{0, 0, 0}};  // pixel value
  double scale = 1.0 / 255.0;
  std::array<double, 3> mean{{0.5, 0.5, 0.5}};
  std::array<double, 3> std{{0.5, 0.5, 0.5}};
  bool normalized_in_graph = false;

  Shape shape(Size input) const;
  Size padded(Size content) const;
};

// One input of a graph: the image, an output of a graph that ran before, or a tensor that the stream keeps.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kFloat32;
  Shape shape;  // -1 where the size follows a dynamic input; of no dimensions where it is not known
};

enum class OutputResize { kLabelsNearest, kScoresBilinear, kProbabilitiesBilinear, kInGraph, kNone };

// Outputs of this kind are for other graphs alone; the other kinds are words of the tasks.
constexpr const char* kFeatures = "features";

struct OutputSpec {
  std::string name;
  std::string kind;
  DType dtype = DType::kInt32;
  Shape shape;  // as TensorSpec::shape
  OutputResize resize = OutputResize::kNone;
  Size upsample;  // scores are brought to this size before anything else is done with them; 0x0: they are not
};

// The files of one graph for one engine, and its own tensor names where they differ from the manifest's.
struct GraphFile {
  std::string model;                // graph file of Paddle Lite and others
  std::vector<std::string> others;  // further files of other engines
  std::map<std::string, std::string> inputs;
  std::map<std::string, std::string> outputs;
  std::vector<OutputSpec> output_specs;  // empty: as GraphSpec::outputs
};

// One graph: a part of the network that engines run as a whole.
struct GraphSpec {
  std::vector<TensorSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::map<std::string, GraphFile> files;  // by engine
};

// The section of a task, which the task reads and checks itself.
struct TaskSettings {
  virtual ~TaskSettings() = default;
  virtual std::vector<std::string> files() const { return {}; }  // that the folder must hold for it
};

class Manifest {
 public:
  // Formats 1 and 2. Throws Error(kRuntime) when the folder or its deploy.json cannot be used.
  static Manifest read(const std::string& folder);
  // `yaml_hash` receives the hash of the deploy.yaml that the text repeats.
  static Manifest parse(const std::string& text, const std::string& source, std::string* yaml_hash = nullptr);

  // Graphs of the pipelines that streams run, in the order in which they run.
  std::vector<std::string> deployed() const;
  const GraphSpec& graph(const std::string& name) const;  // throws when there is none
  // The file of a graph for 'lite_arm' or 'lite_x86'; throws when the folder has none.
  const GraphFile& graph_file(const std::string& name, const std::string& engine) const;
  // Outputs of the deployed graphs, in the order in which they run; of one engine's files where it is named.
  std::vector<OutputSpec> outputs_of(const std::string& engine = "") const;
  // Path of a file of the folder, after its content has been compared with its hash.
  std::string verified_path(const std::string& file) const;
  std::string path(const std::string& file) const { return folder + "/" + file; }
  // Why a file that a field names cannot be one of this folder, '' when it can.
  std::string file_problem(const std::string& file) const;

  std::string folder;
  std::string name;
  std::string task;
  ImageSpec image;
  std::map<std::string, GraphSpec> graphs;
  // Name -> graphs that run one after the other for one frame; a network that sees one image at a time has
  // 'main' alone.
  std::map<std::string, std::vector<std::string>> pipelines;
  // Pipeline -> {tensor that later frames take: tensor of this frame that it is}.
  std::map<std::string, std::map<std::string, std::string>> state;
  std::shared_ptr<const TaskSettings> settings;
  std::vector<std::string> classes;
  std::vector<std::array<std::uint8_t, 3>> palette;  // RGB, one per class
  // Number of every class in files of COCO's format; 1, 2, ... where the folder gives none.
  std::vector<int> category_ids;
  int ignore_index = 255;
  std::map<std::string, std::string> files;  // name -> sha256
  std::map<std::string, std::string> versions;
  std::string golden;  // empty when the folder has none
  // Share of labels or detections that a graph must have in common with the reference; 0: the exact rule.
  // Graphs of lower precision have it.
  double least_equal = 0;

 private:
  std::string problem() const;  // contradictions; '' when there are none
  std::string graph_problem() const;
  std::string pipeline_problem() const;
};

// The pipeline of a network that sees one image at a time.
constexpr const char* kMain = "main";

}  // namespace mobileseg

#endif  // MOBILESEG_MANIFEST_H_
