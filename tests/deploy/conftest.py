"""The C++ library with its tests and the program, built once for all tests of this folder."""

import pytest

from tests.deploy.lite_build import PACKAGES, Lite, built, compiler, missing


@pytest.fixture(scope="session")
def lite() -> Lite:
    """The library, its tests and what they read; skips loudly where they cannot be built."""
    if absent := missing("doctest/doctest.h"):
        pytest.skip(f"the C++ library was NOT tested: {absent} missing; Debian: apt-get install {PACKAGES}")
    if not compiler():
        pytest.skip(f"the C++ library was NOT tested: no compiler with sanitizers; Debian: apt-get install {PACKAGES}")
    return built()


@pytest.fixture(scope="session")
def program(lite: Lite) -> Lite:
    """The same with mobileseg_lite."""
    if not lite.program.is_file():
        pytest.skip(
            "mobileseg_lite was NOT tested: OpenCV's headers are missing; Debian: apt-get install libopencv-dev"
        )
    return lite
