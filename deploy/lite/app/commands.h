// The verbs; each returns the exit code or throws mobileseg::Error.
#ifndef MOBILESEG_APP_COMMANDS_H_
#define MOBILESEG_APP_COMMANDS_H_

#include "options.h"

namespace app {

int run_images(const Options& options);
int run_video(const Options& options);
int run_benchmark(const Options& options);
int run_selftest(const Options& options);

}  // namespace app

#endif  // MOBILESEG_APP_COMMANDS_H_
