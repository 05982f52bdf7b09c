#!/usr/bin/env bash
# Installs what the tests of the C++ core (deploy/lite) are built with, where it may: Debian's packages, as root.
# Called by `make test`. Never fails: without the packages those tests are skipped and say so.
set -uo pipefail

needed="cmake ninja-build clang libclang-rt-dev clang-format zlib1g-dev nlohmann-json3-dev doctest-dev"
program="libopencv-dev" # of mobileseg_lite alone

has_needed() {
    command -v cmake && command -v ninja && command -v clang++ && command -v clang-format \
        && [ -f /usr/include/zlib.h ] && [ -f /usr/include/nlohmann/json.hpp ] && [ -f /usr/include/doctest/doctest.h ] \
        && echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' \
        | clang++ -x c++ -fsanitize=fuzzer,address - -o /dev/null
} >/dev/null 2>&1

has_program() { [ -f /usr/include/opencv4/opencv2/highgui.hpp ]; }

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

apt() { # bounded: a mirror that does not answer, or another apt at work, must not hold up the tests
    DEBIAN_FRONTEND=noninteractive timeout -k 10 "$1" apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=15 \
        -o Acquire::https::Timeout=15 -o DPkg::Lock::Timeout=60 "${@:2}" </dev/null >/dev/null 2>&1
}

install() { # install SECONDS PACKAGE...
    echo "setup: installing ${*:2}"
    apt "$1" install -y --no-install-recommends --no-remove "${@:2}"
}

if has_needed && has_program; then exit 0; fi
if may_install; then
    if apt 90 update; then
        # shellcheck disable=SC2086
        has_needed || install 600 $needed
        # shellcheck disable=SC2086
        has_program || install 600 $program
    else
        echo "setup: the package mirrors were not reached"
    fi
fi
if ! has_needed; then
    echo "setup: tests of the C++ core (deploy/lite) will be skipped, all or in part; Debian: sudo apt-get install $needed"
fi
if ! has_program; then
    echo "setup: tests of mobileseg_lite will be skipped; Debian: sudo apt-get install $program"
fi
exit 0
