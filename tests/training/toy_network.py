"""A plugin for the tests of the engine: the smallest network with everything that has a state."""

import paddle
from paddle import nn

from mobileseg.registry import NETWORKS


@NETWORKS.add_component
class ToyNetwork(nn.Layer):
    """Two convolutions, a normalisation, dropout, and an auxiliary output in training."""

    task = "semantic"

    def __init__(self, num_classes: int, width: int = 6, dropout: float = 0.2) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.stem = nn.Conv2D(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2D(width)
        self.dropout = nn.Dropout2D(dropout)
        self.head = nn.Conv2D(width, num_classes, 3, padding=1)
        self.aux = nn.Conv2D(width, num_classes, 1)

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        features = self.dropout(nn.functional.relu(self.norm(self.stem(x))))
        outputs = {"logits": self.head(features)}
        if self.training:
            outputs["logits_aux1"] = self.aux(features)
        return outputs
