"""The end of an exported semantic segmentation graph."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import Tensor

from mobileseg.export.conversion.wrapper import DeployInput


class DeployLabels(DeployInput):
    """Pixels (or a normalised image) in; labels, probabilities or logits out."""

    def forward(self, x: Tensor) -> Tensor:
        """Args: x as the options say. Returns the output named by the options."""
        if self.options.at_decoder:
            return self.network.coarse_logits(self.normalised(x))
        logits = self.outputs(x)["logits"]
        if self.options.output_size is not None:
            logits = F.interpolate(logits, size=list(self.options.output_size), mode="bilinear", align_corners=False)
        if self.options.graph_op == "argmax":
            return paddle.argmax(logits, axis=1, dtype="int32")
        if self.options.graph_op == "softmax":
            return F.softmax(logits, axis=1)
        return logits
