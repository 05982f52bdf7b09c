#include <doctest/doctest.h>

#include <fstream>

#include "encoded.h"
#include "files.h"
#include "fixtures.h"

using namespace mobileseg;

TEST_CASE("completeness and orientation of encoded images are those that Python finds") {
  std::ifstream cases(fixtures::root() + "/pictures/cases.txt");
  std::string name;
  int complete = 0, orientation = 0, count = 0;
  while (cases >> name >> complete >> orientation) {
    CAPTURE(name);
    const std::string data = read_file(fixtures::root() + "/pictures/" + name, 1 << 20);
    CHECK(is_complete(data) == (complete == 1));
    CHECK(orientation_of(data) == orientation);
    ++count;
  }
  CHECK(count > 40);
}

TEST_CASE("every file that was cut short is read within its bounds") {
  for (const char* name : {"turn6.jpg", "turn6.png", "turn6.webp", "thumbnail.jpg"}) {
    CAPTURE(name);
    const std::string data = read_file(fixtures::root() + "/pictures/" + name, 1 << 20);
    REQUIRE(is_complete(data));
    for (std::size_t size = 0; size < data.size(); ++size) {
      const std::string cut = data.substr(0, size);
      const int orientation = orientation_of(cut);
      CHECK((orientation == 1 || orientation == 6));
      if (size > 8 && data[0] != 'R') CHECK_FALSE(is_complete(cut));
    }
  }
}

TEST_CASE("orientations that EXIF does not know are 1") {
  const std::string head(
      "\xff\xd8\xff\xe1\x00\x22"
      "Exif\0\0MM\0*\0\0\0\x08\0\x01",
      22);
  const std::string tail("\0\0\0\0\xff\xda\0\x02", 8);
  const auto with = [&](const std::string& entry) { return orientation_of(head + entry + tail); };
  CHECK(with(std::string("\x01\x12\0\x03\0\0\0\x01\0\x08\0\0", 12)) == 8);
  CHECK(with(std::string("\x01\x12\0\x03\0\0\0\x01\0\x09\0\0", 12)) == 1);
  CHECK(with(std::string("\x01\x12\0\x03\0\0\0\x01\0\0\0\0", 12)) == 1);
  CHECK(with(std::string("\x01\x12\0\x04\0\0\0\x01\0\x08\0\0", 12)) == 1);
  CHECK(orientation_of("") == 1);
  CHECK(is_complete("") == true);
}
