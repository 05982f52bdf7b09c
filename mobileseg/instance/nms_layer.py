"""The layer that ends a graph with NMS."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.base.layer_helper import LayerHelper

from mobileseg.export.conversion.wrapper import DeployInput
from mobileseg.export.options import ExportOptions
from mobileseg.instance.options import DetectionOptions


class DeployDetections(DeployInput):
    """Pixels (or a normalised image) in; detections, their mask coefficients and the prototypes out.

    It can only be traced: Paddle has no call for its operator.

    Args:
        network: returns ``loc``, ``conf``, ``mask`` and ``proto``.
        options: form of the input.
        anchors: float32 [P,4].
        variances: of the coding of the boxes.
        detection: thresholds and number of detections.
    """

    def __init__(
        self,
        network: nn.Layer,
        options: ExportOptions,
        anchors: np.ndarray,
        variances: tuple[float, float],
        detection: DetectionOptions,
    ) -> None:
        super().__init__(network, options)
        self.detection = detection
        centre, size = anchors[:, :2], anchors[:, 2:]
        for name, values in {
            "centre": centre,
            "size": size,
            "step": variances[0] * size,
            "growth": np.full_like(size, variances[1]),
        }.items():
            self.register_buffer(name, paddle.to_tensor(values.astype(np.float32)), persistable=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Args: x as the options say. Returns detections [M,6], coefficients [M,k], proto [1,k,h,w]."""
        found = self.outputs(x)
        loc, mask = found["loc"][0], found["mask"][0]
        centre = self.centre + loc[:, :2] * self.step
        half = self.size * paddle.exp(loc[:, 2:] * self.growth) / 2
        boxes = paddle.concat([centre - half, centre + half], axis=1).unsqueeze(0)
        scores = found["conf"][:, :, 1:].transpose([0, 2, 1])
        detections, index = self._nms(boxes, scores)
        return detections, paddle.gather(mask, index.reshape([-1])), found["proto"]

    def _nms(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        helper = LayerHelper("multiclass_nms3")
        detections = helper.create_variable_for_type_inference("float32")
        index = helper.create_variable_for_type_inference("int32")
        counts = helper.create_variable_for_type_inference("int32")
        helper.append_op(
            type="multiclass_nms3",
            inputs={"BBoxes": boxes, "Scores": scores},
            outputs={"Out": detections, "Index": index, "NmsRoisNum": counts},
            attrs={
                "background_label": -1,  # it was taken off
                "score_threshold": self.detection.score_threshold,
                "nms_top_k": boxes.shape[1],  # all; paddle2onnx turns -1 into none
                "nms_threshold": self.detection.iou_threshold,
                "nms_eta": 1.0,
                "keep_top_k": self.detection.max_detections,
                "normalized": True,
            },
        )
        return detections, index
