// Images by OpenCV, as the library takes them.
#ifndef MOBILESEG_APP_PICTURES_H_
#define MOBILESEG_APP_PICTURES_H_

#include <opencv2/core.hpp>
#include <set>
#include <string>
#include <vector>

#include "mobileseg/image.h"

namespace app {

// Decodes an image to BGR and turns it as its EXIF data say; throws mobileseg::Error(kData), also for a file
// that ends before its image does.
cv::Mat read_picture(const std::string& path);

mobileseg::ImageView view_of(const cv::Mat& picture);

// The images of a folder in the order of their names, then those of the folders in it; throws
// mobileseg::Error(kData) when there are none.
std::vector<std::string> pictures_in(const std::string& folder);

// 'dir/street.jpg' -> 'street'
std::string stem_of(const std::string& path);

// Makes names distinct, as `mobileseg predict` does: street, street_2; no result hides another.
class DistinctNames {
 public:
  std::string name_of(const std::string& stem);

 private:
  std::set<std::string> used_;
};

}  // namespace app

#endif  // MOBILESEG_APP_PICTURES_H_
