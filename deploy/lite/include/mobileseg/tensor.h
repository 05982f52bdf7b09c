// Arrays as engines and files give them: a type, a shape, contiguous memory that somebody else owns.
#ifndef MOBILESEG_TENSOR_H_
#define MOBILESEG_TENSOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace mobileseg {

enum class DType { kFloat32, kFloat64, kInt32, kInt64, kUint8, kBool };

std::size_t size_of(DType type);
const char* name_of(DType type);  // as NumPy names it

// Up to six dimensions, outermost first. Kept in place: shapes are passed for every frame.
class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return dims_[static_cast<std::size_t>(axis)]; }
  void push_back(std::int64_t dim);
  std::int64_t count() const;  // number of elements
  std::string str() const;     // "[1, 3, 256, 256]"

  bool operator==(const Shape& other) const { return rank_ == other.rank_ && dims_ == other.dims_; }
  bool operator!=(const Shape& other) const { return !(*this == other); }

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::kFloat32;
  Shape shape;

  // The elements; the caller has compared `dtype` with what the manifest says.
  template <typename T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
};

}  // namespace mobileseg

#endif  // MOBILESEG_TENSOR_H_
