// The adapter of Paddle Lite against the stand-in runtime of standin/, well-behaved and not.
#include <doctest/doctest.h>

#include "artefact_checks.h"
#include "fixtures.h"
#include "golden.h"
#include "mobileseg/error.h"
#include "mobileseg/mobileseg.h"

using namespace mobileseg;

namespace {

void check_fault(const std::string& name, const std::string& reason) {
  CAPTURE(name);
  const auto run = [&] {
    Segmenter segmenter = Segmenter::open(fixtures::artefact(name));
    const Golden golden(segmenter.manifest());
    Result result;
    segmenter.run(golden.image(0), &result);
  };
  CHECK_THROWS_WITH_AS(run(), doctest::Contains(reason.c_str()), Error);
}

}  // namespace

TEST_CASE("without an engine a folder cannot be run, and the message says how to build one") {
  if (has_engine()) return;
  CHECK_THROWS_WITH_AS(Segmenter::open(fixtures::artefact("labels")), doctest::Contains("PADDLE_LITE_DIR"),
                       Error);
}

TEST_CASE("labels and instances come out as they were stored" * doctest::skip(!fixtures::has_stand_in())) {
  for (const char* name : {"labels", "dynamic", "instance"}) {
    CAPTURE(name);
    const Manifest manifest = Manifest::read(fixtures::artefact(name));
    CHECK(make_engine(manifest, EngineOptions())->version() == "v2.13-stand-in");
    fixtures::check_selftest(name);
  }
}

// The stand-in ends the process when a predictor sees a second size, as the real one may.
TEST_CASE("every size has a predictor of its own" * doctest::skip(!fixtures::has_stand_in())) {
  Segmenter segmenter = Segmenter::open(fixtures::artefact("dynamic"));
  const Golden golden(segmenter.manifest());
  Result result;
  for (int round = 0; round < 3; ++round) {
    for (int item = 0; item < golden.items(); ++item) {
      segmenter.run(golden.image(item), &result);
      CHECK(result.labels == golden.at("labels", item).bytes);
    }
  }
}

TEST_CASE("a runtime of another version is refused unless that is accepted" *
          doctest::skip(!fixtures::has_stand_in())) {
  CHECK_THROWS_WITH_AS(
      Segmenter::open(fixtures::artefact("other_version")),
      doctest::Contains("was written by Paddle Lite v2.10, this program runs Paddle Lite v2.13"), Error);
  CHECK_THROWS_WITH_AS(Segmenter::open(fixtures::artefact("fault_no_version")), doctest::Contains("develop"),
                       Error);
  EngineOptions options;
  options.any_version = true;
  options.threads = 3;
  options.power = PowerMode::kHigh;
  Segmenter segmenter = Segmenter::open(fixtures::artefact("other_version"), options);
  const Golden golden(segmenter.manifest());
  Result result;
  segmenter.run(golden.image(1), &result);
  CHECK(result.labels == golden.at("labels", 1).bytes);
  CHECK(result.times.preprocess >= 0);
}

TEST_CASE("a graph that is not the exported one is told apart" * doctest::skip(!fixtures::has_stand_in())) {
  check_fault("fault_type", "output 'labels' is float32 [1, 32, 48], the manifest says int32");
  check_fault("fault_shape", "output 'labels' is int32 [1, 32, 49]");
  check_fault("fault_no_output", "returned no output 'labels'");
  check_fault("fault_other_output", "has the outputs 'mask', the manifest says 'labels'");
  check_fault("fault_other_input", "has the inputs 'image', the manifest says 'x'");
  check_fault("fault_null", "Paddle Lite cannot load");
  check_fault("fault_throw_load", "cannot load");
  check_fault("fault_throw_run", "Paddle Lite failed: as the test asked");
}

TEST_CASE("a wrong value is found by the self test, with its place" *
          doctest::skip(!fixtures::has_stand_in())) {
  const Manifest manifest = Manifest::read(fixtures::artefact("fault_values"));
  const std::unique_ptr<Engine> engine = make_engine(manifest, EngineOptions());
  const Check check = selftest(manifest, engine.get())[2];
  CHECK(check.stage == "inference");
  CHECK(check.status == Check::Status::kFailed);
  CHECK(check.detail.find("image 0: output 'labels' differs in 1 of 1536 values, first at [0, ") == 0);
}

TEST_CASE("an engine that a folder does not have" * doctest::skip(!fixtures::has_stand_in())) {
  CHECK_THROWS_WITH_AS(Segmenter::open(fixtures::root() + "/instance/fast"),
                       doctest::Contains("file for graph 'main', it has none"), Error);
}
