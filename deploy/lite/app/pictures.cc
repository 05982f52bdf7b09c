#include "pictures.h"

#include <dirent.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <opencv2/imgcodecs.hpp>

#include "encoded.h"
#include "files.h"
#include "mobileseg/error.h"

namespace app {
namespace {

using mobileseg::Error;
using mobileseg::ErrorKind;

constexpr std::size_t kMaxBytes = std::size_t{1} << 30;
constexpr int kMaxDepth = 64;  // of folders in folders
constexpr const char* kAgain = "copy or download the file again";

bool is_picture(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return false;
  std::string suffix = name.substr(dot + 1);
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  // mobileseg.data.io.IMAGE_SUFFIXES; a test holds the two together.
  static const char* const kSuffixes[] = {"bmp", "gif", "jfif", "jpeg", "jpg", "pgm",
                                          "png", "ppm", "tif",  "tiff", "webp"};
  return std::find(std::begin(kSuffixes), std::end(kSuffixes), suffix) != std::end(kSuffixes);
}

// The images of a folder by name, then those of its folders. Links to folders are not followed: they may
// lead back.
void collect(const std::string& folder, int depth, std::vector<std::string>* paths) {
  if (depth > kMaxDepth) throw Error(ErrorKind::kData, folder + " lies too deep");
  std::vector<std::string> pictures;
  std::vector<std::string> folders;
  {
    const std::unique_ptr<DIR, int (*)(DIR*)> handle(opendir(folder.c_str()), closedir);
    if (!handle) throw Error(ErrorKind::kData, "there is no folder " + folder);
    while (const dirent* entry = readdir(handle.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      const std::string path = folder + "/" + name;
      if (mobileseg::is_folder(path) && !mobileseg::is_link(path)) {
        folders.push_back(path);
      } else if (is_picture(name) && !mobileseg::is_folder(path)) {
        pictures.push_back(path);
      }
    }
  }
  std::sort(pictures.begin(), pictures.end());
  std::sort(folders.begin(), folders.end());
  paths->insert(paths->end(), pictures.begin(), pictures.end());
  for (const std::string& inside : folders) collect(inside, depth + 1, paths);
}

// As EXIF numbers the eight ways to hold a camera.
cv::Mat upright(const cv::Mat& stored, int orientation) {
  cv::Mat turned = stored;
  if (orientation >= 5) cv::transpose(stored, turned);
  const bool mirrored = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool upside_down = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  if (mirrored) cv::flip(turned, turned, 1);
  if (upside_down) cv::flip(turned, turned, 0);
  return turned;
}

}  // namespace

cv::Mat read_picture(const std::string& path) {
  if (!mobileseg::is_file(path))
    throw Error(ErrorKind::kData, path + " cannot be read: there is no such file");
  std::string data;
  try {
    data = mobileseg::read_file(path, kMaxBytes);
  } catch (const Error& error) {
    throw Error(ErrorKind::kData, error.what());
  }
  if (data.empty()) throw Error(ErrorKind::kData, path + " cannot be read: it is empty (0 bytes)", kAgain);
  if (!mobileseg::is_complete(data)) {
    throw Error(ErrorKind::kData, path + " is truncated (the file ends before the image does)", kAgain);
  }
  cv::Mat picture;
  std::string reason = "it is no image that OpenCV decodes";
  try {
    const cv::Mat bytes(1, static_cast<int>(data.size()), CV_8U, &data[0]);
    picture = cv::imdecode(bytes, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const cv::Exception& error) {
    reason = error.err;
  }
  if (picture.empty()) throw Error(ErrorKind::kData, path + " cannot be read: " + reason, kAgain);
  return upright(picture, mobileseg::orientation_of(data));  // TIFF is turned by OpenCV
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
  std::vector<std::string> paths;
  collect(folder, 0, &paths);
  if (paths.empty()) throw Error(ErrorKind::kData, folder + " holds no images");
  return paths;
}

std::string DistinctNames::name_of(const std::string& stem) {
  std::string name = stem;
  for (int count = 2; !used_.insert(name).second; ++count) name = stem + "_" + std::to_string(count);
  return name;
}

std::string stem_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

}  // namespace app
