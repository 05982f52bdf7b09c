#include <doctest/doctest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "artefact_checks.h"
#include "files.h"
#include "fixtures.h"
#include "instance.h"
#include "mobileseg/error.h"
#include "mobileseg/manifest.h"
#include "mobileseg/selftest.h"
#include "nb_header.h"
#include "semantic.h"

using namespace mobileseg;
using Json = nlohmann::json;

namespace {

void check_refused(const std::function<void(Json*)>& change, const char* reason) {
  fixtures::check_refused("instance", change, reason);
}

}  // namespace

TEST_CASE("the manifest says what Python wrote") {
  const Manifest manifest = Manifest::read(fixtures::artefact("instance"));
  CHECK(manifest.task == "instance");
  CHECK(manifest.image.size == Size{138, 138});
  CHECK(manifest.image.scale == doctest::Approx(1.0 / 255));
  CHECK(manifest.classes.size() == 4);
  CHECK(manifest.palette.size() == 4);
  CHECK(manifest.outputs_of().size() == 4);
  CHECK(manifest.outputs_of()[1].kind == kinds::kScores);
  CHECK(manifest.outputs_of()[3].shape == Shape{1, 8, 35, 35});
  CHECK(detection_of(manifest).anchors == "anchors.npy");
  CHECK(detection_of(manifest).top_k == 200);
  CHECK(detection_of(manifest).threshold_after_nms);
  CHECK(manifest.golden == "golden.npz");
  CHECK(manifest.graph_file("main", "lite_x86").model == "model.x86.nb");
  CHECK_THROWS_WITH_AS(manifest.graph_file("main", "ncnn"), doctest::Contains("lite_arm, lite_x86"), Error);
  CHECK_THROWS_WITH_AS(manifest.graph_file("tail", "ncnn"), doctest::Contains("no graph 'tail'"), Error);
  CHECK_THROWS_WITH_AS(manifest.verified_path("other.nb"), doctest::Contains("not listed"), Error);
}

