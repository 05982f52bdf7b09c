#include <doctest/doctest.h>

#include <utility>

#include "allocation_counter.h"
#include "fixtures.h"
#include "instance.h"
#include "memory_engine.h"
#include "mobileseg/output.h"
#include "mobileseg/segmenter.h"
#include "preprocess.h"
#include "semantic.h"

using namespace mobileseg;

namespace {

// Answers what it is given, from memory that is there already.
class EchoEngine : public fixtures::MemoryEngine {
 public:
  explicit EchoEngine(const fixtures::Case& item) : outputs_(item.manifest.outputs_of()) {
    for (const OutputSpec& spec : outputs_)
      views_.push_back(item.at(spec.name == "logits" || spec.name == "labels" ? "output" : spec.name).view());
  }
  const std::vector<OutputSpec>& outputs(const std::string& /*graph*/) const override { return outputs_; }
  const std::vector<TensorView>& run(const std::string& /*graph*/) override { return views_; }

 private:
  std::vector<OutputSpec> outputs_;
  std::vector<TensorView> views_;
};

}  // namespace

TEST_CASE("the counter counts") {
  const std::size_t before = allocations();
  const std::vector<int> some(100);
  CHECK(some.size() == 100);
  CHECK(allocations() > before);
}

TEST_CASE("nothing is allocated from the second frame on") {
  const std::pair<const char*, const char*> groups[] = {
      {"semantic", "scores_up"},  {"semantic", "labels_up"},    {"semantic", "scores_nearest"},
      {"semantic", "decoder_up"}, {"semantic", "decoder_same"}, {"semantic", "decoder_probabilities"},
      {"instance", "fast"},       {"instance", "published"},    {"instance", "inclusive"}};
  for (const auto& group : groups) {
    const std::string name = group.second;
    CAPTURE(name);
    const fixtures::Case item(group.first, group.second);
    Segmenter segmenter(item.manifest, std::make_unique<EchoEngine>(item));
    const Painter painter(item.manifest);
    std::vector<std::uint8_t> pixels(item.size().pixels() * 3, 100);
    const ImageView image{pixels.data(), item.size(), static_cast<std::size_t>(item.size().width) * 3,
                          ColorOrder::kRgb};
    Result result;
    segmenter.run(image, &result);
    const std::size_t before = allocations();
    for (int frame = 0; frame < 5; ++frame) {
      segmenter.run(image, &result);
      painter.draw(result, pixels.data(), image.stride, image.order);
    }
    CHECK(allocations() == before);
  }
}
