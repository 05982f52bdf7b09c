// mobileseg_lite: segments images, videos and cameras with Paddle Lite.
#include <cstdio>
#include <exception>
#include <string>

#include "commands.h"
#include "crash_guard.h"
#include "mobileseg/engine.h"
#include "mobileseg/error.h"
#include "options.h"

namespace {

int run(const app::Options& options) {
  app::guard_against_crashes("while it loaded or ran the graph of " + options.model);
  if (options.verb == "image" || options.verb == "folder") return app::run_images(options);
  if (options.verb == "benchmark") return app::run_benchmark(options);
  if (options.verb == "selftest") return app::run_selftest(options);
  return app::run_video(options);
}

}  // namespace

int main(int count, char** arguments) {
  const std::string first = count > 1 ? arguments[1] : "";
  if (first == "--help" || first == "-h") {
    std::fputs(app::usage().c_str(), stdout);
    std::puts(mobileseg::has_engine()
                  ? "This program runs Paddle Lite."
                  : "This program was built without Paddle Lite: only selftest works, without inference.");
    return 0;
  }
  try {
    return run(app::parse(count, arguments));
  } catch (const mobileseg::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {  // out of memory, or OpenCV
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
