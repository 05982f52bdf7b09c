"""A small network with the operators that need care, and one exported model of it for the whole session."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from mobileseg.export.exporter import ExportResult, export_network
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.manifest import Subject
from mobileseg.export.options import ExportOptions
from mobileseg.nn.blocks import resize
from mobileseg.nn.compat import spatial_size

SIZE = (48, 64)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUBJECT = Subject(
    "toy", ("a", "b", "c", "d"), ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)), config_sha256="0" * 64, multiple=4
)


class Toy(nn.Layer):
    """Strided convolution, batch norm, relu6, swish, bilinear upsampling; four classes that all appear."""

    task = "semantic"
    num_classes = 4
    size_multiple = 4

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2D(3, 16, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(16), nn.ReLU6())
        self.body = nn.Conv2D(16, 16, 3, 2, 1)
        self.head = nn.Conv2D(16, 4, 1)

    def features(self, x: paddle.Tensor) -> paddle.Tensor:
        """Float32 [N,16,H/4,W/4]."""
        return F.swish(self.body(self.stem(x)))

    def logits(self, x: paddle.Tensor) -> paddle.Tensor:
        """Float32 [N,4,H,W]."""
        return resize(self.head(self.features(x)), spatial_size(x))

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        return {"logits": self.logits(x)}


def seeded(layer: nn.Layer, seed: int = 0) -> Any:
    """The layer in evaluation mode with weights drawn from a seed."""
    rng = np.random.default_rng(seed)
    state = {}
    for key, value in layer.state_dict().items():
        shape = tuple(value.shape)
        noise = rng.uniform(-1, 1, shape).astype(np.float32)
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        state[key] = noise * np.float32(np.sqrt(3.0 / fan_in)) if len(shape) > 1 else 1 + 0.2 * np.abs(noise)
    layer.set_state_dict(state)
    layer.eval()
    return layer


def options(**changes: Any) -> ExportOptions:
    """Export options of the toy network."""
    return ExportOptions(**({"height": SIZE[0], "width": SIZE[1], "mean": MEAN, "std": STD} | changes))


@pytest.fixture(scope="session")
def images() -> tuple[np.ndarray, ...]:
    """Drawn scenes of another size than the network's input."""
    return synthetic_images((60, 90), 6)


@pytest.fixture(scope="session")
def toy() -> Any:
    return seeded(Toy())


@pytest.fixture(scope="session")
def exported(toy: Any, images: tuple[np.ndarray, ...], tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """All targets, argmax in the graph. Tests that change files take `folder`."""
    return export_network(toy, tmp_path_factory.mktemp("toy") / "artefact", options(), SUBJECT, images)


@pytest.fixture
def folder(exported: ExportResult, tmp_path: Path) -> Path:
    """A copy of the exported model."""
    return Path(shutil.copytree(exported.folder, tmp_path / "artefact"))
