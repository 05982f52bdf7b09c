// Video networks with queries: tracks of kernels, masks, and whole streams as Python has them.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "allocation_counter.h"
#include "artefact_checks.h"
#include "fixtures.h"
#include "golden.h"
#include "kernel_tracks.h"
#include "mobileseg/error.h"
#include "mobileseg/mobileseg.h"
#include "query_masks.h"
#include "query_task.h"

using namespace mobileseg;
using Json = nlohmann::json;

namespace {

const char* const kFolders[] = {"queries", "queries_all", "queries_sure", "queries_lost", "queries_twice"};

std::vector<int> integers(const Array& array) {
  std::vector<int> found;
  for (std::int64_t i = 0; i < array.shape.count(); ++i)
    found.push_back(static_cast<int>(value_at(array.view(), i)));
  return found;
}

// Whether the bit of a pixel is set in a row of bits of `golden.npz`.
bool stored(const std::uint8_t* bits, std::size_t pixel) {
  return (bits[pixel / 8] >> (7 - pixel % 8) & 1) != 0;
}

// Pixels in which a mask differs from a row of bits.
std::size_t differing(const MaskRegion& region, const std::uint8_t* bytes, Size image,
                      const std::uint8_t* bits) {
  std::vector<std::uint8_t> whole(image.pixels(), 0);
  for (int y = 0; y < region.size.height; ++y) {
    for (int x = 0; x < region.size.width; ++x) {
      const auto row = static_cast<std::size_t>(region.top + y) * static_cast<std::size_t>(image.width);
      whole[row + static_cast<std::size_t>(region.left + x)] = *bytes++;
    }
  }
  std::size_t count = 0;
  for (std::size_t pixel = 0; pixel < whole.size(); ++pixel) {
    count += (whole[pixel] != 0) != stored(bits, pixel) ? 1U : 0U;
  }
  return count;
}

void check_objects(const Result& result, const Golden& golden, int item) {
  const std::vector<int> classes = integers(golden.at("result", item, "classes"));
  REQUIRE(result.instances.size() == classes.size());
  const std::size_t row = (result.size.pixels() + 7) / 8;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    CAPTURE(i);
    const Instance& one = result.instances[i];
    CHECK(one.label == classes[i]);
    CHECK(one.score == doctest::Approx(golden.at("result", item, "scores").as<float>()[i]).epsilon(1e-5));
    const float corners[4] = {one.box.x1, one.box.y1, one.box.x2, one.box.y2};
    for (std::size_t c = 0; c < 4; ++c)
      CHECK(corners[c] == golden.at("result", item, "boxes").as<float>()[4 * i + c]);
    CHECK(differing(one.mask, result.mask(one), result.size,
                    golden.at("result", item, "masks").as<std::uint8_t>() + i * row) == 0);
  }
}

void check_ids(const Result& result, const Golden& golden, int item, bool tracked) {
  if (!tracked) {
    for (const Instance& one : result.instances) CHECK(one.track_id == -1);
    return;
  }
  const std::vector<int> ids = integers(golden.at("result", item, "ids"));
  REQUIRE(result.instances.size() == ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) CHECK(result.instances[i].track_id == ids[i]);
}

// Frames of a video network without an engine: answers are what the test says.
struct Frame {
  explicit Frame(const Manifest& manifest, bool key) : specs(manifest.outputs_of()) {
    if (!key) {
      const auto answers = [](const OutputSpec& spec) {
        return spec.kind != kMaskFeatures && spec.kind != kFeatures;
      };
      specs.erase(std::remove_if(specs.begin(), specs.end(), answers), specs.end());
    }
    for (const OutputSpec& spec : specs) {
      memory.emplace_back(static_cast<std::size_t>(spec.shape.count()), 1.0F);
      shapes.push_back(spec.shape);
    }
  }

  std::size_t place(const std::string& kind) const {
    std::size_t found = 0;
    while (specs[found].kind != kind) ++found;
    return found;
  }

  void run(QueryObjects* objects, Result* result) {
    values.clear();
    for (std::size_t i = 0; i < specs.size(); ++i)
      values.push_back({memory[i].data(), DType::kFloat32, shapes[i]});
    const Size image{50, 61};
    Geometry where;
    where.image = image;
    where.input = {40, 56};
    objects->finish({specs, values}, where, result);
  }

