"""A network that one target cannot take."""

import paddle
from paddle import nn

from tests.export.conftest import Toy


class Flattened(Toy):
    """A global branch that Paddle Lite's optimiser dies on."""

    def __init__(self) -> None:
        super().__init__()
        self.squash = nn.Flatten(2)

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        features = self.features(x)
        logits = self.head(features)
        weight = self.squash(features).mean(axis=-1).sum()
        return {"logits": nn.functional.interpolate(logits, size=list(x.shape[2:]), mode="bilinear") * weight}
