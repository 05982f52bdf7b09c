// The folder that make_fixtures.py wrote, named by MOBILESEG_FIXTURES.
#ifndef MOBILESEG_TESTS_FIXTURES_H_
#define MOBILESEG_TESTS_FIXTURES_H_

#include <cstdlib>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "mobileseg/engine.h"
#include "mobileseg/image.h"
#include "mobileseg/manifest.h"
#include "npz.h"

namespace fixtures {

inline std::string root() {
  const char* folder = std::getenv("MOBILESEG_FIXTURES");
  if (folder == nullptr) throw std::runtime_error("MOBILESEG_FIXTURES does not name the fixtures");
  return folder;
}

// Folder of an exported model.
inline std::string artefact(const std::string& name) {
  return root() + "/artefacts/" + name;
}

// Whether the tests run on the stand-in of Paddle Lite (standin/), which answers as the fixtures expect.
inline bool has_stand_in() {
  const char* engine = std::getenv("MOBILESEG_ENGINE");
  return mobileseg::has_engine() && engine != nullptr && std::string(engine) == "stand-in";
}

inline std::vector<std::string> cases(const std::string& group) {
  std::ifstream file(root() + "/" + group + "/cases.txt");
  std::vector<std::string> names;
  for (std::string name; std::getline(file, name);) names.push_back(name);
  if (names.empty()) throw std::runtime_error("no fixtures in " + group);
  return names;
}

struct Case {
  mobileseg::Manifest manifest;
  std::map<std::string, mobileseg::Array> arrays;

  Case(const std::string& group, const std::string& name)
      : manifest(mobileseg::Manifest::read(root() + "/" + group + "/" + name)),
        arrays(mobileseg::read_npz(root() + "/" + group + "/" + name + "/case.npz")) {}

  const mobileseg::Array& at(const std::string& name) const { return arrays.at(name); }
  mobileseg::Size size() const {
    const auto* values = at("size").as<std::int64_t>();
    return {static_cast<int>(values[0]), static_cast<int>(values[1])};
  }
};

inline mobileseg::ImageView view(const mobileseg::Array& image) {
  mobileseg::ImageView view;
  view.pixels = image.bytes.data();
  view.size = {static_cast<int>(image.shape[0]), static_cast<int>(image.shape[1])};
  view.stride = static_cast<std::size_t>(image.shape[1]) * 3;
  return view;
}

}  // namespace fixtures

#endif  // MOBILESEG_TESTS_FIXTURES_H_
