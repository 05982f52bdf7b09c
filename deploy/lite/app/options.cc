#include "options.h"

#include <cstdlib>
#include <map>

#include "mobileseg/error.h"

namespace app {
namespace {

using mobileseg::Error;
using mobileseg::ErrorKind;
using mobileseg::PowerMode;

const std::map<std::string, PowerMode> kPowers = {
    {"high", PowerMode::kHigh},          {"low", PowerMode::kLow},
    {"full", PowerMode::kFull},          {"no-bind", PowerMode::kNoBind},
    {"rand-high", PowerMode::kRandHigh}, {"rand-low", PowerMode::kRandLow}};

[[noreturn]] void wrong(const std::string& message) {
  throw Error(ErrorKind::kUsage, message, "see mobileseg_lite --help");
}

// The arguments, one after the other.
class Reader {
 public:
  Reader(int count, const char* const* arguments) : words_(arguments + 1, arguments + count) {}

  bool done() const { return next_ == words_.size(); }
  const std::string& peek() const { return words_[next_]; }
  std::string take() { return words_[next_++]; }

  std::string value_of(const std::string& flag) {
    if (done()) wrong(flag + " needs a value");
    if (peek().empty()) wrong(flag + " is empty");
    return take();
  }

  int integer_of(const std::string& flag, int low, int high) {
    return integer(flag, value_of(flag), low, high);
  }

  // One value or more, up to the next flag.
  std::vector<std::string> values_of(const std::string& flag) {
    std::vector<std::string> values{value_of(flag)};
    while (!done() && peek().compare(0, 2, "--") != 0) values.push_back(value_of(flag));
    return values;
  }

  static int integer(const std::string& flag, const std::string& text, int low, int high) {
    char* end = nullptr;
    const long value = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || value < low || value > high) {
      wrong(flag + " is '" + text + "', expected a whole number from " + std::to_string(low) + " to " +
            std::to_string(high));
    }
    return static_cast<int>(value);
  }

 private:
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

float share(const std::string& flag, const std::string& text) {
  char* end = nullptr;
  const float value = std::strtof(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0 && value <= 1)) {
    wrong(flag + " is '" + text + "', expected a number from 0 to 1");
  }
  return value;
}

PowerMode power(const std::string& text) {
  const auto found = kPowers.find(text);
  if (found == kPowers.end())
    wrong("--power is '" + text + "', expected high, low, full, no-bind, rand-high or rand-low");
  return found->second;
}

void read_flag(const std::string& flag, Reader* reader, Options* options) {
  if (flag == "--output") {
    options->output = reader->value_of(flag);
  } else if (flag == "--threads") {
    for (const std::string& text : reader->values_of(flag))
      options->threads.push_back(Reader::integer(flag, text, 1, 64));
  } else if (flag == "--power") {
    for (const std::string& text : reader->values_of(flag)) options->powers.push_back(power(text));
  } else if (flag == "--any-version") {
    options->engine.any_version = true;
  } else if (flag == "--alpha") {
    options->alpha = share(flag, reader->value_of(flag));
  } else if (flag == "--min-score") {
    options->min_score = share(flag, reader->value_of(flag));
  } else if (flag == "--track") {
    options->track = true;
  } else if (flag == "--smooth") {
    options->smooth = share(flag, reader->value_of(flag));
  } else if (flag == "--show") {
    options->show = true;
  } else if (flag == "--max-frames") {
    options->max_frames = reader->integer_of(flag, 1, 1 << 30);
  } else if (flag == "--runs") {
    options->runs = reader->integer_of(flag, 1, 1000000);
  } else if (flag == "--warmup") {
    options->warmup = reader->integer_of(flag, 0, 1000000);
  } else if (flag == "--font") {
    options->font = reader->value_of(flag);
  } else if (flag == "--image") {
    options->image = reader->value_of(flag);
  } else {
    wrong("unknown option " + flag);
  }
}

void check(Options* options) {
  const std::string& verb = options->verb;
  const std::size_t count = options->inputs.size();
  const bool alone = verb == "benchmark" || verb == "selftest";
  if (options->model.empty()) wrong(verb + " needs the folder of a model");
  if (alone && count > 0) wrong(verb + " takes one folder, '" + options->inputs[0] + "' is too much");
  if (!alone && count == 0) wrong(verb + " needs an input after the folder of the model");
  if (verb != "image" && count > 1)
    wrong(verb + " takes one input, '" + options->inputs[1] + "' is too much");
  if (verb != "benchmark" && (options->threads.size() > 1 || options->powers.size() > 1)) {
    wrong("only benchmark takes several values of --threads and --power");
  }
  if (options->track && verb != "video" && verb != "camera") {
    wrong("--track is for video and camera, where frames follow each other");
  }
  if (options->smooth != 0 && verb != "video" && verb != "camera") {
    wrong("--smooth is for video and camera, where frames follow each other");
  }
  if (options->threads.empty()) options->threads.push_back(1);
  if (options->powers.empty()) options->powers.push_back(PowerMode::kNoBind);
  options->engine.threads = options->threads[0];
  options->engine.power = options->powers[0];
}

}  // namespace

Options parse(int count, const char* const* arguments) {
  Reader reader(count, arguments);
  Options options;
  while (!reader.done()) {
    const std::string word = reader.take();
    if (word.empty()) wrong("an argument is empty");
    if (word.compare(0, 2, "--") == 0) {
      read_flag(word, &reader, &options);
    } else if (options.verb.empty()) {
      options.verb = word;
    } else if (options.model.empty()) {
      options.model = word;
    } else {
      options.inputs.push_back(word);
    }
  }
  static const char* const kVerbs[] = {"image", "folder", "video", "camera", "benchmark", "selftest"};
  for (const char* verb : kVerbs) {
    if (options.verb == verb) {
      check(&options);
      return options;
    }
  }
  wrong(options.verb.empty() ? "nothing was asked for" : "there is no verb '" + options.verb + "'");
}

const char* name_of(PowerMode mode) {
  for (const auto& pair : kPowers) {
    if (pair.second == mode) return pair.first.c_str();
  }
  return "";
}

std::string usage() {
  return R"(mobileseg_lite VERB MODEL [INPUT...] [OPTIONS]

MODEL is a folder that `mobileseg export` wrote, with a graph for Paddle Lite.

  image MODEL FILE...    segment pictures
  folder MODEL DIR       segment all pictures of a folder
  video MODEL FILE|DIR   segment a video, or the pictures of a folder as its frames
  camera MODEL NUMBER    segment what a camera sees
  benchmark MODEL        time every stage
  selftest MODEL         replay the reference of the folder stage by stage

  --output PATH          folder of the results (output/lite); benchmark: the JSON file
  --threads N            threads of the engine (1); benchmark takes several
  --power MODE           high, low, full, no-bind, rand-high, rand-low; benchmark takes several
  --any-version          load a .nb that another version of Paddle Lite wrote
  --alpha A              share of the class colour in overlays (0.55)
  --min-score S          leave out instances of lower scores (0.3); with --track, tracks begin from it on
  --track                video, camera: ids of instances that stay from frame to frame
  --smooth W             video, camera: weight of earlier frames in class probabilities, from 0 to below 1 (0)
  --font FILE            font for names in overlays (one of the system; ASCII needs none)
  --show                 video, camera: show the frames in a window; q ends
  --max-frames N         video, camera: stop after N frames
  --runs N, --warmup N   benchmark: timed runs (200) and untimed ones before (10)
  --image FILE           benchmark: picture to segment (a drawn one of the input's size)
)";
}

}  // namespace app
