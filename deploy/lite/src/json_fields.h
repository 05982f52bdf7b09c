// Typed access to the fields of a JSON document, with the path of the field in every message.
#ifndef MOBILESEG_SRC_JSON_FIELDS_H_
#define MOBILESEG_SRC_JSON_FIELDS_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "mobileseg/error.h"

namespace mobileseg {

class Field {
 public:
  Field(const nlohmann::json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  const std::string& path() const { return path_; }

  bool has(const std::string& key) const { return object().count(key) > 0; }

  Field operator[](const std::string& key) const {
    const auto found = object().find(key);
    if (found == object().end()) fail("'" + key + "' is missing");
    return {*found, path_ + "." + key};
  }

  std::vector<Field> items() const {
    if (!value_->is_array()) fail("expected a list, found " + found());
    std::vector<Field> items;
    for (const auto& item : *value_)
      items.emplace_back(item, path_ + "[" + std::to_string(items.size()) + "]");
    return items;
  }

  std::vector<std::pair<std::string, Field>> members() const {
    std::vector<std::pair<std::string, Field>> members;
    for (auto it = object().begin(); it != object().end(); ++it) {
      members.emplace_back(it.key(), Field(it.value(), path_ + "." + it.key()));
    }
    return members;
  }

  std::string text() const {
    if (!value_->is_string()) fail("expected text, found " + found());
    return value_->get<std::string>();
  }

  bool boolean() const {
    if (!value_->is_boolean()) fail("expected true or false, found " + found());
    return value_->get<bool>();
  }

  bool is_null() const { return value_->is_null(); }

  double number() const {
    if (!value_->is_number()) fail("expected a number, found " + found());
    return value_->get<double>();
  }

  // A whole number from `low` to `high`.
  std::int64_t integer(std::int64_t low, std::int64_t high) const {
    const double value = number();
    if (!(value >= static_cast<double>(low) && value <= static_cast<double>(high)) ||
        value != static_cast<double>(static_cast<std::int64_t>(value))) {
      fail("expected a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
           ", found " + found());
    }
    return static_cast<std::int64_t>(value);
  }

  template <typename T>
  T choice(const std::map<std::string, T>& choices) const {
    const auto found = choices.find(text());
    if (found != choices.end()) return found->second;
    std::string known;
    for (const auto& pair : choices) known += (known.empty() ? "" : ", ") + pair.first;
    fail("'" + text() + "' is none of " + known);
  }

  std::map<std::string, std::string> texts() const {
    std::map<std::string, std::string> texts;
    for (const auto& member : members()) texts[member.first] = member.second.text();
    return texts;
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(ErrorKind::kRuntime, path_ + ": " + reason, "export the model again with `mobileseg export`");
  }

 private:
  const nlohmann::json& object() const {
    if (!value_->is_object()) fail("expected an object, found " + found());
    return *value_;
  }

  std::string found() const {
    const std::string text = value_->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return text.size() > 40 ? text.substr(0, 40) + "..." : text;
  }

  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_JSON_FIELDS_H_
