// The command line.
#ifndef MOBILESEG_APP_OPTIONS_H_
#define MOBILESEG_APP_OPTIONS_H_

#include <string>
#include <vector>

#include "mobileseg/engine.h"

namespace app {

struct Options {
  std::string verb;
  std::string model;                // artefact folder
  std::vector<std::string> inputs;  // images, a folder, a video or the number of a camera
  std::string output = "output/lite";
  mobileseg::EngineOptions engine;
  std::vector<int> threads;                  // benchmark: several
  std::vector<mobileseg::PowerMode> powers;  // benchmark: several
  float alpha = 0.55F;
  float min_score = 0.3F;  // of instances that are shown and written
  bool track = false;      // ids of instances
  float smooth = 0;        // weight of earlier frames in class probabilities
  bool show = false;       // a window
  int max_frames = 0;      // 0: all
  int runs = 200;
  int warmup = 10;
  std::string image;  // benchmark
  std::string font;   // file, for names in overlays; empty: one of the usual places
};

// Throws mobileseg::Error(kUsage).
Options parse(int count, const char* const* arguments);
std::string usage();
const char* name_of(mobileseg::PowerMode mode);

}  // namespace app

#endif  // MOBILESEG_APP_OPTIONS_H_
