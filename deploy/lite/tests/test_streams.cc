// Streams: graphs that hand tensors to each other, and what is kept from frame to frame. The fixture's labels
// depend on the image and on the number of frames before it.
#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <utility>

#include "allocation_counter.h"
#include "counter_task.h"
#include "fixtures.h"
#include "golden.h"
#include "memory_engine.h"
#include "mobileseg/error.h"
#include "mobileseg/mobileseg.h"
#include "tensor_stream.h"

using namespace mobileseg;

namespace {

const std::string kKey = "key", kNonkey = "nonkey", kOther = "main";

Segmenter counter_segmenter() {
  Manifest manifest = fixtures::counter_manifest();
  std::unique_ptr<Engine> engine = make_engine(manifest, EngineOptions());
  return Segmenter(std::move(manifest), std::move(engine));
}

// Answers of memory that is there already: 'start' gives 1 and 'follow' one more than it takes, both for the
// features as well, and the head gives them as labels.
class CountingEngine : public fixtures::MemoryEngine {
 public:
  explicit CountingEngine(const Manifest& manifest) {
    for (const std::string& name : manifest.deployed()) {
      Graph& graph = graphs_[name];
      graph.outputs = manifest.graph(name).outputs;
      for (const OutputSpec& spec : graph.outputs) {
        graph.memory.emplace_back(static_cast<std::size_t>(spec.shape.count()) * 4);
        graph.views.push_back({graph.memory.back().data(), spec.dtype, spec.shape});
      }
    }
  }
  const std::vector<OutputSpec>& outputs(const std::string& graph) const override {
    return graphs_.at(graph).outputs;
  }
  void share(const std::string& /*graph*/, const TensorSpec& spec, const TensorView& value) override {
    if (spec.name == "features") features_ = value.as<float>();
    if (spec.name == "count") taken_ = value.as<float>()[0];
    if (spec.name == "before") before = value.as<float>()[0];
  }
  const std::vector<TensorView>& run(const std::string& name) override {
    Graph& graph = graphs_.at(name);
    const float next = name == "start" ? 1.0F : taken_ + 1;
    for (std::size_t i = 0; i < graph.views.size(); ++i) {
      if (name == "head") {
        auto* labels = reinterpret_cast<std::int32_t*>(graph.memory[i].data());
        for (std::int64_t k = 0; k < graph.views[i].shape.count(); ++k)
          labels[k] = static_cast<std::int32_t>(features_[k]) % 3;
      } else {
        auto* values = reinterpret_cast<float*>(graph.memory[i].data());
        for (std::int64_t k = 0; k < graph.views[i].shape.count(); ++k) values[k] = next;
      }
    }
    return graph.views;
  }

  float before = 0;  // as a graph took it last

 private:
  struct Graph {
    std::vector<OutputSpec> outputs;
    std::vector<std::vector<std::uint8_t>> memory;
    std::vector<TensorView> views;
  };
  std::map<std::string, Graph> graphs_;
  const float* features_ = nullptr;
  float taken_ = 0;
};

}  // namespace

TEST_CASE("a stream counts its frames, a single image is a stream of one" *
          doctest::skip(!fixtures::has_stand_in())) {
  Segmenter segmenter = counter_segmenter();
  const Golden golden(segmenter.manifest());
  std::map<std::int64_t, Stream> streams;
  Result result;
  for (int item = 0; item < golden.items(); ++item) {  // two streams take turns
    CAPTURE(item);
    const std::int64_t number = golden.sequence(item);
    streams.emplace(number, segmenter.stream()).first->second.step(golden.image(item), &result);
    CHECK(result.form == ResultForm::kLabels);
    CHECK(result.labels == golden.at("labels", item).bytes);
  }
  CHECK(streams.size() == 3);
  for (const int item : {0, 1, 0}) {
    segmenter.run(golden.image(item), &result);
    CHECK(result.labels == golden.at("labels", item).bytes);
  }
  Stream& first = streams.at(0);
  first.reset();
  first.step(golden.image(1), &result);
  CHECK(result.labels == golden.at("labels", 1).bytes);
}

TEST_CASE("the self test replays streams in their order" * doctest::skip(!fixtures::has_stand_in())) {
  const Manifest manifest = fixtures::counter_manifest();
  const std::unique_ptr<Engine> engine = make_engine(manifest, EngineOptions());
  for (const Check& check : selftest(manifest, engine.get())) {
    CAPTURE(check.stage);
    INFO(check.detail);
    CHECK(check.status == (check.stage == "postprocess" ? Check::Status::kSkipped : Check::Status::kOk));
  }
}

TEST_CASE("frames of another size are refused while something is kept" *
          doctest::skip(!fixtures::has_stand_in())) {
  Segmenter segmenter = counter_segmenter();
  const Golden golden(segmenter.manifest());
  Stream stream = segmenter.stream();
  Result result;
  stream.step(golden.image(0), &result);
  ImageView smaller = golden.image(0);
  smaller.size.height -= 3;
  CHECK_THROWS_WITH_AS(stream.step(smaller, &result),
                       doctest::Contains("a frame is 17x30 (height x width), those before it were 20x30"),
                       Error);
  stream.step(golden.image(0), &result);  // it goes on
  CHECK(result.labels != golden.at("labels", 0).bytes);
  stream.reset();
  stream.step(smaller, &result);
  CHECK(result.size == smaller.size);
}

