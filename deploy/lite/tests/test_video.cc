// Streams of a video network: which frames are key frames, what they give, and what a stream must not do.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "allocation_counter.h"
#include "artefact_checks.h"
#include "fixtures.h"
#include "golden.h"
#include "memory_engine.h"
#include "mobileseg/error.h"
#include "mobileseg/mobileseg.h"
#include "video_settings.h"

using namespace mobileseg;
using Json = nlohmann::json;

namespace {

const char* const kFolders[] = {"video",      "video_all",   "video_cut", "video_lost",
                                "video_each", "video_delay", "video_late"};

const KeyframeRule& rule_of(const Manifest& manifest) {
  return static_cast<const VideoSettings&>(*manifest.settings).keyframes;
}

// Answers of memory that is there already: the heads give those of a stored frame, the others zeros.
class ReplayEngine : public fixtures::MemoryEngine {
 public:
  ReplayEngine(const Manifest& manifest, const Golden& golden, int item) {
    for (const std::string& name : manifest.deployed()) {
      Graph& graph = graphs_[name];
      graph.outputs = manifest.graph(name).outputs;
      for (const OutputSpec& spec : graph.outputs) {
        graph.memory.emplace_back(static_cast<std::size_t>(spec.shape.count()) * size_of(spec.dtype), 0);
        if (spec.kind != kFeatures) graph.memory.back() = golden.at("output", item, spec.name).bytes;
      }
      for (std::size_t i = 0; i < graph.outputs.size(); ++i)
        graph.views.push_back({graph.memory[i].data(), graph.outputs[i].dtype, graph.outputs[i].shape});
    }
  }
  const std::vector<OutputSpec>& outputs(const std::string& graph) const override {
    return graphs_.at(graph).outputs;
  }
  const std::vector<TensorView>& run(const std::string& name) override {
    if (name == failing) throw Error(ErrorKind::kRuntime, "as the test asked");
    return graphs_.at(name).views;
  }

  std::string failing;  // graph

 private:
  struct Graph {
    std::vector<OutputSpec> outputs;
    std::vector<std::vector<std::uint8_t>> memory;
    std::vector<TensorView> views;
  };
  std::map<std::string, Graph> graphs_;
};

struct Replayed {
  explicit Replayed(const std::string& name) : Replayed(Manifest::read(fixtures::artefact(name))) {}

  explicit Replayed(Manifest manifest)
      : golden(manifest), segmenter(manifest, std::make_unique<ReplayEngine>(manifest, golden, 0)) {}

  ReplayEngine& engine() {
    return const_cast<ReplayEngine&>(static_cast<const ReplayEngine&>(segmenter.engine()));
  }

  const Golden golden;
  Segmenter segmenter;
};

void check_objects(const Result& result, const Golden& golden, int item) {
  const Array& boxes = golden.at("result", item, "boxes");
  const Array& classes = golden.at("result", item, "classes");
  REQUIRE(static_cast<std::int64_t>(result.instances.size()) == classes.shape[0]);
  for (std::size_t i = 0; i < result.instances.size(); ++i) {
    CAPTURE(i);
    const Instance& one = result.instances[i];
    CHECK(one.label == static_cast<int>(classes.as<std::int64_t>()[i]));
    CHECK(one.score == golden.at("result", item, "scores").as<float>()[i]);
    const float corners[4] = {one.box.x1, one.box.y1, one.box.x2, one.box.y2};
    for (std::size_t c = 0; c < 4; ++c) CHECK(std::fabs(corners[c] - boxes.as<float>()[4 * i + c]) <= 1e-4F);
  }
}

void check_refused(const std::function<void(Json*)>& change, const char* reason) {
  fixtures::check_refused("video_each", change, reason);
}

}  // namespace

TEST_CASE("key frames and objects of whole streams equal Python's" *
          doctest::skip(!fixtures::has_stand_in())) {
  for (const char* name : kFolders) {
    CAPTURE(name);
    Segmenter segmenter = Segmenter::open(fixtures::artefact(name));
    CHECK(segmenter.form() == ResultForm::kInstances);
    const Golden golden(segmenter.manifest());
    std::map<std::int64_t, Stream> streams;
    Result result;
    int keys = 0;
    for (int item = 0; item < golden.items(); ++item) {
      CAPTURE(item);
      const std::int64_t number = golden.sequence(item);
      Stream& stream = streams.emplace(number, segmenter.stream()).first->second;
      stream.step(golden.image(item), &result);
      CHECK(result.pipeline == golden.pipeline(item));
      check_objects(result, golden, item);
      keys += result.pipeline == "key" ? 1 : 0;
    }
    CHECK(streams.size() == 2);
    CHECK(keys >= (rule_of(segmenter.manifest()).delay > 0 ? 2 : 4));
    CHECK(golden.items() == 15);
  }
}

