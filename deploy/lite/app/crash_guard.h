// An engine that dies by a signal ends the program with a message and an exit code instead of a crash.
#ifndef MOBILESEG_APP_CRASH_GUARD_H_
#define MOBILESEG_APP_CRASH_GUARD_H_

#include <string>

namespace app {

// Installs handlers of fatal signals. `what` is printed with the signal: 'while model.arm.nb was loaded or
// run'.
void guard_against_crashes(const std::string& what);

}  // namespace app

#endif  // MOBILESEG_APP_CRASH_GUARD_H_
