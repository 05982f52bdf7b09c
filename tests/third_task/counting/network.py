"""The components of the task 'counting', a plugin: how bright is the image, and the sum over the frames so far."""

from __future__ import annotations

from typing import Any

import paddle
from paddle import nn

from mobileseg.data.formats.listfile import Dataset
from mobileseg.nn.graphs import Deployment, GraphInput, NetworkGraph
from mobileseg.registry import DATASETS, LOSSES, NETWORKS

SCALAR = (1, 1, 1, 1)


class Stem(nn.Layer):
    """Level of an image, [N, 1, 1, 1], and a count of one frame."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Conv2D(3, 1, 1)

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        level = self.weigh(x).mean(axis=[2, 3], keepdim=True)
        return {"level": level, "one": level * 0.0 + 1.0}


class Count(nn.Layer):
    """One frame more, and the level times the number of frames."""

    def __init__(self) -> None:
        super().__init__()
        self.step = self.create_parameter([1], default_initializer=nn.initializer.Constant(1.0))
        self.step.stop_gradient = True

    def forward(self, level: paddle.Tensor, kept: paddle.Tensor) -> dict[str, paddle.Tensor]:
        frames = kept + self.step
        return {"frames": frames, "total": level * frames}


@NETWORKS.add_component
class Counter(nn.Layer):
    """Two graphs and a counter as state."""

    task = "counting"

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.stem = Stem()
        self.count = Count()

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        return self.stem(x)

    def graphs(self, size: tuple[int, int]) -> Deployment:
        image = GraphInput("x", (1, 3, *size))
        scalars = (GraphInput("level", SCALAR), GraphInput("kept", SCALAR))
        stem = NetworkGraph("stem", self.stem, (image,), ("level", "one"))
        count = NetworkGraph("count", self.count, scalars, ("frames", "total"))
        return Deployment(
            (stem, count),
            {"first": ("stem",), "later": ("stem", "count")},
            {"first": {"kept": "one"}, "later": {"kept": "frames"}},
        )


@LOSSES.add_component
class LevelLoss(nn.Layer):
    """Squared distance from the share of pixels that are class 1."""

    task = "counting"
    is_criterion = True

    def forward(self, outputs: dict[str, paddle.Tensor], batch: dict[str, Any]) -> dict[str, paddle.Tensor]:
        share = (batch["label"] == 1).astype("float32").mean(axis=[1, 2])
        return {"level": ((outputs["level"].reshape([-1]) - share) ** 2).mean()}


@DATASETS.add_component
class CountingDataset(Dataset):
    """A list of images and masks; frames of three make a sequence."""

    task = "counting"

    def sequences(self) -> list[range]:
        return [range(start, min(start + 3, len(self))) for start in range(0, len(self), 3)]
