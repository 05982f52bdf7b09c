// What engines of tests have in common: memory for the image, and whatever size and inputs.
#ifndef MOBILESEG_TESTS_MEMORY_ENGINE_H_
#define MOBILESEG_TESTS_MEMORY_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mobileseg/engine.h"

namespace fixtures {

class MemoryEngine : public mobileseg::Engine {
 public:
  std::string name() const override { return "memory"; }
  std::string version() const override { return "1"; }
  void begin(const std::string& /*graph*/, mobileseg::Size /*size*/) override {}
  void* input(const std::string& /*graph*/, const mobileseg::TensorSpec& spec,
              const mobileseg::Shape& shape) override {
    image_.resize(static_cast<std::size_t>(shape.count()) * mobileseg::size_of(spec.dtype));
    return image_.data();
  }
  void share(const std::string& /*graph*/, const mobileseg::TensorSpec& /*spec*/,
             const mobileseg::TensorView& /*value*/) override {}

 private:
  std::vector<std::uint8_t> image_;
};

}  // namespace fixtures

#endif  // MOBILESEG_TESTS_MEMORY_ENGINE_H_
