#include "mobileseg/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "files.h"
#include "json_fields.h"
#include "manifest_fields.h"
#include "manifest_format1.h"
#include "mobileseg/error.h"
#include "sha256.h"
#include "tasks.h"

namespace mobileseg {
namespace {

constexpr int kFormat = 2;
constexpr std::int64_t kMaxClasses = 255;
// The pipeline main in graphs per component, which Paddle alone has.
constexpr const char* kComponents = "components";
constexpr const char* kExportAgain = "export the model again with `mobileseg export`";

// Deeper nesting than any manifest has would end in a stack overflow inside the parser.
constexpr int kMaxDepth = 32;

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

// The keys, for messages.
template <typename T>
std::string joined(const std::map<std::string, T>& named) {
  std::string text;
  for (const auto& pair : named) text += (text.empty() ? "" : ", ") + pair.first;
  return text.empty() ? "none" : text;
}

bool lies_outside(const std::string& name) {
  return name.empty() || name[0] == '/' || name.find('\\') != std::string::npos ||
         ("/" + name + "/").find("/../") != std::string::npos;
}

}  // namespace

Shape ImageSpec::shape(Size input) const {
  return channels_last ? Shape{1, input.height, input.width, 3} : Shape{1, 3, input.height, input.width};
}

Size ImageSpec::padded(Size content) const {
  const auto up = [this](int side) { return (side + multiple - 1) / multiple * multiple; };
  return {up(content.height), up(content.width)};
}

Manifest Manifest::parse(const std::string& text, const std::string& source, std::string* yaml_hash) {
  nlohmann::json document = parsed(text, source);
  const Field top(document, source);
  if (!top.has("mobileseg")) top.fail("it has no 'mobileseg' block");
  const double version = top["mobileseg"]["format"].number();
  if (version != 1 && version != kFormat) {
    std::ostringstream seen;
    seen << version;
    throw Error(ErrorKind::kRuntime,
                source + " is written in format " + seen.str() + ", this program reads formats 1 and " +
                    std::to_string(kFormat),
                "export the model again, or build the program of the version that wrote it");
  }
  if (yaml_hash != nullptr && top.has("deploy_yaml_sha256")) *yaml_hash = top["deploy_yaml_sha256"].text();
  if (version == 1) document["mobileseg"] = upgraded(document["mobileseg"]);
  const Field block = top["mobileseg"];

  Manifest manifest;
  manifest.name = block["name"].text();
  manifest.task = block["task"].text();
  manifest.image = image_spec(block["image"]);
  for (const auto& graph : block["graphs"].members()) manifest.graphs[graph.first] = graph_of(graph.second);
  for (const auto& pipeline : block["pipelines"].members()) {
    manifest.pipelines[pipeline.first] = texts_of(pipeline.second);
  }
  if (block.has("state")) {
    for (const auto& kept : block["state"].members()) manifest.state[kept.first] = kept.second.texts();
  }
  manifest.classes = texts_of(block["classes"]);
  manifest.palette = palette_of(block["palette"]);
  if (block.has("ignore_index"))
    manifest.ignore_index = static_cast<int>(block["ignore_index"].integer(-1, 255));
  if (block.has("files")) manifest.files = block["files"].texts();
  if (block.has("versions")) manifest.versions = block["versions"].texts();
  if (block.has("golden")) manifest.golden = block["golden"].text();
  if (block.has("least_equal")) manifest.least_equal = block["least_equal"].number();
  for (std::size_t i = 1; i <= manifest.classes.size(); ++i)
    manifest.category_ids.push_back(static_cast<int>(i));

  const auto refuse_for = [&](const std::string& reason) {
    if (!reason.empty())
      throw Error(ErrorKind::kRuntime, source + " cannot be used: " + reason, kExportAgain);
  };
  refuse_for(manifest.problem());
  const Task& task = task_of(manifest.task);
  if (block.has("settings")) {
    const Field section = block["settings"];
    manifest.settings = task.settings(&section, &manifest);
  } else {
    manifest.settings = task.settings(nullptr, &manifest);
  }
  if (manifest.settings) {
    for (const std::string& file : manifest.settings->files()) refuse_for(manifest.file_problem(file));
  }
  refuse_for(task.problem(manifest));
  return manifest;
}

std::string Manifest::problem() const {
  if (classes.empty()) return "classes is empty";
  if (!(least_equal >= 0 && least_equal <= 1)) return "least_equal is not between 0 and 1";
  if (classes.size() > kMaxClasses) {
    return "there are " + std::to_string(classes.size()) + " classes, expected 1 to " +
           std::to_string(kMaxClasses);
  }
  if (palette.size() != classes.size()) {
    return "palette has " + std::to_string(palette.size()) + " colours for " +
           std::to_string(classes.size()) + " classes";
  }
  const std::string found = golden.empty() ? "" : file_problem(golden);
  if (!found.empty()) return found;
  const std::string in_graphs = graph_problem();
  return in_graphs.empty() ? pipeline_problem() : in_graphs;
}

std::string Manifest::file_problem(const std::string& file) const {
  if (lies_outside(file)) return "'" + file + "' lies outside the folder";
  return files.count(file) == 0 ? "'" + file + "' has no sha256 in 'files'" : "";
}

std::string Manifest::graph_problem() const {
  for (const auto& pair : graphs) {
    for (const auto& engine : pair.second.files) {
      std::vector<std::string> names = engine.second.others;
      if (!engine.second.model.empty()) names.push_back(engine.second.model);
      for (const std::string& file : names) {
        const std::string found = file_problem(file);
        if (!found.empty()) return "graphs." + pair.first + ".files." + engine.first + ": " + found;
      }
    }
  }
  return "";
}

// Every input of every graph is the image, a tensor made before, or one that the stream keeps.
std::string Manifest::pipeline_problem() const {
  if (pipelines.size() == pipelines.count(kComponents)) return "pipelines is empty";
  std::set<std::string> first = {image.name};
  for (const auto& pair : state) {
    if (pipelines.count(pair.first) == 0) return "state names the pipeline '" + pair.first + "'";
    for (const auto& kept : pair.second) first.insert(kept.first);
  }
  for (const auto& pipeline : pipelines) {
    const std::string where = "pipelines." + pipeline.first;
    if (pipeline.second.empty()) return where + " names no graph";
    std::set<std::string> known = first;
    std::set<std::string> ran;
    for (const std::string& graph_name : pipeline.second) {
      const auto found = graphs.find(graph_name);
      if (found == graphs.end()) {
        return where + " names the graph '" + graph_name + "', there is " + joined(graphs);
      }
      if (!ran.insert(graph_name).second) {
        return where + " names the graph '" + graph_name + "' twice, which this program cannot run";
      }
      for (const TensorSpec& input : found->second.inputs) {
        if (known.count(input.name) == 0) {
          return where + ": the graph '" + graph_name + "' takes " + input.name +
                 ", which nothing before it gives";
        }
      }
      for (const OutputSpec& output : found->second.outputs) known.insert(output.name);
    }
    const auto kept = state.find(pipeline.first);
    if (kept == state.end()) continue;
    for (const auto& pair : kept->second) {
      if (known.count(pair.second) == 0) {
        return "state." + pipeline.first + " keeps '" + pair.second +
               "', which no graph of that pipeline gives";
      }
    }
  }
  return "";
}

std::vector<std::string> Manifest::deployed() const {
  std::vector<std::string> names;
  for (const auto& pipeline : pipelines) {
    if (pipeline.first == kComponents) continue;
    for (const std::string& graph_name : pipeline.second) {
      if (std::find(names.begin(), names.end(), graph_name) == names.end()) names.push_back(graph_name);
    }
  }
  return names;
}

const GraphSpec& Manifest::graph(const std::string& graph_name) const {
  const auto found = graphs.find(graph_name);
  if (found != graphs.end()) return found->second;
  throw Error(ErrorKind::kRuntime,
              "artefact '" + name + "' has no graph '" + graph_name + "', it has " + joined(graphs));
}

std::vector<OutputSpec> Manifest::outputs_of(const std::string& engine) const {
  std::vector<OutputSpec> specs;
  for (const std::string& graph_name : deployed()) {
    const GraphSpec& spec = graph(graph_name);
    const auto file = spec.files.find(engine);
    const bool own = file != spec.files.end() && !file->second.output_specs.empty();
    const std::vector<OutputSpec>& outputs = own ? file->second.output_specs : spec.outputs;
    specs.insert(specs.end(), outputs.begin(), outputs.end());
  }
  return specs;
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

const GraphFile& Manifest::graph_file(const std::string& graph_name, const std::string& engine) const {
  const GraphSpec& spec = graph(graph_name);
  const auto file = spec.files.find(engine);
  if (file == spec.files.end() || file->second.model.empty()) {
    throw Error(ErrorKind::kRuntime,
                "artefact '" + name + "' has no '" + engine + "' file for graph '" + graph_name +
                    "', it has " + joined(spec.files),
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
