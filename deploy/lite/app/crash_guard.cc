#include "crash_guard.h"

#include <unistd.h>

#include <csignal>
#include <cstring>

#include "mobileseg/error.h"

namespace app {
namespace {

char message[512];
std::size_t message_length = 0;

// Only what POSIX allows inside a handler.
extern "C" void end_with_message(int /*signal*/) {
  if (write(STDERR_FILENO, message, message_length) < 0) {
    // There is nobody left to tell.
  }
  _exit(static_cast<int>(mobileseg::ErrorKind::kRuntime));
}

}  // namespace

void guard_against_crashes(const std::string& what) {
  const std::string text =
      "error: the inference engine ended the program " + what +
      "\n  hint: check that the .nb was written for this processor and by the version of Paddle "
      "Lite that this program runs; `mobileseg_lite selftest` replays a folder\n";
  message_length = text.size() < sizeof message ? text.size() : sizeof message;
  std::memcpy(message, text.data(), message_length);
  struct sigaction action {};
  action.sa_handler = end_with_message;
  // A stack that has overflowed cannot hold the handler either; the engine's threads have stacks of their own
  // anyway.
  for (const int number : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) {
    struct sigaction before {};
    sigaction(number, nullptr, &before);
    if (before.sa_handler == SIG_DFL) sigaction(number, &action, nullptr);  // sanitizers have their own
  }
}

}  // namespace app