TEST_CASE("a pipeline cannot begin with what no frame gave, nor run when it is not there") {
  const Manifest manifest = fixtures::counter_manifest();
  CountingEngine engine(manifest);
  Background background;
  TensorStream stream(manifest, &engine, &background);
  CHECK_THROWS_WITH_AS(stream.begin({&kNonkey}, manifest.image.size),
                       doctest::Contains("'follow' takes count of an earlier frame, and there was none"),
                       Error);
  CHECK_THROWS_WITH_AS(stream.begin({&kOther}, manifest.image.size), doctest::Contains("no pipeline 'main'"),
                       Error);
  CHECK_FALSE(stream.keeps());
  stream.begin({&kKey}, manifest.image.size);
  stream.run();
  CHECK(stream.keeps());
  for (int frame = 2; frame < 5; ++frame) {
    stream.begin({&kNonkey}, manifest.image.size);
    const FrameOutputs outputs = stream.run();
    REQUIRE(outputs.specs.size() == 3);
    CHECK(outputs.specs[1].name == "next_count");
    CHECK(outputs.values[1].as<float>()[0] == static_cast<float>(frame));
  }
  stream.reset();
  CHECK_THROWS_AS(stream.begin({&kNonkey}, manifest.image.size), Error);
}

TEST_CASE("tensors of a key frame that is computed in the background are taken when they are due") {
  const Manifest manifest = fixtures::counter_manifest();
  CountingEngine engine(manifest);
  Background background;
  TensorStream stream(manifest, &engine, &background);
  const auto count = [&](const StepPlan& plan) {
    stream.begin(plan, manifest.image.size);
    const FrameOutputs outputs = stream.run();
    return static_cast<int>(outputs.values[1].as<float>()[0]);
  };
  count({&kKey});
  CHECK(count({&kNonkey}) == 2);
  CHECK(count({&kNonkey, &kKey, 1}) == 3);  // 'start' gives 1, which the next frame takes
  CHECK(count({&kNonkey}) == 2);
  CHECK(count({&kNonkey, &kKey, 2}) == 3);
  for (const int expected : {4, 5, 6})
    CHECK(count({&kNonkey}) == expected);  // a later frame kept its own count
  CHECK(count({&kNonkey, &kKey, 1}) == 7);
  count({&kKey});
  for (const int expected : {2, 3, 4, 5}) CHECK(count({&kNonkey}) == expected);
  CHECK(count({&kNonkey, &kKey, 1}) == 6);
  stream.reset();
  CHECK_THROWS_AS(stream.begin({&kNonkey}, manifest.image.size), Error);
}

TEST_CASE("a tensor of another form is not handed on") {
  Manifest manifest = fixtures::counter_manifest();
  manifest.graphs.at("head").inputs[0].shape = {1, 2, 16, 25};
  CountingEngine engine(manifest);
  Background background;
  TensorStream stream(manifest, &engine, &background);
  stream.begin({&kKey}, manifest.image.size);
  CHECK_THROWS_WITH_AS(
      stream.run(),
      doctest::Contains("the graph 'head' takes 'features' as float32 [1, 2, 16, 25], and is "
                        "given float32 [1, 2, 16, 24]"),
      Error);
}

// The count of this frame, and that of the one before under another name.
TEST_CASE("what is kept may be what was kept under another name") {
  Manifest manifest = fixtures::counter_manifest();
  manifest.state["key"] = {{"count", "count"}, {"before", "count"}};
  manifest.state["nonkey"] = {{"before", "count"}, {"count", "next_count"}};
  manifest.graphs.at("head").inputs.push_back({"before", DType::kFloat32, {1}});
  manifest.pipelines["key"] = {"start"};
  CountingEngine engine(manifest);
  Background background;
  TensorStream stream(manifest, &engine, &background);
  stream.begin({&kKey}, manifest.image.size);
  stream.run();
  for (const float before : {1.0F, 1.0F, 2.0F, 3.0F}) {
    stream.begin({&kNonkey}, manifest.image.size);
    stream.run();
    CHECK(engine.before == before);
  }
}

TEST_CASE("a stream allocates nothing from the second frame on") {
  Manifest manifest = fixtures::counter_manifest();
  auto engine = std::make_unique<CountingEngine>(manifest);
  Segmenter segmenter(std::move(manifest), std::move(engine));
  const std::vector<std::uint8_t> pixels(20 * 30 * 3, 90);
  const ImageView image{pixels.data(), {20, 30}, 90, ColorOrder::kRgb};
  Stream stream = segmenter.stream();
  Result result;
  stream.step(image, &result);
  segmenter.run(image, &result);
  const std::size_t before = allocations();
  for (int frame = 2; frame < 7; ++frame) {
    stream.step(image, &result);
    CHECK(result.labels[0] == frame % 3);
  }
  stream.reset();
  stream.step(image, &result);
  segmenter.run(image, &result);
  CHECK(allocations() == before);
}
