#include <doctest/doctest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "files.h"
#include "fixtures.h"
#include "mobileseg/error.h"
#include "mobileseg/manifest.h"

using namespace mobileseg;
using Json = nlohmann::json;

namespace {

const std::string kFolder = "/artefacts/instance";

Json document() {
  return Json::parse(read_file(fixtures::root() + kFolder + "/deploy.json", 1 << 20));
}

void check_refused(const std::function<void(Json*)>& change, const char* reason) {
  Json changed = document();
  change(&changed["mobileseg"]);
  CAPTURE(reason);
  CHECK_THROWS_WITH_AS(Manifest::parse(changed.dump(), "deploy.json"), doctest::Contains(reason), Error);
}

}  // namespace

TEST_CASE("the manifest says what Python wrote") {
  const Manifest manifest = Manifest::read(fixtures::root() + kFolder);
  CHECK(manifest.task == Task::kInstance);
  CHECK(manifest.input.size == Size{138, 138});
  CHECK(manifest.input.scale == doctest::Approx(1.0 / 255));
  CHECK(manifest.classes.size() == 4);
  CHECK(manifest.palette.size() == 4);
  CHECK(manifest.outputs.size() == 4);
  CHECK(manifest.outputs[1].kind == OutputKind::kScores);
  CHECK(manifest.outputs[3].shape == Shape{1, 8, 35, 35});
  CHECK(manifest.detection.anchors == "anchors.npy");
  CHECK(manifest.detection.top_k == 200);
  CHECK(manifest.detection.threshold_after_nms);
  CHECK(manifest.golden == "golden.npz");
  CHECK(manifest.graph_file("main", "lite_x86").model == "model.x86.nb");
  CHECK_THROWS_WITH_AS(manifest.graph_file("main", "ncnn"), doctest::Contains("lite_arm, lite_x86"), Error);
  CHECK_THROWS_WITH_AS(manifest.graph_file("tail", "ncnn"), doctest::Contains("no graph 'tail'"), Error);
  CHECK_THROWS_WITH_AS(manifest.verified_path("other.nb"), doctest::Contains("not listed"), Error);
}

TEST_CASE("a manifest that cannot be used is refused with the field's name") {
  check_refused([](Json* d) { d->erase("input"); }, "'input' is missing");
  check_refused([](Json* d) { (*d)["format"] = 2; }, "format 2");
  check_refused([](Json* d) { (*d)["task"] = "video"; }, "mobileseg.task: 'video' is none of");
  check_refused([](Json* d) { (*d)["input"]["height"] = 0; }, "mobileseg.input.height");
  check_refused([](Json* d) { (*d)["input"]["height"] = 1e300; }, "mobileseg.input.height");
  check_refused([](Json* d) { (*d)["input"]["height"] = 1.5; }, "mobileseg.input.height");
  check_refused([](Json* d) { (*d)["input"]["width"] = "138"; }, "expected a number");
  check_refused([](Json* d) { (*d)["input"]["std"][1] = 0; }, "not positive");
  check_refused([](Json* d) { (*d)["input"]["mean"] = {1, 2}; }, "expected 3 numbers");
  check_refused([](Json* d) { (*d)["input"]["multiple"] = 7; }, "no multiple");
  check_refused([](Json* d) { (*d)["input"]["dtype"] = "uint8"; }, "does not normalise");
  check_refused([](Json* d) { (*d)["input"]["resize"]["rule"] = "area"; }, "bilinear-half-pixel-float32");
  check_refused([](Json* d) { (*d)["input"]["dynamic"] = true; }, "dynamic");
  check_refused([](Json* d) { (*d)["outputs"] = Json::array(); }, "no output");
  check_refused([](Json* d) { (*d)["outputs"][0]["kind"] = "depth"; }, "outputs[0].kind");
  check_refused([](Json* d) { (*d)["outputs"][0]["shape"] = {1, 1, 1, 1, 1, 1, 1}; }, "6 dimensions");
  check_refused([](Json* d) { (*d)["classes"] = Json::array(); }, "classes is empty");
  check_refused([](Json* d) { (*d)["palette"].erase(0); }, "3 colours for 4 classes");
  check_refused([](Json* d) { (*d)["palette"][0][0] = 256; }, "palette[0][0]");
  check_refused([](Json* d) { (*d)["golden"] = "other.npz"; }, "no sha256");
  check_refused([](Json* d) { (*d)["golden"] = "../golden.npz"; }, "outside the folder");
  check_refused([](Json* d) { (*d)["detection"]["nms"] = "soft"; }, "detection.nms");
  check_refused([](Json* d) { (*d)["detection"]["iou_threshold"] = 2; }, "from 0 to 1");
  check_refused([](Json* d) { d->erase("detection"); }, "'detection' is missing");
}

TEST_CASE("text that is no manifest is refused") {
  for (const std::string text :
       {"", "{", "[]", "null", "{\"mobileseg\": 3}", "{\"Deploy\": {}}", "\xff\xfe"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(Manifest::parse(text, "deploy.json"), Error);
  }
  const std::string deep(100000, '[');
  CHECK_THROWS_WITH_AS(Manifest::parse(deep, "deploy.json"), doctest::Contains("nested"), Error);
}

TEST_CASE("folders that are none, and files that were changed") {
  const std::string root = fixtures::root();
  CHECK_THROWS_WITH_AS(Manifest::read(root + "/nowhere"), doctest::Contains("no artefact folder"), Error);
  CHECK_THROWS_WITH_AS(Manifest::read(root), doctest::Contains("no deploy.json"), Error);

  const std::string copy = root + "/scratch/changed";
  make_folders(copy);
  const std::string source = root + "/artefacts/labels/";
  for (const char* name : {"deploy.json", "deploy.yaml", "golden.npz", "model.x86.nb", "model.arm.nb"}) {
    write_file(copy + "/" + name, read_file(source + name, 1 << 24));
  }
  CHECK(Manifest::read(copy).verified_path("golden.npz") == copy + "/golden.npz");
  write_file(copy + "/golden.npz", "something else");
  CHECK_THROWS_WITH_AS(Manifest::read(copy).verified_path("golden.npz"), doctest::Contains("sha256"), Error);
  write_file(copy + "/deploy.yaml", read_file(source + "deploy.yaml", 1 << 20) + "# by hand\n");
  CHECK_THROWS_WITH_AS(Manifest::read(copy), doctest::Contains("not written together"), Error);
}
