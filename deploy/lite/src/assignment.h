// Optimal assignment on integer costs: what is paired follows from the integers alone, ties included. The
// steps are those of mobileseg/tracking/assignment.py.
#ifndef MOBILESEG_SRC_ASSIGNMENT_H_
#define MOBILESEG_SRC_ASSIGNMENT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mobileseg {

// Shortest augmenting paths with dual variables (Jonker and Volgenant 1987). Keeps its memory.
class Assignment {
 public:
  // The column of every row, -1 for none, so that the total cost is the least; as many pairs as the shorter
  // side has places. `costs` is [rows, columns], each within 2^40 of 0. Lasts until the next call.
  const std::vector<int>& solve(const std::vector<std::int64_t>& costs, std::size_t rows,
                                std::size_t columns);
  // Room for so many rows and columns, either way round.
  void reserve(std::size_t count);

 private:
  void augment(const std::vector<std::int64_t>& costs, std::size_t start);

  std::size_t width_ = 0;  // of the longer side
  std::vector<std::int64_t> turned_;
  std::vector<std::int64_t> row_prices_, column_prices_, distances_;
  std::vector<int> owners_;  // the row that has the column
  std::vector<int> before_;  // the column from which the search came
  std::vector<char> visited_;
  std::vector<int> found_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_ASSIGNMENT_H_
