// From the raw output of a semantic network to a label for every pixel of the image.
#ifndef MOBILESEG_SRC_SEMANTIC_H_
#define MOBILESEG_SRC_SEMANTIC_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "label_filter.h"
#include "mobileseg/manifest.h"
#include "mobileseg/tensor.h"
#include "preprocess.h"
#include "resize.h"
#include "score_labels.h"

namespace mobileseg {

// Kinds of outputs of a semantic segmentation model.
namespace kinds {
constexpr const char* kLabels = "labels";                // [1, H, W] class indices
constexpr const char* kProbabilities = "probabilities";  // [1, K, h, w]
constexpr const char* kLogits = "logits";                // [1, K, h, w]
}  // namespace kinds

class SemanticPostprocessor {
 public:
  // `classes` is the number of classes that the manifest names.
  explicit SemanticPostprocessor(std::size_t classes) : classes_(static_cast<std::int64_t>(classes)) {}

  // `labels` receives the class index of every pixel of `place.image`.
  // Throws Error(kRuntime) for a shape or type that is not of the kind the manifest names, scores that are no
  // numbers, and labels that are no class. A filter, which has seen the frame, averages probabilities with
  // those of the frames before it; labels are not filtered.
  void run(const OutputSpec& spec, const TensorView& output, const Geometry& place,
           std::vector<std::uint8_t>* labels, LabelFilter* filter = nullptr);

 private:
  void from_values(const OutputSpec& spec, const TensorView& output, const Geometry& place,
                   std::vector<std::uint8_t>* labels, LabelFilter* filter);
  // Class probabilities of scores [K, size], into probabilities_.
  void to_probabilities(const OutputSpec& spec, const float* scores, int classes, Size size);
  // Row y of every class, resized along the row; kept while it is needed, as neighbouring target rows share
  // it.
  const float* wide_rows(const float* scores, int classes, int y, Size source);
  // Scores of size `source` resized to `size`, of which the top left part `content` is kept: [K, content].
  void resize(const float* scores, int classes, Size source, Size size, Size content,
              std::vector<float>* target);
  // Labels of size `stored`, of which the top left part `content` is brought to `size`.
  void nearest(const std::uint8_t* labels, Size stored, Size content, Size size, std::uint8_t* target);

  struct WideRows {
    std::vector<float> values;  // [K, width]
    int y = -1;
  };

  // Labels as bytes, into small_.
  template <typename T>
  void to_bytes(const OutputSpec& spec, const T* values);

  std::int64_t classes_;
  AxisTaps vertical_;
  AxisTaps horizontal_;
  NearestTaps rows_;
  NearestTaps columns_;
  std::array<WideRows, 2> wide_;
  ScoreLabels score_labels_;
  std::vector<float> upsampled_;
  std::vector<float> content_;
  std::vector<float> probabilities_;
  std::vector<std::uint8_t> small_;
};

// Index of the output that answers: labels when there are any, else probabilities or logits; with `scores`
// never labels. Throws Error(kRuntime).
std::size_t pick_output(const std::vector<OutputSpec>& outputs, bool scores = false);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_SEMANTIC_H_