  std::vector<OutputSpec> specs;
  std::vector<std::vector<float>> memory;
  std::vector<Shape> shapes;
  std::vector<TensorView> values;
};

void check_refused(const std::function<void(Json*)>& change, const char* reason) {
  fixtures::check_refused("queries", change, reason);
}

}  // namespace

TEST_CASE("kernels are given the ids that Python gives") {
  const std::map<std::string, Array> arrays = read_npz(fixtures::root() + "/kernels/kernels.npz");
  for (int number = 0; number < 4; ++number) {
    CAPTURE(number);
    const std::string name = "." + std::to_string(number);
    const auto* values = arrays.at("options" + name).as<double>();
    KernelOptions options;
    options.birth_score = static_cast<float>(values[0]);
    options.similarity = values[1];
    options.class_penalty = values[2];
    options.lost_keyframes = static_cast<int>(values[3]);
    options.momentum = static_cast<float>(values[4]);
    KernelTracks tracks(options);
    for (const int turn : {0, 1}) {  // it begins anew
      CAPTURE(turn);
      tracks.clear();
      for (int frame = 0; frame < 12; ++frame) {
        CAPTURE(frame);
        const std::string at = name + "." + std::to_string(frame);
        const std::vector<int> labels = integers(arrays.at("labels" + at));
        const KernelObjects objects{arrays.at("kernels" + at).as<float>(), labels.data(),
                                    arrays.at("scores" + at).as<float>(), labels.size(), 6};
        CHECK(tracks.associate(objects) == integers(arrays.at("ids" + at)));
      }
    }
  }
}

TEST_CASE("permutations of all queries are Python's") {
  const std::map<std::string, Array> arrays = read_npz(fixtures::root() + "/kernels/kernels.npz");
  for (int number = 0; number < 4; ++number) {
    CAPTURE(number);
    const std::string name = "." + std::to_string(number);
    const Array& previous = arrays.at("previous" + name);
    CHECK(permutation(previous.as<float>(), arrays.at("current" + name).as<float>(),
                      static_cast<std::size_t>(previous.shape[0]),
                      static_cast<std::size_t>(previous.shape[1])) == integers(arrays.at("order" + name)));
  }
}

TEST_CASE("masks of queries are Python's to the pixel") {
  const std::map<std::string, Array> arrays = read_npz(fixtures::root() + "/query_masks/masks.npz");
  for (int number = 0; number < 7; ++number) {
    CAPTURE(number);
    const std::string name = "." + std::to_string(number);
    const auto* numbers = arrays.at("numbers" + name).as<double>();
    const auto whole = [&](int place) { return static_cast<int>(numbers[place]); };
    const Size image{whole(3), whole(4)};
    QueryOptions options;
    options.mask_threshold = static_cast<float>(numbers[5]);
    options.resize_twice = numbers[6] != 0;
    const Array& features = arrays.at("features" + name);
    QueryMasks masks(options, whole(0), {whole(1), whole(2)});
    masks.start({features.as<float>(),
                 static_cast<std::size_t>(features.shape[0]),
                 {static_cast<int>(features.shape[1]), static_cast<int>(features.shape[2])}},
                image);
    const std::vector<int> rows = integers(arrays.at("rows" + name));
    const std::size_t bits = (image.pixels() + 7) / 8;
    for (int query = 0; query < 8; ++query) {
      CAPTURE(query);
      const float sure = masks.make(arrays.at("kernels" + name).as<float>() + 6 * query);
      CHECK(sure == doctest::Approx(arrays.at("sure" + name).as<float>()[query]).epsilon(1e-5));
      const MaskRegion region = masks.region();
      std::vector<std::uint8_t> bytes(region.size.pixels(), 7);
      masks.draw(region, bytes.data());
      const auto place = std::find(rows.begin(), rows.end(), query);
      if (place == rows.end()) {
        CHECK(std::count(bytes.begin(), bytes.end(), 0) == static_cast<std::ptrdiff_t>(bytes.size()));
      } else {
        CHECK(differing(region, bytes.data(), image,
                        arrays.at("masks" + name).as<std::uint8_t>() +
                            static_cast<std::size_t>(place - rows.begin()) * bits) == 0);
      }
    }
  }
}

