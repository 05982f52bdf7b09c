"""A plugin for the tests of quantisation: the toy network of the engine, in parts."""

import paddle
from paddle import nn

from mobileseg.registry import NETWORKS


class Stem(nn.Layer):
    """Convolution, norm, activation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2D(3, width, 3, padding=1, bias_attr=False)
        self.norm = nn.BatchNorm2D(width)
        self.depthwise = nn.Conv2D(width, width, 3, padding=1, groups=width)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return nn.functional.relu(self.depthwise(nn.functional.relu(self.norm(self.conv(x)))))


@NETWORKS.add_component
class PartsNetwork(nn.Layer):
    """A stem and a head that say that they are components."""

    task = "semantic"
    size_multiple = 1

    def __init__(self, num_classes: int, width: int = 8) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.stem = Stem(width)
        self.head = nn.Conv2D(width, num_classes, 3, padding=1)
        self.aux = nn.Conv2D(width, num_classes, 1)

    def components(self) -> dict[str, nn.Layer]:
        return {"stem": self.stem, "head": self.head}

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        features = self.stem(x)
        outputs = {"logits": self.head(features)}
        if self.training:
            outputs["logits_aux1"] = self.aux(features)
        return outputs
