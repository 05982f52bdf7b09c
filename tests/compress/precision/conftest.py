"""The small network, calibrated once for the session."""

import pytest

from mobileseg.compress.fold import fold_norms
from mobileseg.compress.precision.graph import save_float_graph
from mobileseg.compress.precision.prepare import Prepared, calibrate
from mobileseg.compress.precision.ranges import Ranges, find_calls
from mobileseg.export.tasks import task_for
from tests.compress.precision.small import SUBJECT, images, options, small


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Prepared:
    network = small()
    fold_norms(network, (32, 48))
    task = task_for(network, options())
    work = tmp_path_factory.mktemp("prepared")
    program = save_float_graph(network, options(), work / "float", task)
    return Prepared(network, options(), SUBJECT, task, program, work / "float.pdmodel", find_calls(program))


@pytest.fixture(scope="session")
def ranges(prepared) -> Ranges:
    """By PaddleSlim, the average of the largest values."""
    return calibrate(prepared, images(), "avg")
