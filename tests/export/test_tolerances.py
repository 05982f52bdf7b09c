"""Python and C++ compare with a reference by the same numbers."""

import re
from pathlib import Path

from mobileseg.export import tolerance

HEADER = Path(__file__).parents[2] / "deploy" / "lite" / "src" / "tolerances.h"


def test_the_tolerances_of_both_languages_are_the_same() -> None:
    written = {name: float(value) for name, value in re.findall(r"double k(\w+) = ([^;]+);", HEADER.read_text())}
    assert written == {
        "OutputLimit": tolerance.LIMIT,
        "InputLimit": tolerance.INPUT_LIMIT,
        "RoundedShare": tolerance.ROUNDED_SHARE,
        "Steepness": tolerance.STEEPNESS,
    }
