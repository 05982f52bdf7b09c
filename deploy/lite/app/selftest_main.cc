// mobileseg_selftest: the verb selftest alone, for systems without OpenCV.
#include <cstdio>
#include <exception>

#include "commands.h"
#include "crash_guard.h"
#include "mobileseg/error.h"
#include "options.h"

int main(int count, char** arguments) {
  try {
    std::vector<const char*> words(arguments, arguments + count);
    words.insert(words.begin() + (count > 0 ? 1 : 0), "selftest");
    const app::Options options = app::parse(static_cast<int>(words.size()), words.data());
    app::guard_against_crashes("while it loaded or ran the graph of " + options.model);
    return app::run_selftest(options);
  } catch (const mobileseg::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
