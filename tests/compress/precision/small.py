"""A small network with what quantisation has to cope with: a residual, a depthwise kernel, a head used twice."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from mobileseg.export.manifest import Subject
from mobileseg.export.options import ExportOptions
from mobileseg.export.recording import to_network

SIZE = (32, 48)
SUBJECT = Subject("small", ("a", "b", "c"), ((0, 0, 0), (255, 0, 0), (0, 255, 0)), multiple=4)


class Body(nn.Layer):
    """Two features, strides 2 and 4."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2D(3, 8, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(8), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2D(8, 8, 3, 1, 1, groups=8, bias_attr=False), nn.BatchNorm2D(8), nn.ReLU6()
        )
        self.linear = nn.Sequential(nn.Conv2D(8, 8, 1, bias_attr=False), nn.BatchNorm2D(8))
        self.down = nn.Sequential(nn.Conv2D(8, 8, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(8), nn.ReLU())

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        x = self.stem(x)
        fine = x + self.linear(self.depthwise(x))
        return [fine, self.down(fine)]


class Head(nn.Layer):
    """One pair of kernels for both levels."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2D(8, 8, 3, 1, 1)
        self.out = nn.Conv2D(8, 3, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.out(F.hardswish(self.inner(x)))


class Small(nn.Layer):
    """Three classes."""

    task = "semantic"
    num_classes = 3
    size_multiple = 4

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Body()
        self.heads = nn.LayerList([Head()])

    def components(self) -> dict[str, nn.Layer]:
        return {"backbone": self.backbone, "head": self.heads}

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        fine, coarse = self.backbone(x)
        head = self.heads[0]
        size = [side * 2 for side in fine.shape[2:]]
        levels = [F.interpolate(head(level), size=size, mode="bilinear") for level in (fine, coarse)]
        return {"logits": levels[0] + levels[1]}


class EndsEarly(Small):
    """Says what its logits are resized from: a kernel without bias writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.heads[0].out = nn.Conv2D(8, 3, 1, bias_attr=False)

    def coarse_logits(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.heads[0](self.backbone(x)[0])

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        size = [x.shape[2], x.shape[3]]
        return {"logits": F.interpolate(self.coarse_logits(x), size=size, mode="bilinear", align_corners=False)}


def small(kind: type[Small] = Small) -> Small:
    """A network in evaluation mode, with weights and statistics drawn from a seed."""
    network = kind()
    rng = np.random.default_rng(0)
    for name, tensor in network.state_dict().items():
        shape = tuple(tensor.shape)
        values = rng.uniform(-1, 1, shape)
        if name.endswith("_variance"):
            values = np.abs(values) + 0.5
        elif len(shape) > 1:
            values *= np.sqrt(6.0 / np.prod(shape[1:]))
        tensor.set_value(values.astype(np.float32))
    network.eval()
    return network


def streams(count: int = 3) -> list[list[np.ndarray]]:
    """Streams of one image, uint8 [H,W,3]."""
    return [[pixels] for pixels in np.random.default_rng(1).integers(0, 256, (count, *SIZE, 3)).astype(np.uint8)]


def images(count: int = 3) -> np.ndarray:
    """The same images, normalised, float32 [N,3,H,W]."""
    return np.concatenate([to_network(image.astype(np.float32), options()) for (image,) in streams(count)])


def options() -> ExportOptions:
    return ExportOptions(height=SIZE[0], width=SIZE[1])


def run(network: nn.Layer, image: np.ndarray) -> np.ndarray:
    """Logits [3,H,W]."""
    with paddle.no_grad():
        return np.asarray(network(paddle.to_tensor(image[None]))["logits"].numpy()[0])