TEST_CASE("objects, ids and key frames of whole streams equal Python's" *
          doctest::skip(!fixtures::has_stand_in())) {
  for (const char* name : kFolders) {
    for (const bool tracked : {false, true}) {
      const std::string folder = std::string(name) + (tracked ? "_tracked" : "");
      CAPTURE(folder);
      Segmenter segmenter = Segmenter::open(fixtures::artefact(folder));
      const Golden golden(segmenter.manifest());
      StreamOptions options;
      options.track = tracked;
      std::map<std::int64_t, Stream> streams;
      Result result;
      REQUIRE(golden.items() == 15);
      for (int item = 0; item < golden.items(); ++item) {
        CAPTURE(item);
        const std::int64_t number = golden.sequence(item);
        Stream& stream = streams.emplace(number, segmenter.stream(options)).first->second;
        stream.step(golden.image(item), &result);
        CHECK(result.pipeline == golden.pipeline(item));
        check_objects(result, golden, item);
        check_ids(result, golden, item, tracked);
      }
    }
  }
}

TEST_CASE("a still image is a key frame of a network with queries" *
          doctest::skip(!fixtures::has_stand_in())) {
  fixtures::check_still_images("queries", check_objects);
}

TEST_CASE("the self test replays streams of queries" * doctest::skip(!fixtures::has_stand_in())) {
  for (const char* name : {"queries", "queries_sure"}) fixtures::check_selftest(name);
}

TEST_CASE("the self test sees other options of queries") {
  Manifest manifest = Manifest::read(fixtures::artefact("queries"));
  auto settings = std::make_shared<QuerySettings>(*query_settings_of(manifest));
  settings->queries.score_threshold = 0.97F;
  manifest.settings = settings;
  const Check check = selftest(manifest, nullptr)[3];
  CHECK(check.status == Check::Status::kFailed);
  CHECK(check.detail.find("an object of class") != std::string::npos);
}

TEST_CASE("nothing is allocated after the first key frame of queries") {
  for (const char* name : kFolders) {
    CAPTURE(name);
    const Manifest manifest = Manifest::read(fixtures::artefact(name));
    QueryObjects objects(manifest);
    objects.track(TrackingOptions());
    Frame key(manifest, true), other(manifest, false);
    for (std::vector<float>& memory : key.memory) {
      for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i % 7) - 2;
    }
    Result result;
    key.run(&objects, &result);
    CHECK_FALSE(result.instances.empty());
    other.run(&objects, &result);
    const std::size_t before = allocations();
    for (int frame = 0; frame < 9; ++frame) (frame % 3 == 0 ? key : other).run(&objects, &result);
    CHECK(allocations() == before);
  }
}

TEST_CASE("answers of queries that fit nothing are refused") {
  const Manifest manifest = Manifest::read(fixtures::artefact("queries"));
  Result result;
  const auto refused = [&](const std::function<void(Frame*)>& change, const char* reason, bool key = true) {
    QueryObjects objects(manifest);
    Frame frame(manifest, key);
    change(&frame);
    CHECK_THROWS_WITH_AS(frame.run(&objects, &result), doctest::Contains(reason), Error);
  };
  refused([](Frame*) {}, "a stream begins with a key frame", false);
  for (const char* kind : {"kernels", "logits", "objectness", "mask_features"}) {
    refused([&](Frame* frame) { frame->memory[frame->place(kind)][1] = std::nanf(""); }, "no numbers");
    refused([&](Frame* frame) { frame->shapes[frame->place(kind)] = {1, 2}; }, "[1, 2]");
  }
  refused([](Frame* frame) { frame->shapes[frame->place("kernels")] = {1, 9, 10}; }, "kernels of length 10");
  refused([](Frame* frame) { frame->shapes[frame->place("logits")] = {1, 9, 2}; }, "and 3 classes");
  refused([](Frame* frame) { frame->specs[frame->place("mask_features")].kind = "features"; },
          "the graphs of this frame give no mask features");
}

