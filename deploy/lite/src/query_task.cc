#include "query_task.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "kernel_tracks.h"
#include "mobileseg/error.h"
#include "numbers.h"
#include "query_masks.h"

namespace mobileseg {
namespace {

// Kinds of outputs, for Q queries, K classes and kernels of length k.
constexpr const char* kKernels = "kernels";        // [1, Q, k]
constexpr const char* kLogits = "logits";          // [1, Q, K]
constexpr const char* kObjectness = "objectness";  // [1, Q, 1], logits

// Masks of the first frames may grow up to this many bytes without a new allocation.
constexpr std::size_t kReservedMaskBytes = std::size_t{32} << 20;

// As many objects have memory from the start.
constexpr int kReservedObjects = 1 << 8;

float sigmoid(float x) {
  return 1.0F / (1.0F + std::exp(-x));
}

const TensorView* find(const FrameOutputs& outputs, const char* kind) {
  for (std::size_t i = 0; i < outputs.specs.size(); ++i) {
    if (outputs.specs[i].kind == kind) return &outputs.values[i];
  }
  return nullptr;
}

// What the queries of a frame say, all of them.
struct Answers {
  const float* kernels;
  const float* logits;
  const float* objectness;
  std::size_t queries, classes, length;
};

Answers checked(const TensorView& kernels, const TensorView& logits, const TensorView& objectness,
                std::size_t classes) {
  const Shape& shape = kernels.shape;
  const std::int64_t queries = shape.rank() == 3 ? shape[1] : 0;
  bool fits = shape.rank() == 3 && shape[0] == 1 && shape[2] > 0 &&
              logits.shape == Shape{1, queries, static_cast<std::int64_t>(classes)} &&
              objectness.shape == Shape{1, queries, 1};
  for (const TensorView* one : {&kernels, &logits, &objectness}) fits = fits && one->dtype == DType::kFloat32;
  if (!fits) {
    throw Error(ErrorKind::kRuntime,
                "answers do not fit each other and " + std::to_string(classes) + " classes: kernels " +
                    shape.str() + ", logits " + logits.shape.str() + ", objectness " +
                    objectness.shape.str() + "; expected float32 [1, Q, k], [1, Q, classes] and [1, Q, 1]",
                "export the folder again");
  }
  const Answers found{kernels.as<float>(),
                      logits.as<float>(),
                      objectness.as<float>(),
                      static_cast<std::size_t>(queries),
                      classes,
                      static_cast<std::size_t>(shape[2])};
  require_finite("the kernels", found.kernels, found.queries * found.length);
  require_finite("the logits", found.logits, found.queries * classes);
  require_finite("the objectness", found.objectness, found.queries);
  return found;
}

MaskFeatures mask_features(const FrameOutputs& outputs, std::size_t length) {
  const TensorView* values = find(outputs, kMaskFeatures);
  if (values == nullptr) {
    throw Error(ErrorKind::kRuntime, "the graphs of this frame give no mask features",
                "export the folder again");
  }
  const Shape& shape = values->shape;
  if (values->dtype != DType::kFloat32 || shape.rank() != 4 || shape[0] != 1 || shape[2] < 1 ||
      shape[3] < 1 || shape[1] != static_cast<std::int64_t>(length)) {
    throw Error(ErrorKind::kRuntime,
                "mask features are " + shape.str() + " and kernels of length " + std::to_string(length) +
                    "; expected float32 [1, k, h, w] and k",
                "export the folder again");
  }
  require_finite("the mask features", values->as<float>(), static_cast<std::size_t>(shape.count()));
  return {values->as<float>(), length, {static_cast<int>(shape[2]), static_cast<int>(shape[3])}};
}

// The queries whose masks are made, best first.
struct Kept {
  std::vector<std::size_t> rows;  // of the answers
  std::vector<float> kernels, scores;
  std::vector<int> labels;

  void reserve(std::size_t count) {
    rows.reserve(count);
    scores.reserve(count);
    labels.reserve(count);
  }

