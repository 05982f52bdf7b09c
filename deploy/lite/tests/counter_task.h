// A third task, for tests of streams: labels, and a pipeline of graphs that depends on the number of the
// frame.
#ifndef MOBILESEG_TESTS_COUNTER_TASK_H_
#define MOBILESEG_TESTS_COUNTER_TASK_H_

#include <memory>
#include <string>
#include <vector>

#include "fixtures.h"
#include "semantic.h"
#include "semantic_selftest.h"
#include "tasks.h"

namespace fixtures {

class CounterPipeline : public mobileseg::Pipeline {
 public:
  explicit CounterPipeline(std::size_t classes) : postprocessor_(classes) {}

  mobileseg::StepPlan next(const mobileseg::ImageView& /*image*/) override {
    return {frames_++ == 0 ? &key_ : &nonkey_};
  }

  void finish(const mobileseg::FrameOutputs& outputs, const mobileseg::Geometry& place,
              mobileseg::Result* result) override {
    const std::size_t last = outputs.specs.size() - 1;
    postprocessor_.run(outputs.specs[last], outputs.values[last], place, &result->labels);
  }

  void reset() override { frames_ = 0; }

 private:
  const std::string key_ = "key";
  const std::string nonkey_ = "nonkey";
  mobileseg::SemanticPostprocessor postprocessor_;
  int frames_ = 0;
};

class CounterTask : public mobileseg::Task {
 public:
  mobileseg::ResultForm form() const override { return mobileseg::ResultForm::kLabels; }
  std::shared_ptr<const mobileseg::TaskSettings> settings(const mobileseg::Field* /*section*/,
                                                          mobileseg::Manifest* /*manifest*/) const override {
    return nullptr;
  }
  std::string problem(const mobileseg::Manifest& manifest) const override {
    return manifest.pipelines.count("key") == 0 ? "pipelines has no 'key'" : "";
  }
  std::unique_ptr<mobileseg::Pipeline> pipeline(
      const mobileseg::Manifest& manifest,
      const std::vector<mobileseg::OutputSpec>& /*outputs*/) const override {
    return std::make_unique<CounterPipeline>(manifest.classes.size());
  }
  mobileseg::Difference compare_output(const mobileseg::Golden& golden, int item,
                                       const mobileseg::OutputSpec& spec, const mobileseg::TensorView& value,
                                       double* scale) const override {
    return mobileseg::compare_semantic_output(golden, item, spec, value, scale);
  }
  mobileseg::Check replay(const mobileseg::Manifest& /*manifest*/,
                          const std::vector<mobileseg::OutputSpec>& /*outputs*/,
                          const mobileseg::Golden& /*golden*/) const override {
    return {"postprocess", mobileseg::Check::Status::kSkipped, "it is that of another task"};
  }
  mobileseg::Share share(const mobileseg::Result& result, const mobileseg::Golden& golden,
                         int item) const override {
    return mobileseg::share_of_labels(result, golden, item);
  }
  const char* shared() const override { return "labels"; }
};

// The folder of make_fixtures.py.
inline mobileseg::Manifest counter_manifest() {
  static const CounterTask task;
  mobileseg::add_task("counter", task);
  return mobileseg::Manifest::read(artefact("counter"));
}

}  // namespace fixtures

#endif  // MOBILESEG_TESTS_COUNTER_TASK_H_