TEST_CASE("a stream of queries without objects") {
  const Manifest manifest = Manifest::read(fixtures::artefact("queries"));
  QueryObjects objects(manifest);
  Frame key(manifest, true), other(manifest, false);
  for (float& value : key.memory[key.place("logits")]) value = -90;
  Result result;
  key.run(&objects, &result);
  CHECK(result.instances.empty());
  other.run(&objects, &result);
  CHECK(result.instances.empty());
  CHECK_FALSE(objects.stale());
}

TEST_CASE("options of tracking that kernels lack are refused") {
  QueryObjects objects(Manifest::read(fixtures::artefact("queries")));
  TrackingOptions options;
  options.max_age = 3;
  options.overlap = 0.5;
  CHECK_THROWS_WITH_AS(objects.track(options), doctest::Contains("without overlap, max_age"), Error);
  options = TrackingOptions();
  options.score = 0.05;
  options.low_score = 0.05;  // as --min_score 0.05 sets them
  CHECK_NOTHROW(objects.track(options));
}

TEST_CASE("the score of tracking is the one from which a track begins") {
  const Manifest manifest = Manifest::read(fixtures::artefact("queries"));
  Frame key(manifest, true);
  Result result;
  TrackingOptions options;
  for (const double score : {0.3, 0.9}) {
    QueryObjects objects(manifest);
    options.score = score;
    objects.track(options);
    key.run(&objects, &result);  // of a score of 0.73
    REQUIRE_FALSE(result.instances.empty());
    CHECK((result.instances[0].track_id >= 0) == (score < 0.5));
  }
}

TEST_CASE("the usual score of tracking leaves that of the model") {
  Manifest manifest = Manifest::read(fixtures::artefact("queries"));
  Frame key(manifest, true);
  auto settings = std::make_shared<QuerySettings>(*query_settings_of(manifest));
  settings->kernels.birth_score = 0.9F;
  manifest.settings = settings;
  Result result;
  TrackingOptions options;
  for (const double score : {options.score, static_cast<double>(0.3F), 0.31}) {
    QueryObjects objects(manifest);
    options.score = score;
    objects.track(options);
    key.run(&objects, &result);  // of a score of 0.73
    REQUIRE_FALSE(result.instances.empty());
    CHECK((result.instances[0].track_id >= 0) == (score > 0.305));
  }
}

TEST_CASE("a manifest of a network with queries that cannot be used is refused with the field's name") {
  const auto option = [](const char* section, const char* name, const Json& value) {
    return [=](Json* d) { (*d)["settings"][section][name] = value; };
  };
  check_refused(option("queries", "score_threshold", 1.5),
                "settings.queries.score_threshold: expected a number");
  check_refused(option("queries", "max_detections", 0), "settings.queries.max_detections");
  check_refused(option("queries", "rescore", 1), "settings.queries.rescore: expected true or false");
  check_refused(option("queries", "nms", "fast"), "settings.queries.nms: this program knows no such option");
  check_refused(option("kernels", "similarity", -2), "expected a number from -1 to 1");
  check_refused(option("kernels", "class_penalty", 3), "expected a number from 0 to 2");
  check_refused(option("kernels", "lost_keyframes", 1.5), "settings.kernels.lost_keyframes");
  check_refused(option("kernels", "age", 1), "settings.kernels.age: this program knows no such option");
  check_refused(option("keyframes", "delay", 2), "settings.keyframes.delay");
  check_refused([](Json* d) { (*d)["settings"].erase("mask_stride"); }, "'mask_stride' is missing");
  check_refused([](Json* d) { (*d)["settings"]["mask_stride"] = 0; }, "settings.mask_stride");
  check_refused([](Json* d) { (*d)["settings"]["category_ids"] = {1}; }, "1 numbers for 3 classes");
  check_refused([](Json* d) { (*d)["pipelines"].erase("nonkey"); }, "pipelines has no 'nonkey'");
  check_refused([](Json* d) { (*d)["graphs"]["instances"]["outputs"][0]["kind"] = "features"; },
                "outputs: kernels is missing, queries need it");
  Json changed = fixtures::deploy_json("queries");
  changed["mobileseg"]["settings"].erase("kernels");
  changed["mobileseg"]["settings"].erase("keyframes");
  const Manifest plain = Manifest::parse(changed.dump(), "deploy.json");
  CHECK(query_settings_of(plain)->keyframes.every == 5);
  CHECK(query_settings_of(plain)->kernels.lost_keyframes == 30);
}