TEST_CASE("streams may take turns" * doctest::skip(!fixtures::has_stand_in())) {
  Segmenter segmenter = Segmenter::open(fixtures::artefact("video_each"));
  const Golden golden(segmenter.manifest());
  Stream first = segmenter.stream();
  Stream second = segmenter.stream();
  Result result;
  for (int frame = 0; frame < 5; ++frame) {
    for (const bool other : {false, true}) {
      Stream& stream = other ? second : first;
      const int item = other ? 10 + frame : frame;
      stream.step(golden.image(item), &result);
      CHECK(result.pipeline == golden.pipeline(item));
      check_objects(result, golden, item);
    }
  }
}

// The answers of the stand-in depend on the key frame in use, so a stream that took another's would not equal
// Python's.
TEST_CASE("streams whose key frames are computed in the background may take turns, end and begin again" *
          doctest::skip(!fixtures::has_stand_in())) {
  Segmenter segmenter = Segmenter::open(fixtures::artefact("video_delay"));
  const Golden golden(segmenter.manifest());
  Result result;
  for (int round = 0; round < 20; ++round) {
    Stream first = segmenter.stream();
    auto second = std::make_unique<Stream>(segmenter.stream());
    for (int frame = 0; frame < 5; ++frame) {
      for (Stream* stream : {&first, second.get()}) {
        const int item = stream == &first ? frame : 10 + frame;
        stream->step(golden.image(item), &result);
        CHECK(result.pipeline == golden.pipeline(item));
        check_objects(result, golden, item);
      }
      if (frame == 3 + round % 2) first.reset();  // with or without a key frame on the way
      if (frame == 3 + round % 2) break;
    }
    second.reset();
    first.step(golden.image(0), &result);
    CHECK(result.pipeline == "key");
    check_objects(result, golden, 0);
  }
}

TEST_CASE("what fails in the background is said by the frame that would take it") {
  Replayed replayed("video_delay");
  Stream stream = replayed.segmenter.stream();
  Result result;
  const ImageView image = replayed.golden.image(0);
  for (int frame = 0; frame < 3; ++frame) stream.step(image, &result);
  replayed.engine().failing = "deep";
  stream.step(image, &result);  // a key frame is begun
  stream.step(image, &result);
  CHECK_THROWS_AS(stream.step(image, &result), Error);
  replayed.engine().failing = "";
  stream.step(image, &result);  // on the old key frame
  CHECK(result.pipeline == "nonkey");
}

TEST_CASE("a still image is a key frame, and so is a stream of one frame" *
          doctest::skip(!fixtures::has_stand_in())) {
  fixtures::check_still_images("video", check_objects);
}

TEST_CASE("the self test replays the streams of a video network" * doctest::skip(!fixtures::has_stand_in())) {
  for (const char* name : {"video_lost", "video_each"}) fixtures::check_selftest(name);
}

TEST_CASE("the self test compares tensors between graphs" * doctest::skip(!fixtures::has_stand_in())) {
  Manifest manifest = Manifest::read(fixtures::artefact("video"));
  const std::unique_ptr<Engine> engine = make_engine(manifest, EngineOptions());
  std::swap(manifest.state["key"]["key_reduced"], manifest.state["key"]["key_level4"]);
  std::vector<Check> checks = selftest(manifest, engine.get());
  CHECK(checks[2].status == Check::Status::kFailed);  // tensors of another form
  manifest = Manifest::read(fixtures::artefact("video"));
  for (double& mean : manifest.image.mean) mean += 40;  // other frames, for the stand-in
  checks = selftest(manifest, engine.get());
  CHECK(checks[1].status == Check::Status::kFailed);
  CHECK(checks[2].status == Check::Status::kFailed);
  CHECK(checks[2].detail.find("output 'feature' differs") != std::string::npos);
}

TEST_CASE("frames of another size are refused until the stream is reset") {
  Replayed replayed("video_each");
  Stream stream = replayed.segmenter.stream();
  Result result;
  ImageView smaller = replayed.golden.image(0);
  smaller.size.height -= 3;
  stream.step(replayed.golden.image(0), &result);
  CHECK_THROWS_WITH_AS(stream.step(smaller, &result),
                       doctest::Contains("a frame is 37x56 (height x width), those before it were 40x56"),
                       Error);
  stream.step(replayed.golden.image(0), &result);  // it goes on
  CHECK(result.pipeline == "nonkey");
  stream.reset();
  stream.step(smaller, &result);
  CHECK(result.pipeline == "key");
  CHECK(result.size == smaller.size);
}

TEST_CASE("after an engine failed in a key frame, the next frame is one") {
  Replayed replayed("video");
  Stream stream = replayed.segmenter.stream();
  Result result;
  const ImageView image = replayed.golden.image(0);
  replayed.engine().failing = "deep";
  CHECK_THROWS_AS(stream.step(image, &result), Error);
  replayed.engine().failing = "";
  stream.step(image, &result);
  CHECK(result.pipeline == "key");
  replayed.engine().failing = "flow";
  CHECK_THROWS_AS(stream.step(image, &result), Error);
  replayed.engine().failing = "";
  stream.step(image, &result);
  CHECK(result.pipeline == "nonkey");
}

