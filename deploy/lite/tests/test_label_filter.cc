// Smoothing of label video against Python's, to the last bit.
#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fixtures.h"
#include "label_filter.h"
#include "memory_engine.h"
#include "mobileseg/error.h"
#include "mobileseg/segmenter.h"

using namespace mobileseg;

TEST_CASE("probabilities are averaged as in Python") {
  const auto arrays = read_npz(fixtures::root() + "/tracking/smooth.npz");
  const auto* place = arrays.at("place").as<std::int64_t>();  // content, covered
  const Size content = {static_cast<int>(place[0]), static_cast<int>(place[1])};
  const Size covered = {static_cast<int>(place[2]), static_cast<int>(place[3])};
  LabelFilter filter(arrays.at("weight").as<double>()[0]);
  for (int round = 0; round < 2; ++round) {
    int frame = 0;
    std::vector<float> scores;
    for (; arrays.count("image." + std::to_string(frame)) != 0; ++frame) {
      CAPTURE(frame);
      const Array& given = arrays.at("scores." + std::to_string(frame));
      const auto* first = given.as<float>();
      scores.assign(first, first + given.shape.count());
      filter.see(fixtures::view(arrays.at("image." + std::to_string(frame))));
      filter.smooth(static_cast<std::size_t>(given.shape[0]),
                    {static_cast<int>(given.shape[1]), static_cast<int>(given.shape[2])}, content, covered,
                    scores.data());
      const Array& expected = arrays.at("expected." + std::to_string(frame));
      CHECK(std::memcmp(scores.data(), expected.bytes.data(), scores.size() * sizeof(float)) == 0);
    }
    CHECK(frame >= 5);
    filter.reset();
  }
}

namespace {

// Gives the stored output of a frame.
class FrameEngine : public fixtures::MemoryEngine {
 public:
  explicit FrameEngine(const fixtures::Case& item) : item_(item), outputs_(item.manifest.outputs_of()) {}
  const std::vector<OutputSpec>& outputs(const std::string& /*graph*/) const override { return outputs_; }
  const std::vector<TensorView>& run(const std::string& /*graph*/) override {
    views_.assign(1, item_.at("output." + std::to_string(frame)).view());
    return views_;
  }

  int frame = 0;

 private:
  const fixtures::Case& item_;
  std::vector<OutputSpec> outputs_;
  std::vector<TensorView> views_;
};

double unequal(const std::vector<std::uint8_t>& labels, const Array& expected) {
  REQUIRE(labels.size() == expected.bytes.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) count += labels[i] != expected.bytes[i] ? 1 : 0;
  return static_cast<double>(count) / static_cast<double>(labels.size());
}

}  // namespace

TEST_CASE("labels of a stream with smoothing are Python's") {
  for (const std::string& name : fixtures::cases("smoothing")) {
    CAPTURE(name);
    const fixtures::Case item("smoothing", name);
    auto owned = std::make_unique<FrameEngine>(item);
    FrameEngine* engine = owned.get();
    Segmenter segmenter(item.manifest, std::move(owned));
    StreamOptions options;
    options.smooth = item.at("weight").as<double>()[0];
    Stream stream = segmenter.stream(options);
    Stream plain = segmenter.stream();
    Result result;
    for (int round = 0; round < 2; ++round) {
      for (engine->frame = 0; engine->frame < 4; ++engine->frame) {
        const std::string number = std::to_string(engine->frame);
        CAPTURE(number);
        const ImageView image = fixtures::view(item.at("image." + number));
        stream.step(image, &result);
        // exp() differs in the last bits, which can turn a tie.
        CHECK(unequal(result.labels, item.at("expected." + number)) <= 1e-4);
        plain.step(image, &result);
        if (engine->frame > 0) CHECK(unequal(result.labels, item.at("expected." + number)) > 0.01);
      }
      stream.reset();
    }
    ImageView smaller = fixtures::view(item.at("image.0"));
    engine->frame = 0;
    stream.step(smaller, &result);
    smaller.size.height -= 1;
    CHECK_THROWS_WITH_AS(stream.step(smaller, &result), doctest::Contains("those before it were"), Error);
    plain.step(smaller, &result);
  }
}

TEST_CASE("smoothing needs class scores") {
  const fixtures::Case labels("semantic", "labels_up"), scores("smoothing", "logits");
  StreamOptions options;
  options.smooth = 0.5;
  Segmenter segmenter(labels.manifest, std::make_unique<FrameEngine>(labels));
  CHECK_THROWS_WITH_AS(segmenter.stream(options), doctest::Contains("class scores were asked for"), Error);
  const fixtures::Case objects("instance", "fast");
  Segmenter finder(objects.manifest, std::make_unique<FrameEngine>(objects));
  CHECK_THROWS_WITH_AS(finder.stream(options), doctest::Contains("labels are not smoothed"), Error);
  Segmenter smoother(scores.manifest, std::make_unique<FrameEngine>(scores));
  for (const double weight : {1.0, -0.1, std::numeric_limits<double>::quiet_NaN()}) {
    options.smooth = weight;
    CHECK_THROWS_WITH_AS(smoother.stream(options), doctest::Contains("from 0 to below 1"), Error);
  }
}

TEST_CASE("weights are below one") {
  CHECK_THROWS_AS(LabelFilter{1.0}, Error);
  CHECK_THROWS_AS(LabelFilter{-0.1}, Error);
  CHECK_THROWS_AS(LabelFilter{std::numeric_limits<double>::quiet_NaN()}, Error);
}
