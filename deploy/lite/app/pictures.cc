#include "pictures.h"

#include <dirent.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <opencv2/imgcodecs.hpp>

#include "mobileseg/error.h"

namespace app {
namespace {

using mobileseg::Error;
using mobileseg::ErrorKind;

bool is_picture(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return false;
  std::string suffix = name.substr(dot + 1);
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  static const char* const kSuffixes[] = {"jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"};
  return std::find(std::begin(kSuffixes), std::end(kSuffixes), suffix) != std::end(kSuffixes);
}

}  // namespace

cv::Mat read_picture(const std::string& path) {
  cv::Mat picture;
  std::string reason = "there is no such file, or it is no picture";
  try {
    picture = cv::imread(path, cv::IMREAD_COLOR);
  } catch (const cv::Exception& error) {
    reason = error.err;
  }
  if (picture.empty()) throw Error(ErrorKind::kData, path + " cannot be read: " + reason);
  return picture;
}

mobileseg::ImageView view_of(const cv::Mat& picture) {
  mobileseg::ImageView view;
  view.pixels = picture.data;
  view.size = {picture.rows, picture.cols};
  view.stride = picture.step[0];
  view.order = mobileseg::ColorOrder::kBgr;
  return view;
}

std::vector<std::string> pictures_in(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(opendir(folder.c_str()), closedir);
  if (!handle) throw Error(ErrorKind::kData, "there is no folder " + folder);
  std::vector<std::string> paths;
  while (const dirent* entry = readdir(handle.get())) {
    if (is_picture(entry->d_name)) paths.push_back(folder + "/" + entry->d_name);
  }
  if (paths.empty()) throw Error(ErrorKind::kData, folder + " holds no pictures");
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string stem_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

}  // namespace app
