// What later frames of a stream take of a frame, computed in the background while frames go on.
#ifndef MOBILESEG_SRC_AHEAD_H_
#define MOBILESEG_SRC_AHEAD_H_

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "background.h"
#include "graph_step.h"
#include "mobileseg/engine.h"
#include "mobileseg/tensor.h"

namespace mobileseg {

// A tensor in memory of its own, which is kept for the next one.
struct OwnedTensor {
  std::vector<std::uint8_t> bytes;
  TensorView view;

  void copy(const TensorView& value);
  void swap(OwnedTensor* other);
};

// Graphs that run on copies of what they take, so that the frames after them may use all memory again.
class Ahead : public Background::Job {
 public:
  // A tensor: one of the copies, or an output of a step.
  struct Source {
    bool copied;
    std::size_t step;
    std::size_t place;
  };
  using Step = GraphStep<Source>;

  // All must outlive it. `results` says what is kept.
  Ahead(Engine* engine, Background* background, std::vector<Step> steps, std::vector<Source> results,
        std::size_t copies);
  ~Ahead() override;  // waits until it does not run

  // Memory of the copies, to be filled while it does not run.
  std::vector<OwnedTensor>& copies() { return copies_; }
  void start(Size input);
  void wait();
  // Waits, then gives the results, to be swapped away. Throws what an engine threw.
  std::vector<OwnedTensor>& take();

  bool runs(const std::string& graph) const override;
  void run() noexcept override;

 private:
  const TensorView& view_of(const Source& source) const;

  Engine* engine_;
  Background* background_;
  std::vector<Step> steps_;
  std::vector<Source> kept_;
  std::vector<OwnedTensor> copies_;
  std::vector<OwnedTensor> results_;
  Size input_;
  std::exception_ptr failure_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_AHEAD_H_
