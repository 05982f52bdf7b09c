"""The layer that is exported: a network between its deployment input and output forms.

Everything that only deployment wants (normalisation, casts, layout, argmax) is here, so networks stay as
they are trained.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from mobileseg.export.options import ExportOptions


class DeployNetwork(nn.Layer):
    """Pixels (or a normalised image) in; labels, probabilities or logits out.

    Args:
        network: layer whose forward returns a dict with 'logits' float32 [N, K, H, W].
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

    def forward(self, x: Tensor) -> Tensor:
        """Args: x float32 or uint8, [1,3,H,W] or [1,H,W,3]. Returns the output named by the options."""
        if self.options.input_dtype == "uint8":
            x = x.astype("float32")  # before the transpose: Paddle has no transpose of uint8
        if self.options.layout == "NHWC":
            x = x.transpose([0, 3, 1, 2])
        if self.options.normalize_in_graph:
            x = x * self.input_scale + self.input_shift
        logits = self.network(x)["logits"]
        if self.options.output_size is not None:
            logits = F.interpolate(logits, size=list(self.options.output_size), mode="bilinear", align_corners=False)
        if self.options.output_op == "argmax":
            return paddle.argmax(logits, axis=1, dtype="int32")
        if self.options.output_op == "softmax":
            return F.softmax(logits, axis=1)
        return logits
