#include "assignment.h"

namespace mobileseg {
namespace {

constexpr std::int64_t kFar = std::int64_t{1} << 62;

}  // namespace

const std::vector<int>& Assignment::solve(const std::vector<std::int64_t>& costs, std::size_t rows,
                                          std::size_t columns) {
  const bool turn = rows > columns;
  if (turn) {
    turned_.resize(costs.size());
    for (std::size_t y = 0; y < rows; ++y) {
      for (std::size_t x = 0; x < columns; ++x) turned_[x * rows + y] = costs[y * columns + x];
    }
  }
  const std::size_t count = turn ? columns : rows;
  width_ = turn ? rows : columns;
  row_prices_.assign(count, 0);
  column_prices_.assign(width_, 0);
  owners_.assign(width_, -1);
  for (std::size_t start = 0; start < count; ++start) augment(turn ? turned_ : costs, start);
  if (turn) {
    found_.assign(owners_.begin(), owners_.end());
    return found_;
  }
  found_.assign(rows, -1);
  for (std::size_t x = 0; x < width_; ++x) {
    if (owners_[x] >= 0) found_[static_cast<std::size_t>(owners_[x])] = static_cast<int>(x);
  }
  return found_;
}

void Assignment::reserve(std::size_t count) {
  turned_.reserve(count * count);
  for (std::vector<std::int64_t>* one : {&row_prices_, &column_prices_, &distances_}) one->reserve(count);
  for (std::vector<int>* one : {&owners_, &before_, &found_}) one->reserve(count);
  visited_.reserve(count);
}

// Finds a column for one more row; the rows before it may change theirs.
void Assignment::augment(const std::vector<std::int64_t>& costs, std::size_t start) {
  distances_.assign(width_, kFar);
  before_.assign(width_, -1);
  visited_.assign(width_, 0);
  int column = -1;
  for (int row = static_cast<int>(start); row >= 0;) {
    const std::int64_t* line = costs.data() + static_cast<std::size_t>(row) * width_;
    const std::int64_t price = row_prices_[static_cast<std::size_t>(row)];
    std::int64_t nearest = kFar;
    std::size_t next = 0;
    for (std::size_t x = 0; x < width_; ++x) {
      if (visited_[x] != 0) continue;
      const std::int64_t reduced = line[x] - price - column_prices_[x];
      if (reduced < distances_[x]) {
        distances_[x] = reduced;
        before_[x] = column;
      }
      if (distances_[x] < nearest) {
        nearest = distances_[x];
        next = x;
      }
    }
    // The prices of all that the search has reached move, so that the edge to `next` costs nothing.
    row_prices_[start] += nearest;
    for (std::size_t x = 0; x < width_; ++x) {
      if (visited_[x] != 0) {
        row_prices_[static_cast<std::size_t>(owners_[x])] += nearest;
        column_prices_[x] -= nearest;
      } else {
        distances_[x] -= nearest;
      }
    }
    visited_[next] = 1;
    column = static_cast<int>(next);
    row = owners_[next];
  }
  while (column >= 0) {  // hand the columns of the path on, up to the row that it began with
    const int previous = before_[static_cast<std::size_t>(column)];
    owners_[static_cast<std::size_t>(column)] =
        previous >= 0 ? owners_[static_cast<std::size_t>(previous)] : static_cast<int>(start);
    column = previous;
  }
}

}  // namespace mobileseg
