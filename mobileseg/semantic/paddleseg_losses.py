"""Losses of the ``paddleseg`` package under our contract: ``(output, label) -> scalar``.

Each loss is fed what PaddleSeg's own training loop feeds it: edges drawn from the label, sampled points, the masks of a
MaskFormer, another output of the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn

from mobileseg.errors import ConfigError
from mobileseg.nn.nested import cast
from mobileseg.semantic.loss_base import sample_label
from mobileseg.semantic.paddleseg_package import find_component, unknown_arguments
from mobileseg.semantic.paddleseg_repairs import gathering_booleans

EDGE_RADIUS = 2
"""Pixels on either side of a border that PaddleSeg's datasets call an edge."""

_AT_OUTPUT_SIZE = (
    "BCELoss",
    "BootstrappedCrossEntropyLoss",
    "LovaszHingeLoss",
    "RMILoss",
    "RelaxBoundaryLoss",
    "SemanticConnectivityLoss",
)
"""Losses that compare pixel by pixel and do not resize anything themselves."""
_FOR_DISTILLATION = "DistillCrossEntropyLoss"


class PaddleSegLoss(nn.Layer):
    """A loss of PaddleSeg, for one output of a network.

    Args:
        original: PaddleSeg's loss.
        num_classes: number of classes, for losses that compare with edges.
        ignore_index: label value of pixels that take no part, where the loss does not say.
    """

    task = "semantic"

    def __init__(self, original: nn.Layer, num_classes: int, ignore_index: int = 255) -> None:
        super().__init__()
        self.original = original
        self.num_classes = num_classes
        self.ignore_index = int(getattr(original, "ignore_index", ignore_index))
        self.name = type(original).__name__

    def forward(self, output: Any, label: paddle.Tensor) -> paddle.Tensor:
        """The loss of one output.

        Args:
            output: what the network gives at the place of this loss: float [N, K, h, w], or PaddleSeg's tuple or
                dictionary of tensors.
            label: int64 [N, H, W]; never changed.

        Returns:
            float32 scalar.
        """
        with paddle.amp.auto_cast(enable=False):
            return self._loss(cast(output, "float32"), label.astype("int64").clone()).astype("float32").sum()

    def of_outputs(self, outputs: Mapping[str, Any], name: str, label: paddle.Tensor) -> paddle.Tensor:
        """The loss of the output ``name`` where it needs another one: KLLoss compares the first two."""
        if self.name != "KLLoss":
            return self.forward(outputs[name], label)
        first, second = list(outputs.values())[:2]
        with paddle.amp.auto_cast(enable=False):
            loss = self.original(first.astype("float32"), second.astype("float32").detach())
        return loss.astype("float32").sum()

    def _loss(self, output: Any, label: paddle.Tensor) -> paddle.Tensor:
        if self.name == "MaskFormerLoss":
            with gathering_booleans():
                return self.original(output, instance_targets(label, self.original.num_classes, self.ignore_index))
        if self.name == "BCELoss" and self.original.edge_label:
            return self.original(output, edges(label, self.num_classes).unsqueeze(1))
        if self.name in ("L1Loss", "MSELoss"):
            return self.original(output, label.unsqueeze(1).astype("float32").expand_as(output))
        if self.name in _AT_OUTPUT_SIZE and isinstance(output, paddle.Tensor):
            label = sample_label(label, *output.shape[2:])
        return self.original(output, label)


def build_paddleseg_loss(name: str, kwargs: Mapping[str, Any], num_classes: int, ignore_index: int) -> PaddleSegLoss:
    """Build a loss of the ``paddleseg`` package.

    Args:
        name: name in PaddleSeg's registry.
        kwargs: its arguments.
        num_classes: number of classes of the training labels.
        ignore_index: of the training labels; it and num_classes are used where the loss takes them and the arguments
            do not say.

    Raises:
        DependencyError: paddleseg is not installed, or another version.
        ConfigError: no such loss, arguments that it does not take, or another number of classes.
    """
    if name == _FOR_DISTILLATION:
        raise ConfigError(
            f"paddleseg.{name} compares two networks, it is no loss of one", remedy="use the section distill"
        )
    arguments = dict(kwargs)
    for reason, remedy in unknown_arguments("loss", name, arguments).values():
        raise ConfigError(reason, remedy=remedy)
    for argument, value in {"ignore_index": ignore_index, "num_classes": num_classes}.items():
        if not unknown_arguments("loss", name, {argument: value}):
            arguments.setdefault(argument, value)
    if arguments.get("num_classes", num_classes) != num_classes:
        raise ConfigError(
            f"paddleseg.{name} is for {arguments['num_classes']} classes, the training labels have {num_classes}",
            remedy=f"write num_classes: {num_classes}, or leave it out",
        )
    try:
        with paddle.utils.unique_name.guard(f"paddleseg_{name}_"):
            original = find_component("loss", name)(**arguments)
    except Exception as error:  # foreign code: assertions, missing values
        reason = f"paddleseg.{name} cannot be built: {type(error).__name__}: {error}"
        raise ConfigError(reason, remedy="check its arguments") from error
    return PaddleSegLoss(original, num_classes, ignore_index)


def edges(label: paddle.Tensor, num_classes: int, radius: int = EDGE_RADIUS) -> paddle.Tensor:
    """Where another class is near, by the package's own function, which its datasets call with ``edge: True``.

    Args:
        label: integer [N, H, W].
        num_classes: number of classes.
        radius: pixels; those within it of a pixel of another class, or of the border of the image, count.

    Returns:
        int64 [N, H, W]: 1 at edges, else 0.
    """
    from paddleseg.transforms.functional import mask_to_binary_edge

    found = [mask_to_binary_edge(mask, radius, num_classes)[0] for mask in label.numpy()]
    return paddle.to_tensor(np.stack(found).astype(np.int64))


def instance_targets(label: paddle.Tensor, num_classes: int, ignore_index: int = 255) -> dict[str, paddle.Tensor]:
    """What MaskFormerLoss compares with: the classes of every image and their masks.

    Args:
        label: integer [N, H, W].
        num_classes: number of classes; every image gets as many places.
        ignore_index: label value of no class; fills the places that are not needed.

    Returns:
        ``gt_classes`` int64 [N, num_classes] and ``gt_masks`` bool [N, num_classes, H, W].
    """
    values = label.numpy()
    classes = np.full((len(values), num_classes), ignore_index, np.int64)
    masks = np.zeros((len(values), num_classes, *values.shape[1:]), np.bool_)
    for image, places, shapes in zip(values, classes, masks, strict=True):
        present = [value for value in np.unique(image) if value != ignore_index]
        for index, value in enumerate(present):
            places[index] = value
            shapes[index] = image == value
    return {"gt_classes": paddle.to_tensor(classes), "gt_masks": paddle.to_tensor(masks)}
