#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "compare.h"
#include "files.h"
#include "fixtures.h"
#include "golden.h"
#include "instance_settings.h"
#include "mobileseg/error.h"
#include "mobileseg/selftest.h"
#include "npz.h"
#include "tasks.h"

using namespace mobileseg;

namespace {

using Status = Check::Status;

std::vector<Check> tested(const Manifest& manifest) {
  return selftest(manifest, nullptr);
}

}  // namespace

TEST_CASE("an untouched folder passes without an engine") {
  for (const char* name : {"labels", "dynamic", "instance", "decoder", "decoder_mixed"}) {
    CAPTURE(name);
    const std::vector<Check> checks = tested(Manifest::read(fixtures::artefact(name)));
    REQUIRE(checks.size() == 4);
    for (const Check& check : checks) {
      CAPTURE(check.stage);
      INFO(check.detail);
      CHECK(check.status == (check.stage == "inference" ? Status::kSkipped : Status::kOk));
    }
  }
}

TEST_CASE("another mean is seen by the preprocessing, with the first place") {
  Manifest manifest = Manifest::read(fixtures::artefact("labels"));
  manifest.image.mean[1] += 0.01;
  const std::vector<Check> checks = tested(manifest);
  CHECK(checks[1].status == Status::kFailed);
  CHECK(checks[1].detail.find("image 0: the input differs, first at [0, 1, 0, 0]") == 0);
  CHECK(checks[3].status == Status::kOk);
}

TEST_CASE("another label than that of the decoder's end is seen, but for one of two that are close") {
  Manifest manifest = Manifest::read(fixtures::artefact("decoder_bad"));
  const Check check = tested(manifest)[3];
  CHECK(check.status == Status::kFailed);
  CHECK(check.detail.find("image 0: 1 of 2400 labels differ, first at [3, 7]") == 0);
  std::map<std::string, Array> arrays = read_npz(fixtures::artefact("decoder_bad") + "/golden.npz");
  for (const char* name : {"close.0", "close.1"})
    std::fill(arrays.at(name).bytes.begin(), arrays.at(name).bytes.end(), std::uint8_t{1});
  const std::vector<OutputSpec> outputs = manifest.outputs_of();
  CHECK(task_of(manifest.task).replay(manifest, outputs, Golden(arrays, "golden.npz")).status == Status::kOk);
}

TEST_CASE("another threshold is seen by the postprocessing") {
  Manifest manifest = Manifest::read(fixtures::artefact("instance"));
  auto settings = std::make_shared<InstanceSettings>();
  settings->detection = detection_of(manifest);
  settings->detection.mask_threshold = 0.9F;
  manifest.settings = settings;
  CHECK(tested(manifest)[3].detail.find("the mask's overlap") != std::string::npos);
  settings->detection.score_threshold = 0.9F;
  const Check check = tested(manifest)[3];
  CHECK(check.status == Status::kFailed);
  CHECK(check.detail.find("instances instead of") != std::string::npos);
}

TEST_CASE("a missing file is reported, an absent reference is an error") {
  Manifest manifest = Manifest::read(fixtures::artefact("labels"));
  manifest.files["model.onnx"] = std::string(64, '0');
  CHECK(tested(manifest)[0].detail.find("1 files are not here") != std::string::npos);
  manifest.files["model.x86.nb"] = std::string(64, '0');
  CHECK(tested(manifest)[0].status == Status::kFailed);
  manifest.golden.clear();
  CHECK_THROWS_WITH_AS(tested(manifest), doctest::Contains("no golden file"), Error);
}

TEST_CASE("comparison of arrays") {
  const float ours[6] = {0, 1, 2, 3, 4, 5};
  const float theirs[6] = {0, 1, 2.5F, 3, 4, 9};
  const TensorView a{ours, DType::kFloat32, {1, 2, 3}};
  const TensorView b{theirs, DType::kFloat32, {1, 2, 3}};
  const Difference difference = compare(a, b, 0.1);
  CHECK(difference.off == 2);
  CHECK(difference.largest == 4);
  CHECK(difference.where == "at [0, 0, 2] 2 instead of 2.5");
  const std::uint8_t excused[6] = {0, 0, 1, 0, 0, 1};
  CHECK(compare(a, b, 0.1, Subsample(), excused).same);
  CHECK(compare(a, {theirs, DType::kFloat32, {6}}, 0.1).where == "shape [1, 2, 3] instead of [6]");
  const float thin[2] = {0, 2};
  CHECK(compare(a, {thin, DType::kFloat32, {1, 1, 2}}, 0, {2, 1, 2}).same);
}

TEST_CASE("a reference without an array says which") {
  CHECK_THROWS_WITH_AS(Golden({}, "golden.npz"), doctest::Contains("no image"), Error);
  Array image;
  image.dtype = DType::kUint8;
  image.shape = {1, 1, 3};
  image.bytes.resize(3);
  const Golden golden({{"image.0", image}}, "golden.npz");
  CHECK(golden.items() == 1);
  CHECK_THROWS_WITH_AS(golden.at("output", 0, "labels"), doctest::Contains("lacks 'output.0.labels'"), Error);
  CHECK_THROWS_AS(golden.scalar("image", 0), Error);
}
