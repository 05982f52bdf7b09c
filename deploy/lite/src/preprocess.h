// From a decoded image to the input of a graph, as the manifest says.
#ifndef MOBILESEG_SRC_PREPROCESS_H_
#define MOBILESEG_SRC_PREPROCESS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "mobileseg/image.h"
#include "mobileseg/manifest.h"
#include "resize.h"

namespace mobileseg {

// Where the image lies inside the input of the graph.
struct Geometry {
  Size image;    // the image as given
  Size content;  // what it takes up in the input, from the top left corner
  Size input;    // the input; what is beyond `content` is padding
};

// Resize, normalise and split into planes, row by row in one pass. Keeps its tables for images of the same
// size.
class Preprocessor {
 public:
  explicit Preprocessor(const ImageSpec& spec);

  // Throws Error(kData) for an empty image, Error(kRuntime) when the graph does not take this size.
  Geometry geometry(Size image) const;

  // The largest absolute value that a pixel can become: what rounding is measured by.
  double largest() const;

  // Fills the input: `spec.shape(geometry(image.size).input)` elements of `spec.dtype`.
  void run(const ImageView& image, void* input);

 private:
  void normalized_row(const ImageView& image, const Geometry& place, int y, float* const planes[3]);
  void looked_up_row(const std::uint8_t* row, int width, const int source[3], float* const planes[3]) const;
  void resized_row(int width, const int source[3], float* const planes[3]) const;
  void pack_row(const Geometry& place, int y, void* input) const;
  void pad_rows(const Geometry& place, void* input) const;

  ImageSpec spec_;
  // Index 0..2 in the graph's colour order.
  std::array<float, 3> factor_{};
  std::array<float, 3> offset_{};
  std::array<float, 3> padding_{};
  std::array<std::array<float, 256>, 3> tables_{};
  AxisTaps vertical_;
  AxisTaps horizontal_;
  std::vector<float>
      blended_;  // one row of the image between two of its rows, and a spare element to read past
  std::vector<float> planes_;  // one finished row of each channel, when the graph does not take float planes
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_PREPROCESS_H_
