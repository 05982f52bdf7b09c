// Checks of an exported model among the fixtures that the tests of several tasks share.
#ifndef MOBILESEG_TESTS_ARTEFACT_CHECKS_H_
#define MOBILESEG_TESTS_ARTEFACT_CHECKS_H_

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "files.h"
#include "fixtures.h"
#include "golden.h"
#include "mobileseg/error.h"
#include "mobileseg/mobileseg.h"

namespace fixtures {

inline nlohmann::json deploy_json(const std::string& name) {
  return nlohmann::json::parse(mobileseg::read_file(artefact(name) + "/deploy.json", 1 << 20));
}

// That the manifest of a folder is refused for this reason once its own block has been changed.
inline void check_refused(const std::string& name, const std::function<void(nlohmann::json*)>& change,
                          const char* reason) {
  nlohmann::json changed = deploy_json(name);
  change(&changed["mobileseg"]);
  CAPTURE(reason);
  CHECK_THROWS_WITH_AS(mobileseg::Manifest::parse(changed.dump(), "deploy.json"), doctest::Contains(reason),
                       mobileseg::Error);
}

// That every stage of the self test is in order.
inline void check_selftest(const std::string& name) {
  CAPTURE(name);
  const mobileseg::Manifest manifest = mobileseg::Manifest::read(artefact(name));
  const std::unique_ptr<mobileseg::Engine> engine =
      mobileseg::make_engine(manifest, mobileseg::EngineOptions());
  for (const mobileseg::Check& check : mobileseg::selftest(manifest, engine.get())) {
    CAPTURE(check.stage);
    INFO(check.detail);
    CHECK(check.status == mobileseg::Check::Status::kOk);
  }
}

// That still images are key frames, by themselves and as streams of one frame; `check_objects` compares a
// result with an item of golden.npz that is a key frame.
inline void check_still_images(
    const std::string& name,
    const std::function<void(const mobileseg::Result&, const mobileseg::Golden&, int)>& check_objects) {
  mobileseg::Segmenter segmenter = mobileseg::Segmenter::open(artefact(name));
  const mobileseg::Golden golden(segmenter.manifest());
  mobileseg::Result result;
  for (const int item : {0, 3, 0}) {
    REQUIRE(golden.pipeline(item) == "key");
    segmenter.run(golden.image(item), &result);
    CHECK(result.pipeline == "key");
    check_objects(result, golden, item);
    mobileseg::Stream stream = segmenter.stream();
    stream.step(golden.image(item), &result);
    CHECK(result.pipeline == "key");
    check_objects(result, golden, item);
  }
}

}  // namespace fixtures

#endif  // MOBILESEG_TESTS_ARTEFACT_CHECKS_H_
