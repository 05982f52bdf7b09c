// Manifests of format 1: one graph, one image, a task's section among the other fields. Folders in that
// format are in use and stay readable.
#ifndef MOBILESEG_SRC_MANIFEST_FORMAT1_H_
#define MOBILESEG_SRC_MANIFEST_FORMAT1_H_

#include <nlohmann/json.hpp>

namespace mobileseg {

// The block of format 1 in the form of format 2. What is missing or of another type stays so, and is found
// when the result is read.
nlohmann::json upgraded(const nlohmann::json& block);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_MANIFEST_FORMAT1_H_
