#include "manifest_format1.h"

#include "tasks.h"

namespace mobileseg {
namespace {

using Json = nlohmann::json;

// The value of a key, null where there is none or `block` has no keys.
Json value_of(const Json& block, const char* key) {
  return block.is_object() && block.count(key) > 0 ? block.at(key) : Json();
}

// The input of the graph that the image is fed to.
Json tensor_of(const Json& image) {
  Json tensor = {{"name", value_of(image, "name")}, {"dtype", value_of(image, "dtype")}};
  if (tensor["dtype"].is_null()) tensor["dtype"] = "float32";
  const bool dynamic = value_of(image, "dynamic") == true;
  const Json height = dynamic ? Json(-1) : value_of(image, "height");
  const Json width = dynamic ? Json(-1) : value_of(image, "width");
  tensor["shape"] =
      value_of(image, "layout") == "NHWC" ? Json{1, height, width, 3} : Json{1, 3, height, width};
  return tensor;
}

}  // namespace

Json upgraded(const Json& block) {
  Json found = block;
  // Components are graphs of Paddle alone.
  for (const char* key : {"input", "outputs", "graphs", "components", "detection", "category_ids"})
    found.erase(key);
  found["format"] = 2;
  if (found.count("task") == 0) found["task"] = unnamed_task();
  if (block.count("input") > 0) found["image"] = block["input"];
  Json main = {{"inputs", Json::array({tensor_of(value_of(block, "input"))})}};
  if (block.count("outputs") > 0) main["outputs"] = block["outputs"];
  const Json files = value_of(value_of(block, "graphs"), "main");
  if (!files.is_null()) main["files"] = files;
  found["graphs"] = {{"main", main}};
  found["pipelines"] = {{"main", {"main"}}};
  Json settings = Json::object();
  for (const char* key : {"detection", "category_ids"}) {
    if (block.count(key) > 0) settings[key] = block[key];
  }
  if (!settings.empty()) found["settings"] = settings;
  return found;
}

}  // namespace mobileseg