  void choose(const Answers& answers, const QueryOptions& options, std::vector<float>* all) {
    all->clear();
    rows.clear();
    for (std::size_t query = 0; query < answers.queries; ++query) {
      const float* logits = answers.logits + query * answers.classes;
      const float best = *std::max_element(logits, logits + answers.classes);
      all->push_back(std::sqrt(sigmoid(best) * sigmoid(answers.objectness[query])));
      if (all->back() > options.score_threshold) rows.push_back(query);
    }
    std::sort(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) {
      return (*all)[a] != (*all)[b] ? (*all)[a] > (*all)[b] : a < b;
    });
    rows.resize(std::min(rows.size(), static_cast<std::size_t>(options.max_detections)));
    kernels.clear();
    scores.clear();
    labels.clear();
    for (const std::size_t row : rows) {
      const float* kernel = answers.kernels + row * answers.length;
      kernels.insert(kernels.end(), kernel, kernel + answers.length);
      scores.push_back((*all)[row]);
      const float* logits = answers.logits + row * answers.classes;
      labels.push_back(static_cast<int>(std::max_element(logits, logits + answers.classes) - logits));
    }
  }
};

// The tight box of a mask; false where it has no pixel.
bool tight_box(const MaskRegion& region, const std::uint8_t* bytes, Box* box) {
  int top = -1, bottom = 0, left = region.size.width, right = 0;
  for (int y = 0; y < region.size.height; ++y) {
    const std::uint8_t* end = bytes + region.size.width;
    const std::uint8_t* first = std::find(bytes, end, std::uint8_t{1});
    if (first != end) {
      const std::uint8_t* last = end;
      while (last[-1] == 0) --last;
      if (top < 0) top = y;
      bottom = y + 1;
      left = std::min(left, static_cast<int>(first - bytes));
      right = std::max(right, static_cast<int>(last - bytes));
    }
    bytes = end;
  }
  if (top < 0) return false;
  *box = {static_cast<float>(region.left + left), static_cast<float>(region.top + top),
          static_cast<float>(region.left + right), static_cast<float>(region.top + bottom)};
  return true;
}

std::string outputs_problem(const std::string& where, const std::vector<OutputSpec>& outputs) {
  std::string missing;
  for (const char* kind : {kMaskFeatures, kKernels, kLogits, kObjectness}) {
    const auto same = [&](const OutputSpec& output) { return output.kind == kind; };
    if (std::none_of(outputs.begin(), outputs.end(), same))
      missing += (missing.empty() ? "" : ", ") + std::string(kind);
  }
  return missing.empty() ? "" : where + ": " + missing + " is missing, queries need it";
}

}  // namespace

struct QueryObjects::State {
  explicit State(const Manifest& manifest)
      : settings(*query_settings_of(manifest)),
        classes(manifest.classes.size()),
        tracks(settings.kernels),
        masks(settings.queries, settings.mask_stride, manifest.image.size) {
    const auto most = static_cast<std::size_t>(std::min(settings.queries.max_detections, kReservedObjects));
    kept.reserve(most);
    ids.reserve(most);
  }

  // A new key frame.
  void start(const Answers& answers) {
    if (length != answers.length) {
      tracks.clear();
      tracks.reserve(kReservedObjects, answers.length);
      kept.kernels.reserve(answers.queries * answers.length);
      kept.reserve(answers.queries);
      scores.reserve(answers.queries);
      ids.reserve(answers.queries);
    }
    length = answers.length;
    kept.choose(answers, settings.queries, &scores);
    ids = tracks.associate(
        {kept.kernels.data(), kept.labels.data(), kept.scores.data(), kept.rows.size(), length});
    started = true;
    first_sure = -1;
  }

  const QuerySettings settings;
  const std::size_t classes;
  const std::string key = "key";
  bool following = false;
  bool started = false;
  bool stale = false;
  std::size_t length = 0;     // of kernels
  double first_sure = -1;     // of the key frame's masks; negative until there are some
  std::vector<float> scores;  // of all queries
  std::vector<int> ids;
  Kept kept;
  KernelTracks tracks;
  QueryMasks masks;
};

QueryObjects::QueryObjects(const Manifest& manifest) : state_(std::make_unique<State>(manifest)) {}
QueryObjects::~QueryObjects() = default;

StepPlan QueryObjects::next(const ImageView& /*image*/) {
  return {&state_->key};
}

void QueryObjects::finish(const FrameOutputs& outputs, const Geometry& place, Result* result) {
  State& state = *state_;
  const TensorView* kernels = find(outputs, kKernels);
  const TensorView* logits = find(outputs, kLogits);
  const TensorView* objectness = find(outputs, kObjectness);
  if (kernels != nullptr && logits != nullptr && objectness != nullptr) {
    state.start(checked(*kernels, *logits, *objectness, state.classes));
  }
  if (!state.started) {
    throw Error(ErrorKind::kRuntime, "a stream begins with a key frame, and this one has no kernels",
                "export the folder again");
  }
  const QueryOptions& options = state.settings.queries;
  state.masks.start(mask_features(outputs, state.length), place.image);
  result->size = place.image;
  result->instances.clear();
  result->instances.reserve(state.kept.rows.size());
  const std::size_t most = state.kept.rows.size() * place.image.pixels();
  result->mask_bytes.reserve(std::min(most, kReservedMaskBytes));
  std::size_t bytes = 0;
  double sum = 0;
  for (std::size_t i = 0; i < state.kept.rows.size(); ++i) {
    const float sure = state.masks.make(state.kept.kernels.data() + i * state.length);
    sum += static_cast<double>(sure);
    Instance instance;
    instance.mask = state.masks.region();
    instance.mask.offset = bytes;
    const std::size_t end = bytes + instance.mask.size.pixels();
    if (result->mask_bytes.size() < end)
      result->mask_bytes.resize(end);  // never shrunk: growing clears memory
    std::uint8_t* mask = result->mask_bytes.data() + bytes;
    state.masks.draw(instance.mask, mask);
    if (!tight_box(instance.mask, mask, &instance.box)) continue;
    bytes = end;
    instance.score = options.rescore ? state.kept.scores[i] * sure : state.kept.scores[i];
    instance.label = state.kept.labels[i];
    instance.track_id = state.following ? state.ids[i] : -1;
    result->instances.push_back(instance);
  }
  // Best first; equal ones in the order of the queries' scores, which is that of their masks.
  std::sort(result->instances.begin(), result->instances.end(), [](const Instance& a, const Instance& b) {
    return a.score != b.score ? a.score > b.score : a.mask.offset < b.mask.offset;
  });
  state.stale = false;
  if (state.kept.rows.empty()) return;
  const double level = sum / static_cast<double>(state.kept.rows.size());
  if (state.first_sure < 0) state.first_sure = level;
  state.stale = level < state.settings.kernels.rekey_below * state.first_sure;
}

