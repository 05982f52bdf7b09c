"""Tracing: where Paddle's rewritten sources are, and how often a source is rewritten."""

from pathlib import Path

import paddle
import pytest
from paddle import nn
from paddle.jit.dy2static import program_translator

from mobileseg.export.conversion.tracing import save_paddle_graph
from mobileseg.nn.blocks import resize
from mobileseg.nn.compat import spatial_size
from tests.export.conftest import Toy, options, seeded


class Block(nn.Layer):
    """One of several layers of a class."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2D(4, 4, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        for _ in range(2):
            x = self.conv(x)
        return x


class Deep(Toy):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.LayerList([Block() for _ in range(5)])

    def logits(self, x: paddle.Tensor) -> paddle.Tensor:
        found = resize(self.head(self.features(x)), spatial_size(x))
        for block in self.blocks:
            found = block(found)
        return found


def test_a_home_directory_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("")  # a file: nobody can make a folder in it, root neither
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    save_paddle_graph(seeded(Toy()), options(), tmp_path / "graph")
    assert (tmp_path / "graph.pdmodel").is_file()


def test_a_forward_is_rewritten_once_for_all_layers_of_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten: list[str] = []
    convert = program_translator.FunctionCache._convert

    def counted(self, function):
        rewritten.append(function.__qualname__)
        return convert(self, function)

    monkeypatch.setattr(program_translator.FunctionCache, "_convert", counted)
    network = seeded(Deep())
    program = save_paddle_graph(network, options(), tmp_path / "graph")
    assert rewritten.count("Block.forward") == 1
    layers = {op.origin.layer for op in program.operators()}
    assert {f"blocks.{index}.conv" for index in range(5)} <= layers
    assert all("forward" not in layer.__dict__ for layer in network.sublayers(include_self=True))
