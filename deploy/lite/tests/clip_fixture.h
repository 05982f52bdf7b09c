// Clips of the group `tracking` of the fixtures: results frame by frame, and what the tracker knows after
// each.
#ifndef MOBILESEG_TESTS_CLIP_FIXTURE_H_
#define MOBILESEG_TESTS_CLIP_FIXTURE_H_

#include <string>
#include <vector>

#include "fixtures.h"
#include "mobileseg/result.h"
#include "mobileseg/tracking.h"

namespace fixtures {

class Clip {
 public:
  explicit Clip(const std::string& name)
      : arrays_(mobileseg::read_npz(root() + "/tracking/" + name + ".npz")) {}

  static std::vector<std::string> names() {
    std::ifstream file(root() + "/tracking/clips.txt");
    std::vector<std::string> found;
    for (std::string name; std::getline(file, name);) found.push_back(name);
    return found;
  }

  int length() const { return static_cast<int>(values("length")[0]); }

  mobileseg::TrackingOptions options() const {
    const double* given = arrays_.at("options").as<double>();
    mobileseg::TrackingOptions options;
    options.score = given[0];
    options.low_score = given[1];
    options.overlap = given[2];
    options.max_age = static_cast<int>(given[3]);
    options.same_class = given[4] != 0;
    options.min_hits = static_cast<int>(given[5]);
    return options;
  }

  const mobileseg::Array& at(const std::string& name, int frame) const {
    return arrays_.at(name + "." + std::to_string(frame));
  }

  // Fills everything but the ids.
  void fill(int frame, mobileseg::Result* result) const {
    result->form = mobileseg::ResultForm::kInstances;
    result->size = {static_cast<int>(values("size")[0]), static_cast<int>(values("size")[1])};
    const float* boxes = at("boxes", frame).as<float>();
    const float* scores = at("scores", frame).as<float>();
    const auto* labels = at("classes", frame).as<std::int64_t>();
    const auto* regions = at("regions", frame).as<std::int64_t>();
    const mobileseg::Array& bytes = at("bytes", frame);
    result->mask_bytes.assign(bytes.bytes.begin(), bytes.bytes.end());
    result->instances.clear();
    std::size_t offset = 0;
    for (std::int64_t i = 0; i < at("scores", frame).shape[0]; ++i) {
      mobileseg::Instance one;
      one.box = {boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]};
      one.score = scores[i];
      one.label = static_cast<int>(labels[i]);
      one.mask.top = static_cast<int>(regions[4 * i]);
      one.mask.left = static_cast<int>(regions[4 * i + 1]);
      one.mask.size = {static_cast<int>(regions[4 * i + 2]), static_cast<int>(regions[4 * i + 3])};
      one.mask.offset = offset;
      offset += one.mask.size.pixels();
      result->instances.push_back(one);
    }
  }

 private:
  const std::int64_t* values(const std::string& name) const { return arrays_.at(name).as<std::int64_t>(); }

  std::map<std::string, mobileseg::Array> arrays_;
};

}  // namespace fixtures

#endif  // MOBILESEG_TESTS_CLIP_FIXTURE_H_
