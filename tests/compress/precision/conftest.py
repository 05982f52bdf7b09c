"""The small network, calibrated once for the session."""

import pytest

from mobileseg.compress.fold import fold_norms
from mobileseg.compress.precision.prepare import Prepared, calibrate, trace
from mobileseg.compress.precision.ranges import Ranges
from tests.compress.precision.small import SUBJECT, options, small, streams


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Prepared:
    network = small()
    fold_norms(network, (32, 48))
    return trace(network, options(), SUBJECT, tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def ranges(prepared) -> Ranges:
    """By PaddleSlim, the average of the largest values."""
    return calibrate(prepared, streams(), "avg")