TEST_CASE("a manifest that cannot be used is refused with the field's name") {
  check_refused([](Json* d) { d->erase("image"); }, "'image' is missing");
  check_refused([](Json* d) { (*d)["format"] = 3; },
                "is written in format 3, this program reads formats 1 and 2");
  check_refused([](Json* d) { (*d)["format"] = 1.5; }, "is written in format 1.5");
  check_refused([](Json* d) { (*d)["format"] = "2"; }, "mobileseg.format: expected a number");
  check_refused([](Json* d) { (*d)["task"] = "depth"; },
                "no task 'depth', this program has instance, semantic, video");
  check_refused([](Json* d) { (*d)["image"]["height"] = 0; }, "mobileseg.image.height");
  check_refused([](Json* d) { (*d)["image"]["height"] = 1e300; }, "mobileseg.image.height");
  check_refused([](Json* d) { (*d)["image"]["height"] = 1.5; }, "mobileseg.image.height");
  check_refused([](Json* d) { (*d)["image"]["width"] = "138"; }, "expected a number");
  check_refused([](Json* d) { (*d)["image"]["std"][1] = 0; }, "not positive");
  check_refused([](Json* d) { (*d)["image"]["scale"] = 0; }, "not positive");
  check_refused([](Json* d) { (*d)["image"]["mean"] = {1, 2}; }, "expected 3 numbers");
  check_refused([](Json* d) { (*d)["image"]["multiple"] = 7; }, "no multiple");
  check_refused([](Json* d) { (*d)["image"]["dtype"] = "uint8"; }, "does not normalise");
  check_refused([](Json* d) { (*d)["image"]["resize"]["rule"] = "area"; }, "bilinear-half-pixel-float32");
  check_refused([](Json* d) { (*d)["image"]["resize"]["mode"] = "crop"; }, "keep-ratio");
  check_refused([](Json* d) { (*d)["image"]["resize"]["mode"] = "keep-ratio"; }, "stretching alone");
  check_refused([](Json* d) { (*d)["image"]["resize"]["padding"] = {1}; }, "expected 3 numbers");
  check_refused([](Json* d) { (*d)["image"]["channels"] = 4; },
                "images of 4 channels, this program those of 3");
  check_refused([](Json* d) { (*d)["image"]["channels"] = 9; }, "from 1 to 4");
  check_refused(
      [](Json* d) {
        (*d)["image"]["range"] = {0, 4095};
      },
      "pixels of 0 to 4095, this program those of 0 to 255");
  check_refused([](Json* d) { (*d)["image"]["range"] = 255; }, "expected a list");
  check_refused([](Json* d) { (*d)["image"]["dynamic"] = true; }, "dynamic");
  check_refused([](Json* d) { (*d)["graphs"]["main"]["outputs"] = Json::array(); }, "no output");
  check_refused([](Json* d) { (*d)["graphs"]["main"]["outputs"][0]["kind"] = "depth"; },
                "coefficients, depth, prototypes, scores is given");
  check_refused([](Json* d) { (*d)["graphs"]["main"]["outputs"][0]["shape"] = {1, 1, 1, 1, 1, 1, 1}; },
                "6 dimensions");
  check_refused([](Json* d) { (*d)["graphs"]["main"]["outputs"][0]["upsample"] = {1}; },
                "expected 2 numbers");
  check_refused([](Json* d) { (*d)["graphs"]["main"]["inputs"][0]["dtype"] = "int4"; }, "'int4' is none of");
  check_refused([](Json* d) { (*d)["graphs"]["main"]["inputs"][0]["name"] = "y"; },
                "pipelines.main: the graph 'main' takes y, which nothing before it gives");
  check_refused(
      [](Json* d) {
        (*d)["graphs"]["main"]["files"]["ncnn"] = {{"precision", "int8"}};
      },
      "no file is named");
  check_refused(
      [](Json* d) {
        (*d)["graphs"]["main"]["files"]["ncnn"] = {{"param", "../a"}};
      },
      "outside the folder");
  check_refused([](Json* d) { (*d)["graphs"] = Json::object(); },
                "pipelines.main names the graph 'main', there is none");
  check_refused([](Json* d) { (*d)["pipelines"] = Json::object(); }, "pipelines is empty");
  check_refused([](Json* d) { (*d)["pipelines"] = {{"components", {"main"}}}; }, "pipelines is empty");
  check_refused([](Json* d) { (*d)["pipelines"] = {{"key", {"main"}}}; }, "pipelines has no 'main'");
  check_refused([](Json* d) { (*d)["pipelines"]["main"] = Json::array(); }, "pipelines.main names no graph");
  check_refused(
      [](Json* d) {
        (*d)["pipelines"]["main"] = {"main", "tail"};
      },
      "pipelines.main names the graph 'tail', there is main");
  check_refused([](Json* d) { (*d)["pipelines"]["main"] = {"main", "main"}; }, "'main' twice");
  check_refused([](Json* d) { (*d)["state"] = {{"key", {{"a", "loc"}}}}; }, "state names the pipeline 'key'");
  check_refused(
      [](Json* d) {
        (*d)["state"] = {{"main", {{"a", "b"}}}};
      },
      "state.main keeps 'b', which no graph of that pipeline gives");
  check_refused([](Json* d) { (*d)["classes"] = Json::array(); }, "classes is empty");
  check_refused(
      [](Json* d) {
        (*d)["classes"] = Json::array();
        (*d)["classes"][255] = "a";
        for (Json& name : (*d)["classes"]) name = "a";
      },
      "256 classes, expected 1 to 255");
  check_refused([](Json* d) { (*d)["palette"].erase(0); }, "3 colours for 4 classes");
  check_refused([](Json* d) { (*d)["palette"][0][0] = 256; }, "palette[0][0]");
  check_refused([](Json* d) { (*d)["golden"] = "other.npz"; }, "no sha256");
  check_refused([](Json* d) { (*d)["golden"] = "../golden.npz"; }, "outside the folder");
  check_refused([](Json* d) { (*d)["least_equal"] = 2; }, "least_equal");
  check_refused([](Json* d) { (*d)["settings"]["detection"]["nms"] = "soft"; }, "detection.nms");
  check_refused([](Json* d) { (*d)["settings"]["detection"]["iou_threshold"] = 2; }, "from 0 to 1");
  check_refused(
      [](Json* d) {
        (*d)["settings"]["detection"]["variances"] = {0.1, 0};
      },
      "above 0 and up to 100");
  check_refused([](Json* d) { (*d)["settings"]["detection"]["anchors"] = "other.npy"; }, "no sha256");
  check_refused([](Json* d) { (*d)["settings"]["detection"].erase("anchors"); }, "relative to anchors");
  check_refused([](Json* d) { (*d)["settings"]["category_ids"] = {1}; }, "1 numbers for 4 classes");
  check_refused([](Json* d) { d->erase("settings"); }, "has no settings.detection");
  check_refused([](Json* d) { (*d)["settings"] = Json::object(); }, "'detection' is missing");
}