bool QueryObjects::remembers() const {
  return state_->started;
}

void QueryObjects::reset() {
  state_->tracks.clear();
  state_->started = false;
  state_->stale = false;
}

void QueryObjects::track(const TrackingOptions& options) {
  const TrackingOptions usual;
  std::string foreign;
  const auto require = [&](bool same, const char* name) {
    if (!same) foreign += (foreign.empty() ? "" : ", ") + std::string(name);
  };
  require(options.low_score == std::min(usual.low_score, options.score), "low_score");
  require(options.overlap == usual.overlap, "overlap");
  require(options.max_age == usual.max_age, "max_age");
  require(options.same_class == usual.same_class, "same_class");
  require(options.min_hits == usual.min_hits, "min_hits");
  if (!foreign.empty()) {
    throw Error(
        ErrorKind::kUsage, "the model follows objects by their kernels, which is done without " + foreign,
        "leave it out; the section 'kernels' of the configuration says when kernels are of one object");
  }
  KernelOptions kernels = state_->settings.kernels;
  // Scores are float32: that of a program which keeps its options so is the usual one too.
  const auto score = static_cast<float>(options.score);
  if (score != static_cast<float>(usual.score)) kernels.birth_score = score;
  state_->tracks = KernelTracks(kernels);
  state_->following = true;
}

bool QueryObjects::stale() const {
  return state_->stale;
}

std::string query_problem(const Manifest& manifest) {
  if (manifest.image.dynamic) {
    return "image is dynamic, and the positions that queries look at belong to one size";
  }
  if (manifest.image.resize == ResizeMode::kKeepRatio) {
    return "image.resize.mode is keep-ratio, and objects are taken back to the image by stretching alone";
  }
  if (manifest.category_ids.size() != manifest.classes.size()) {
    return "settings.category_ids has " + std::to_string(manifest.category_ids.size()) + " numbers for " +
           std::to_string(manifest.classes.size()) + " classes";
  }
  std::string found = outputs_problem("outputs", manifest.outputs_of());
  std::set<std::string> engines;
  for (const auto& graph : manifest.graphs) {
    for (const auto& engine : graph.second.files) engines.insert(engine.first);
  }
  for (const std::string& engine : engines) {
    if (found.empty()) found = outputs_problem(engine, manifest.outputs_of(engine));
  }
  return found;
}

// From stored answers to the classes of the objects; their masks need maps that are not stored whole.
Check replay_queries(const Manifest& manifest, const Golden& golden) {
  const QueryOptions& options = query_settings_of(manifest)->queries;
  int replayed = 0;
  Kept kept;
  std::vector<float> scores;
  for (int item = 0; item < golden.items(); ++item) {
    if (!golden.has("output", item, kKernels)) continue;
    const Answers answers =
        checked(golden.at("output", item, kKernels).view(), golden.at("output", item, kLogits).view(),
                golden.at("output", item, kObjectness).view(), manifest.classes.size());
    kept.choose(answers, options, &scores);
    std::vector<int> labels = kept.labels;
    const Array& classes = golden.at("result", item, "classes");
    for (std::int64_t i = 0; i < classes.shape.count(); ++i) {
      if (golden.has("result", item, "sure") && value_at(golden.at("result", item, "sure").view(), i) == 0)
        continue;
      const int label = static_cast<int>(value_at(classes.view(), i));
      const auto place = std::find(labels.begin(), labels.end(), label);
      if (place == labels.end()) {
        return {"postprocess", Check::Status::kFailed,
                "image " + std::to_string(item) + ": an object of class " + std::to_string(label) +
                    " is missing"};
      }
      labels.erase(place);
    }
    ++replayed;
  }
  if (replayed == 0) return {"postprocess", Check::Status::kSkipped, "no key frame is stored"};
  return {"postprocess", Check::Status::kOk,
          "classes of the objects of " + std::to_string(replayed) + " key frames agree"};
}

}  // namespace mobileseg
