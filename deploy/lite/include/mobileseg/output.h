// Results for people and for files: drawn over the image, as PNG, as JSON.
#ifndef MOBILESEG_OUTPUT_H_
#define MOBILESEG_OUTPUT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mobileseg/image.h"
#include "mobileseg/manifest.h"
#include "mobileseg/result.h"

namespace mobileseg {

// A colour for each of the 256 values of a label: the classes', white for ignored, black for the rest.
using ColorTable = std::array<std::array<std::uint8_t, 3>, 256>;
ColorTable color_table(const Manifest& manifest);

// Draws a result into an image, in the image's own colour order.
class Painter {
 public:
  explicit Painter(const Manifest& manifest, float alpha = 0.55F);

  // `pixels` is the memory of the image that was segmented (or a copy of it).
  void draw(const Result& result, std::uint8_t* pixels, std::size_t stride, ColorOrder order) const;

 private:
  void draw_labels(const Result& result, std::uint8_t* pixels, std::size_t stride, ColorOrder order) const;
  void draw_instances(const Result& result, std::uint8_t* pixels, std::size_t stride, ColorOrder order) const;

  ColorTable colors_;
  std::size_t class_count_;
  int ignore_index_;
  int weight_;  // of the class colour, in 256ths
};

// An 8-bit palette PNG: readers get the values, viewers show the colours. Throws Error(kData).
void write_palette_png(const std::string& path, const std::uint8_t* values, Size size,
                       const ColorTable& colors);

// A PNG of an RGB or BGR image.
void write_color_png(const std::string& path, const ImageView& image);

// Number of the instance, from 1, at every pixel; 0 where there is none, the higher score on top.
// Instances beyond the 255th are left out.
void instance_map(const Result& result, std::vector<std::uint8_t>* values);

// COCO run-length string of a mask, as pycocotools writes it.
std::string coco_rle(const Result& result, const Instance& instance);

// Takes the instances of lower scores out of a result.
void drop_below(float score, Result* result);

// Where a result comes from.
struct Origin {
  std::string source;   // path
  std::string picture;  // name; of digits alone, it is the number that COCO's format wants
  double decode_ms = 0;
};

// One JSON object, as `mobileseg predict` writes it: size, model, engine, pipeline, classes or (in COCO's
// results format) instances, times. An indent of -1 writes one line.
std::string to_json(const Result& result, const Manifest& manifest, const std::string& engine,
                    const Origin& origin, int indent = 1);

}  // namespace mobileseg

#endif  // MOBILESEG_OUTPUT_H_
