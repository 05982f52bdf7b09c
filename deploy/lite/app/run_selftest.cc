#include <cstdio>
#include <memory>

#include "commands.h"
#include "mobileseg/mobileseg.h"

namespace app {

int run_selftest(const Options& options) {
  const mobileseg::Manifest manifest = mobileseg::Manifest::read(options.model);
  std::unique_ptr<mobileseg::Engine> engine;
  if (mobileseg::has_engine()) {
    engine = mobileseg::make_engine(manifest, options.engine);
    std::printf("%s on %s %s, %d threads\n", manifest.name.c_str(), engine->name().c_str(),
                engine->version().c_str(), options.engine.threads);
  } else {
    std::printf("%s, without an engine\n", manifest.name.c_str());
  }
  bool failed = false;
  for (const mobileseg::Check& check : mobileseg::selftest(manifest, engine.get())) {
    const char* word = check.status == mobileseg::Check::Status::kOk       ? "ok"
                       : check.status == mobileseg::Check::Status::kFailed ? "FAILED"
                                                                           : "skipped";
    std::printf("%-12s %-8s %s\n", check.stage.c_str(), word, check.detail.c_str());
    failed = failed || check.status == mobileseg::Check::Status::kFailed;
  }
  return failed ? static_cast<int>(mobileseg::ErrorKind::kDisagreement) : 0;
}

}  // namespace app
