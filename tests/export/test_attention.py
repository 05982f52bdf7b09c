"""Attention as TopFormer's authors published it: Paddle Inference with oneDNN computes it wrongly by default."""

from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from mobileseg.export.conversion.pdmodel import Program
from mobileseg.export.diagnosis.operator_support import check_operators
from mobileseg.export.exporter import export_network
from mobileseg.export.options import ENGINES, TARGETS
from mobileseg.runtime.engines.predictors import WRONG_FUSION, on_cpu
from mobileseg.runtime.engines.registry import load
from tests.export.conftest import SUBJECT, Toy, options, seeded

HEADS, DEPTH = 4, 8


class Attention(nn.Layer):
    """Queries, keys and values by 1x1 convolutions, the last two axes of the queries and values swapped.

    Args:
        swap: False writes the same products without the swaps.
    """

    def __init__(self, swap: bool) -> None:
        super().__init__()
        self.swap = swap
        self.query, self.key, self.value = (nn.Conv2D(16, HEADS * DEPTH, 1) for _ in range(3))
        self.last = nn.Conv2D(HEADS * DEPTH, 16, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        height, width = x.shape[2:]
        shape = [1, HEADS, DEPTH, height * width]
        query, key, value = (layer(x).reshape(shape) for layer in (self.query, self.key, self.value))
        if self.swap:
            weight = nn.functional.softmax(query.transpose([0, 1, 3, 2]) @ key, axis=-1)
            found = (weight @ value.transpose([0, 1, 3, 2])).transpose([0, 1, 3, 2])
        else:
            weight = nn.functional.softmax(paddle.matmul(query, key, transpose_x=True), axis=-1)
            found = paddle.matmul(value, weight, transpose_y=True)
        return x + self.last(found.reshape([1, HEADS * DEPTH, height, width]))


class Attentive(Toy):
    def __init__(self, swap: bool = True) -> None:
        super().__init__()
        self.attention = Attention(swap)

    def features(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.attention(F.swish(self.body(self.stem(x))))


@pytest.fixture(scope="module")
def folder(images, tmp_path_factory) -> Path:
    """Exported with all targets: every engine was compared with the network."""
    place = tmp_path_factory.mktemp("attention") / "a"
    result = export_network(
        seeded(Attentive()), place, options(output_op="none"), SUBJECT, images, targets=TARGETS, accept_weak=True
    )
    engines = {ENGINES[target] for target in TARGETS if target in ENGINES}
    assert {row.engine for row in result.rows if row.status == "ok"} == engines
    return place


def first_input(folder: Path) -> np.ndarray:
    with np.load(folder / "golden.npz") as golden:
        return np.asarray(golden[next(name for name in golden.files if name.startswith("input."))])


def test_every_engine_is_right_and_onednn_changes_nothing(folder: Path) -> None:
    image = first_input(folder)
    answers = [load(folder, "paddle", onednn=onednn).run("main", {"x": image})["logits"] for onednn in (True, False)]
    scale = answers[1].std()
    assert 0 < np.abs(answers[0] - answers[1]).max() < 1e-4 * scale  # other kernels, the same result


def test_the_option_reaches_paddle(folder: Path) -> None:
    from paddle import inference

    for onednn in (True, False):
        config = inference.Config(str(folder / "model.pdmodel"), str(folder / "model.pdiparams"))
        on_cpu(config, onednn=onednn)
        assert config.mkldnn_enabled() == onednn
        assert WRONG_FUSION not in config.pass_builder().all_passes() or not onednn


def test_paddle_as_it_comes_is_wrong_here(folder: Path) -> None:
    """The reason for all this: when a Paddle is right without us, the deleted pass may come back."""
    from paddle import inference

    image = first_input(folder)
    expected = load(folder, "paddle", onednn=False).run("main", {"x": image})["logits"]
    config = inference.Config(str(folder / "model.pdmodel"), str(folder / "model.pdiparams"))
    config.disable_glog_info()
    predictor = inference.create_predictor(config)
    handle = predictor.get_input_handle("x")
    handle.reshape(image.shape)
    handle.copy_from_cpu(image)
    predictor.run()
    found = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
    assert np.abs(found - expected).max() > 0.01 * expected.std()


@pytest.mark.parametrize(("swap", "noted"), [(True, 2), (False, 0)])
def test_the_audit_knows_it(swap: bool, noted: int, tmp_path: Path) -> None:
    from mobileseg.export.conversion.tracing import save_paddle_graph

    save_paddle_graph(seeded(Attentive(swap)), options(), tmp_path / "graph")
    found = check_operators(Program.read(tmp_path / "graph.pdmodel"), ("paddle",))
    assert [(item.level, item.operator.origin.layer) for item in found] == [("note", "attention")] * noted
