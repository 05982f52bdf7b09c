#include <doctest/doctest.h>

#include <sstream>

#include "files.h"
#include "fixtures.h"
#include "mobileseg/engine.h"
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
  CHECK(nb_version(fixtures::artefact("labels") + "/model.x86.nb") == "v2.13-stand-in");
  CHECK_THROWS_WITH_AS(nb_version(fixtures::artefact("labels") + "/deploy.json"), doctest::Contains("no .nb"),
                       Error);
  CHECK_THROWS_AS(nb_version(fixtures::root() + "/nowhere"), Error);
}

TEST_CASE("a .nb that was cut short or has more at its end is refused before the runtime sees it") {
  const std::string whole = read_file(fixtures::artefact("labels") + "/model.x86.nb", std::size_t{1} << 24);
  const auto version = [](const std::string& data) {
    std::istringstream file(data);
    return nb_version(file, data.size(), "cut.nb");
  };
  CHECK(version(whole) == "v2.13-stand-in");
  for (std::size_t size = 0; size < whole.size(); size += size < 40 || size + 20 > whole.size() ? 1 : 97) {
    CAPTURE(size);
    CHECK_THROWS_AS(version(whole.substr(0, size)), Error);
  }
  CHECK_THROWS_WITH_AS(version(whole + '\0'), doctest::Contains("do not add up"), Error);
  const std::string head =
      std::string("\2\0v2.13-rc\0\0\0\0\0\0\0\0", 18) + std::string("\3\0\0\0\0\0\0\0abc", 11);
  const std::string weights(
      "\0\0\0\0\6\0\2\0\0\0\0\0"
      "\6\0\0\0\4\0\0\0xy"
      "\5\0\0\0\4\0\0\0z",
      31);
  CHECK(version(head + weights) == "v2.13-rc");
  std::string damaged = head + weights;
  damaged[head.size() + 6] = 3;  // a weight more than there are
  CHECK_THROWS_AS(version(damaged), Error);
  damaged = head + weights;
  damaged[head.size() + 15] = '\x7f';  // a weight of 2 GB
  CHECK_THROWS_AS(version(damaged), Error);
  std::string endless = head;
  endless.replace(18, 8, 8, '\xff');
  CHECK_THROWS_AS(version(endless + weights), Error);
}

TEST_CASE("labels are taken from the pixel under the centre") {
  NearestTaps taps;
  taps.set(3, 6);
  CHECK(taps.index == std::vector<std::int32_t>{0, 0, 1, 1, 2, 2});
  taps.set(6, 3);
  CHECK(taps.index == std::vector<std::int32_t>{1, 3, 5});
}

TEST_CASE("an output without data is told apart from one of another shape") {
  OutputSpec spec;
  spec.name = "labels";
  spec.shape = {1, 2, 2};
  const std::int32_t values[4] = {};
  CHECK_NOTHROW(check_output(spec, {values, DType::kInt32, {1, 2, 2}}, "lite"));
  CHECK_THROWS_WITH_AS(check_output(spec, {nullptr, DType::kInt32, {1, 2, 2}}, "lite"),
                       doctest::Contains("output 'labels' holds no data"), Error);
  CHECK_THROWS_WITH_AS(check_output(spec, {values, DType::kInt32, {1, 2, 3}}, "lite"),
                       doctest::Contains("is int32 [1, 2, 3], the manifest says int32 [1, 2, 2]"), Error);
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
