#include <doctest/doctest.h>

#include "files.h"
#include "fixtures.h"
#include "mobileseg/error.h"
#include "mobileseg/tensor.h"
#include "nb_header.h"
#include "resize.h"
#include "sha256.h"

using namespace mobileseg;

TEST_CASE("SHA-256 gives the published digests") {  // FIPS 180-4, examples
  CHECK(sha256_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_of(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 does not depend on how the message is cut") {
  const std::string message(300, 'x');
  for (const std::size_t part : {1U, 63U, 64U, 65U, 127U}) {
    Sha256 hash;
    for (std::size_t at = 0; at < message.size(); at += part) {
      hash.update(message.data() + at, std::min<std::size_t>(part, message.size() - at));
    }
    CHECK(hash.hex() == sha256_of(message));
  }
}

TEST_CASE("versions of graph and runtime") {
  CHECK(versions_fit("v2.13-rc", "v2.13-rc"));
  CHECK(versions_fit("2.13.0", "v2.13-rc"));
  CHECK_FALSE(versions_fit("v2.12", "v2.13-rc"));
  CHECK_FALSE(versions_fit("v2.1", "v2.13"));
  CHECK_FALSE(versions_fit("develop", "v2.13"));
  CHECK_FALSE(versions_fit("", ""));
}

TEST_CASE("the head of a .nb") {
  CHECK(nb_version(fixtures::root() + "/artefacts/labels/model.x86.nb") == "v2.13-stand-in");
  CHECK_THROWS_WITH_AS(nb_version(fixtures::root() + "/artefacts/labels/deploy.json"),
                       doctest::Contains("no .nb"), Error);
  CHECK_THROWS_AS(nb_version(fixtures::root() + "/nowhere"), Error);
}

TEST_CASE("labels are taken from the pixel under the centre") {
  NearestTaps taps;
  taps.set(3, 6);
  CHECK(taps.index == std::vector<std::int32_t>{0, 0, 1, 1, 2, 2});
  taps.set(6, 3);
  CHECK(taps.index == std::vector<std::int32_t>{1, 3, 5});
}

TEST_CASE("shapes") {
  Shape shape{2, 3};
  CHECK(shape.str() == "[2, 3]");
  CHECK(shape.count() == 6);
  CHECK(shape != Shape{2, 3, 1});
  for (int i = 0; i < 4; ++i) shape.push_back(1);
  CHECK_THROWS_AS(shape.push_back(1), Error);
}

TEST_CASE("files are written whole or not at all") {
  const std::string folder = fixtures::root() + "/scratch/deep/er";
  make_folders(folder);
  write_file(folder + "/a", "first");
  write_file(folder + "/a", "second");
  CHECK(read_file(folder + "/a", 100) == "second");
  CHECK_FALSE(is_file(folder + "/a.partial"));
  CHECK_THROWS_WITH_AS(read_file(folder + "/a", 3), doctest::Contains("at most 3"), Error);
  CHECK_THROWS_AS(read_file(folder, 100), Error);
  CHECK_THROWS_AS(write_file(folder + "/none/b", "x"), Error);
  CHECK_THROWS_AS(make_folders(folder + "/a/b"), Error);
}