TEST_CASE("what a semantic segmentation model cannot be") {
  const auto refused = [](const std::function<void(Json*)>& change, const char* reason) {
    fixtures::check_refused("labels", change, reason);
  };
  refused([](Json* d) { (*d)["settings"] = {{"detection", 1}}; }, "'detection' does not belong");
  refused([](Json* d) { (*d)["graphs"]["main"]["outputs"][0]["kind"] = "boxes"; },
          "graphs.main.outputs has boxes, a semantic segmentation graph returns");
  refused([](Json* d) { (*d)["graphs"]["main"]["outputs"][0]["shape"] = {1, 2}; }, "[1, H, W]");
  refused([](Json* d) { (*d)["graphs"]["main"]["outputs"][0]["upsample"] = {1, 2}; }, "cannot be upsampled");
  refused(
      [](Json* d) {
        (*d)["graphs"]["main"]["outputs"][0]["kind"] = "logits";
        (*d)["graphs"]["main"]["outputs"][0]["shape"] = {1, 3, 32, 48};
      },
      "has 3 channels for 5 classes");
  refused(
      [](Json* d) {
        (*d)["image"]["resize"]["mode"] = "keep-ratio";
        (*d)["image"]["dynamic"] = true;
      },
      "needs a fixed size");
}

// The folders of tests/reference: what the first version of the format looked like.
TEST_CASE("manifests of format 1 are read") {
  const std::string root = fixtures::root() + "/format1/";
  const Manifest labels = Manifest::read(root + "format1_semantic");
  CHECK(labels.task == "semantic");
  CHECK(labels.image.size == Size{48, 64});
  CHECK(labels.pipelines.at("main") == std::vector<std::string>{"main"});
  CHECK(labels.graph("main").inputs[0].shape == Shape{1, 3, 48, 64});
  CHECK(labels.graph_file("main", "lite_x86").model == "model.x86.nb");
  CHECK(labels.outputs_of()[0].kind == kinds::kLabels);
  CHECK(labels.verified_path("model.x86.nb") == root + "format1_semantic/model.x86.nb");
  const Manifest objects = Manifest::read(root + "format1_instance");
  CHECK(detection_of(objects).anchors == "anchors.npy");
  CHECK(objects.category_ids == std::vector<int>{1, 3, 9, 27, 90});
  CHECK(objects.outputs_of().size() == 4);
  for (const Manifest* manifest : {&labels, &objects}) {
    CHECK(nb_version(manifest->path("model.x86.nb")) == "v2.13-rc");  // real files
    for (const Check& check : selftest(*manifest, nullptr)) {
      CAPTURE(check.stage);
      INFO(check.detail);
      CHECK(check.status != Check::Status::kFailed);
    }
  }

  Json old = Json::parse(read_file(root + "format1_semantic/deploy.json", 1 << 20));
  old["mobileseg"].erase("task");                                         // the first ones did not write it
  old["mobileseg"]["components"] = {{{"name", "head"}, {"model", "a"}}};  // graphs of Paddle alone
  CHECK(Manifest::parse(old.dump(), "old").task == "semantic");
  old["mobileseg"]["input"]["dynamic"] = true;
  old["mobileseg"]["input"]["resize"]["mode"] = "none";
  CHECK(Manifest::parse(old.dump(), "old").graph("main").inputs[0].shape == Shape{1, 3, -1, -1});
  old["mobileseg"]["input"] = 3;
  CHECK_THROWS_WITH_AS(Manifest::parse(old.dump(), "old"), doctest::Contains("mobileseg.image"), Error);
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
