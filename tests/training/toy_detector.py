"""A plugin for tests: a network that finds coloured blocks by weights that are written down, not learnt."""

import numpy as np
import paddle
from paddle import nn

from mobileseg.instance.anchors import VARIANCES, make_anchors
from mobileseg.registry import NETWORKS

CELL = 16


@NETWORKS.add_component
class ToyDetector(nn.Layer):
    """Every cell of 16x16 pixels that is mostly red, green or blue is an object; its mask is what has that colour."""

    task = "instance"
    variances = VARIANCES
    num_prototypes = 4
    size_multiple = CELL

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.conf = nn.Conv2D(3, 4, CELL, stride=CELL)
        self.loc = nn.Conv2D(3, 4, CELL, stride=CELL)
        self.mask = nn.Conv2D(3, 4, CELL, stride=CELL)
        self.proto = nn.Conv2D(3, 4, 4, stride=4)
        cells = np.ones((CELL, CELL), np.float32) / CELL**2
        own = np.eye(4, 3, k=-1, dtype=np.float32) * 1.5 - 0.5  # one colour and not the two others; the first row: none
        own[0] = 0
        self.conf.weight.set_value(8 * own[:, :, None, None] * cells)
        self.conf.bias.set_value(np.array([2, 0, 0, 0], np.float32))
        self.loc.weight.set_value(np.zeros((4, 3, CELL, CELL), np.float32))
        self.loc.bias.set_value(np.zeros(4, np.float32))
        colours = np.roll(own, -1, axis=0)  # three prototypes of colours and one of everywhere
        self.mask.weight.set_value(4 * colours[:, :, None, None] * cells)
        self.mask.bias.set_value(np.array([0, 0, 0, -1], np.float32))
        small = np.ones((4, 4), np.float32) / 16
        self.proto.weight.set_value(6 * colours[:, :, None, None] * small)
        self.proto.bias.set_value(np.array([0, 0, 0, 1], np.float32))

    def anchors(self, height: int, width: int) -> np.ndarray:
        """One per cell."""
        return make_anchors([(height // CELL, width // CELL)], (height, width), [[CELL]], [1.0])

    def components(self) -> dict[str, nn.Layer]:
        return {"head": self.conf}

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        rows = {name: paddle.transpose(getattr(self, name)(x), [0, 2, 3, 1]) for name in ("conf", "loc", "mask")}
        flat = {name: paddle.reshape(value, [1, -1, 4]) for name, value in rows.items()}
        return {
            "loc": flat["loc"],
            "conf": nn.functional.softmax(flat["conf"], axis=-1),
            "mask": paddle.tanh(flat["mask"]),
            "proto": nn.functional.relu(self.proto(x)),
        }
