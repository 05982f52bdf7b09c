"""The layers that are exported: a network between its deployment input and output forms.

Everything that only deployment wants (normalisation, casts, layout, argmax) is here, so networks stay as
they are trained.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from mobileseg.export.options import ExportOptions


class DeployInput(nn.Layer):
    """What a deployed graph does before the network; the base of the layers that say what it does after it.

    Args:
        network: layer for float32 [N, 3, H, W], normalised.
        options: form of input and output.
    """

    def __init__(self, network: nn.Layer, options: ExportOptions) -> None:
        super().__init__()
        self.network = network
        self.options = options
        # (x / 255 - mean) / std as one multiply and one add.
        scale = [1.0 / (255.0 * std) for std in options.std]
        shift = [-mean / std for mean, std in zip(options.mean, options.std, strict=True)]
        shape = [1, 3, 1, 1]
        self.register_buffer("input_scale", paddle.to_tensor(scale, dtype="float32").reshape(shape), persistable=False)
        self.register_buffer("input_shift", paddle.to_tensor(shift, dtype="float32").reshape(shape), persistable=False)

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        """The network's outputs for float32 or uint8, [1,3,H,W] or [1,H,W,3]."""
        if self.options.input_dtype == "uint8":
            x = x.astype("float32")  # before the transpose: Paddle has no transpose of uint8
        if self.options.layout == "NHWC":
            x = x.transpose([0, 3, 1, 2])
        if self.options.normalize_in_graph:
            x = x * self.input_scale + self.input_shift
        return self.network(x)


class DeployNetwork(DeployInput):
    """Pixels (or a normalised image) in; labels, probabilities or logits out."""

    def forward(self, x: Tensor) -> Tensor:
        """Args: x as the options say. Returns the output named by the options."""
        logits = self.outputs(x)["logits"]
        if self.options.output_size is not None:
            logits = F.interpolate(logits, size=list(self.options.output_size), mode="bilinear", align_corners=False)
        if self.options.output_op == "argmax":
            return paddle.argmax(logits, axis=1, dtype="int32")
        if self.options.output_op == "softmax":
            return F.softmax(logits, axis=1)
        return logits


class DeployInstances(DeployInput):
    """Pixels (or a normalised image) in; raw predictions out."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Args: x as the options say. Returns loc [1,P,4], conf [1,P,K+1], mask [1,P,k], proto [1,k,h,w]."""
        found = self.outputs(x)
        return found["loc"], found["conf"], found["mask"], found["proto"]
