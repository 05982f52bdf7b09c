"""A ``.nb`` that would end the process is refused before the runtime sees it."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.nb import check_nb

sys.path.append(str(Path(__file__).parents[3] / "deploy" / "lite" / "tests"))
from fixture_artefacts import nb_bytes

REFERENCE = Path(__file__).parents[2] / "reference" / "artefacts"
HEAD = (2).to_bytes(2, "little") + b"v2.13-rc".ljust(16, b"\0")
GRAPH = (3).to_bytes(8, "little") + b"abc"
WEIGHTS = bytes(4) + b"\6\0\2\0" + bytes(4) + b"\6\0\0\0\4\0\0\0xy" + b"\5\0\0\0\4\0\0\0z"


def check(folder: Path, data: bytes) -> None:
    (folder / "model.nb").write_bytes(data)
    check_nb(folder / "model.nb")


def test_whole_files(tmp_path: Path) -> None:
    check(tmp_path, HEAD + GRAPH + WEIGHTS)
    check(tmp_path, b"\1" + HEAD[1:] + GRAPH + b"weights")
    check(tmp_path, b"\0" + HEAD[1:] + b"anything")
    check(tmp_path, nb_bytes([({"x": np.zeros((1, 3, 2, 2), np.float32)}, {"y": np.zeros(3, np.int32)})]))


@pytest.mark.parametrize("network", ["semantic", "instance"])
def test_files_of_the_real_converter(network: str, tmp_path: Path) -> None:
    whole = (REFERENCE / f"format1_{network}" / "model.x86.nb").read_bytes()
    check(tmp_path, whole)
    for changed in (whole[:-1], whole[: len(whole) // 2], whole + b"\0"):
        with pytest.raises(RuntimeEngineError, match="do not add up"):
            check(tmp_path, changed)


@pytest.mark.parametrize("layout", [1, 2])
def test_cut_at_every_byte(layout: int, tmp_path: Path) -> None:
    whole = HEAD + GRAPH + WEIGHTS if layout == 2 else b"\1" + HEAD[1:] + GRAPH
    for size in range(len(whole)):
        with pytest.raises(RuntimeEngineError, match=r"is no \.nb|do not add up"):
            check(tmp_path, whole[:size])


@pytest.mark.parametrize(
    "data",
    [
        HEAD + GRAPH + WEIGHTS + b"\0",
        HEAD + b"\xff" * 8 + b"abc" + WEIGHTS,
        HEAD + GRAPH + b"\1" + WEIGHTS[1:],
        HEAD + GRAPH + WEIGHTS.replace(b"\6\0\2", b"\6\0\3"),
        HEAD + GRAPH + WEIGHTS.replace(b"\6\0\2", b"\5\0\2"),
        HEAD + GRAPH + WEIGHTS.replace(b"\5\0\0\0\4", b"\3\0\0\0\4"),
        HEAD + GRAPH + WEIGHTS.replace(b"\5\0\0\0\4", b"\5\0\0\x7f\4"),
        b"\3" + HEAD[1:] + GRAPH + WEIGHTS,
        b"",
    ],
)
def test_lengths_that_do_not_add_up(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(RuntimeEngineError) as caught:
        check(tmp_path, data)
    assert "model.nb" in str(caught.value)
