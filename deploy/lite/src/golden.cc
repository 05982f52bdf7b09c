#include "golden.h"

#include <utility>

#include "mobileseg/error.h"

namespace mobileseg {
namespace {

std::string key_of(const std::string& kind, int item, const std::string& name) {
  return kind + "." + std::to_string(item) + (name.empty() ? "" : "." + name);
}

std::map<std::string, Array> arrays_of(const Manifest& manifest) {
  if (manifest.golden.empty()) {
    throw Error(ErrorKind::kRuntime, "deploy.json names no golden file, so nothing can be replayed",
                "export the folder again");
  }
  return read_npz(manifest.verified_path(manifest.golden));
}

}  // namespace

Golden::Golden(const Manifest& manifest) : Golden(arrays_of(manifest), manifest.path(manifest.golden)) {}

Golden::Golden(std::map<std::string, Array> arrays, std::string source)
    : arrays_(std::move(arrays)), source_(std::move(source)) {
  while (has("image", items_)) ++items_;
  if (items_ == 0) throw Error(ErrorKind::kRuntime, source_ + " holds no image", "export the folder again");
}

bool Golden::has(const std::string& kind, int item, const std::string& name) const {
  return arrays_.count(key_of(kind, item, name)) > 0;
}

const Array& Golden::at(const std::string& kind, int item, const std::string& name) const {
  const auto found = arrays_.find(key_of(kind, item, name));
  if (found != arrays_.end()) return found->second;
  throw Error(ErrorKind::kRuntime, source_ + " lacks '" + key_of(kind, item, name) + "'",
              "export the folder again");
}

double Golden::scalar(const std::string& kind, int item, const std::string& name) const {
  const Array& array = at(kind, item, name);
  if (array.shape.count() != 1) {
    throw Error(ErrorKind::kRuntime, source_ + ": '" + key_of(kind, item, name) + "' is no single number");
  }
  return value_at(array.view(), 0);
}

ImageView Golden::image(int item) const {
  const Array& array = at("image", item);
  if (array.dtype != DType::kUint8 || array.shape.rank() != 3 || array.shape[2] != 3 ||
      array.shape.count() == 0) {
    throw Error(ErrorKind::kRuntime, source_ + ": '" + key_of("image", item, "") + "' is no image");
  }
  ImageView view;
  view.pixels = array.bytes.data();
  view.size = {static_cast<int>(array.shape[0]), static_cast<int>(array.shape[1])};
  view.stride = static_cast<std::size_t>(array.shape[1]) * 3;
  return view;
}

Subsample Golden::sample(int item, bool channels_last) const {
  const int stride = static_cast<int>(scalar("stride", item));
  if (stride < 1) throw Error(ErrorKind::kRuntime, source_ + " has a stride of " + std::to_string(stride));
  return channels_last ? Subsample{stride, 1, 2} : Subsample{stride, 2, 3};
}

std::string Golden::pipeline(int item) const {
  if (!has("pipeline", item)) return kMain;
  const Array& characters = at("pipeline", item);
  std::string name;
  for (std::int64_t i = 0; i < characters.shape.count(); ++i) {
    const double character = value_at(characters.view(), i);
    name += character > 0 && character < 128 ? static_cast<char>(character) : '?';
  }
  return name;
}

std::int64_t Golden::sequence(int item) const {
  if (!has("sequence", item)) return -1 - item;
  const double number = scalar("sequence", item);
  if (number >= 0 && number < 1e9) return static_cast<std::int64_t>(number);
  throw Error(ErrorKind::kRuntime,
              source_ + ": '" + key_of("sequence", item, "") + "' is no number of a stream");
}

}  // namespace mobileseg