TEST_CASE("nothing is allocated after the first key frame and the first other one") {
  for (const char* name : kFolders) {
    CAPTURE(name);
    Replayed replayed(name);
    const Painter painter(replayed.segmenter.manifest());
    Stream stream = replayed.segmenter.stream();
    Result result;
    std::vector<std::uint8_t> pixels(40 * 56 * 3, 100);
    const ImageView image{pixels.data(), {40, 56}, 168, ColorOrder::kBgr};
    stream.step(image, &result);
    CHECK(result.pipeline == "key");
    CHECK_FALSE(result.instances.empty());
    stream.step(image, &result);
    const KeyframeRule& rule = rule_of(replayed.segmenter.manifest());
    if (rule.delay > 0) {  // and the first one in the background
      for (int frame = 0; frame < rule.every + rule.delay; ++frame) stream.step(image, &result);
    }
    const std::size_t before = allocations();
    int keys = 0;
    for (int frame = 0; frame < 12; ++frame) {
      if (frame == 9) stream.reset();
      stream.step(image, &result);
      painter.draw(result, pixels.data(), image.stride, image.order);
      keys += result.pipeline == "key" ? 1 : 0;
    }
    CHECK(allocations() == before);
    CHECK(keys >= 1);
  }
}

TEST_CASE("a pipeline without an output that objects need is refused") {
  Manifest manifest = Manifest::read(fixtures::artefact("video"));
  manifest.pipelines["nonkey"] = {"stem", "flow"};
  Replayed replayed(manifest);
  Stream stream = replayed.segmenter.stream();
  Result result;
  stream.step(replayed.golden.image(0), &result);
  CHECK_THROWS_WITH_AS(stream.step(replayed.golden.image(0), &result),
                       doctest::Contains("the graphs of this frame give no boxes"), Error);
}

TEST_CASE("the settings say when a frame is a key frame") {
  CHECK(rule_of(Manifest::read(fixtures::artefact("video"))).every == 3);
  CHECK(rule_of(Manifest::read(fixtures::artefact("video"))).scene_cut == 0);
  const KeyframeRule each = rule_of(Manifest::read(fixtures::artefact("video_each")));
  CHECK(each.every == 4);
  CHECK(each.scene_cut == 0.12);
  CHECK(each.lost_objects == 0.3);
  Json changed = fixtures::deploy_json("video_each");
  changed["mobileseg"]["settings"]["keyframes"] = {{"scene_cut", nullptr}, {"lost_objects", 1}, {"delay", 0}};
  const KeyframeRule some = rule_of(Manifest::parse(changed.dump(), "deploy.json"));
  CHECK(some.every == 5);
  CHECK(some.scene_cut == 0);
  CHECK(some.lost_objects == 1);
  changed["mobileseg"]["settings"].erase("keyframes");
  CHECK(rule_of(Manifest::parse(changed.dump(), "deploy.json")).every == 5);
}

TEST_CASE("a manifest of a video network that cannot be used is refused with the field's name") {
  const auto rule = [](const char* name, const Json& value) {
    return [=](Json* d) { (*d)["settings"]["keyframes"][name] = value; };
  };
  check_refused(rule("every", 0), "settings.keyframes.every: expected a whole number from 1");
  check_refused(rule("every", 2.5), "settings.keyframes.every");
  check_refused(rule("every", nullptr), "settings.keyframes.every: expected a number, found null");
  check_refused(rule("scene_cut", 0), "settings.keyframes.scene_cut: expected a number above 0 and up to 1");
  check_refused(rule("lost_objects", 1.5), "settings.keyframes.lost_objects");
  check_refused(rule("lost_objects", "all"), "expected a number");
  check_refused(rule("delay", -1), "settings.keyframes.delay: expected a whole number from 0");
  check_refused(rule("delay", 4),
                "settings.keyframes: delay is 4 and every is 4: a key frame must be used before");
  check_refused(rule("blur", 0.5), "settings.keyframes.blur: this program knows no such condition");
  check_refused([](Json* d) { (*d)["settings"]["keyframes"] = 5; }, "settings.keyframes: expected an object");
  check_refused([](Json* d) { (*d)["pipelines"].erase("nonkey"); }, "pipelines has no 'nonkey'");
  check_refused(
      [](Json* d) {
        (*d)["pipelines"]["main"] = (*d)["pipelines"]["key"], (*d)["pipelines"].erase("key"),
        (*d).erase("state"), (*d)["pipelines"]["nonkey"] = {"stem"};
      },
      "pipelines has no 'key'");
  check_refused([](Json* d) { d->erase("state"); }, "takes key_reduced, which nothing before it gives");
  check_refused([](Json* d) { d->erase("settings"); }, "has no settings.detection");
  check_refused([](Json* d) { (*d)["settings"]["category_ids"] = {1}; }, "1 numbers for 3 classes");
}
