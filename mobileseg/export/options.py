"""What a network is exported to: size, input and output form, targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mobileseg.errors import ExportError

if TYPE_CHECKING:
    from mobileseg.data.pixel_format import PixelFormat

OutputOp = Literal["labels", "probabilities", "argmax", "softmax", "none"]

TARGETS = ("paddle", "onnx", "lite_arm", "lite_x86", "ncnn")
"""Engine keys of an exported model, in the order of the table that export prints."""

EXTRA_TARGETS = ("torchscript",)
"""Targets that are written only when they are asked for by name."""

ALL_TARGETS = (*TARGETS, *EXTRA_TARGETS)

BLOCKED = ("onnx",)
"""Targets whose engine keeps channels in blocks; their graphs may be other ones (`blocked_form` of a layer)."""

ENGINES = {
    "paddle": "paddle",
    "onnx": "onnxruntime",
    "lite_x86": "lite",
    "ncnn": "ncnn",
    "torchscript": "torchscript",
}
"""Target -> name of the engine that runs it on a Linux x86-64 host; lite_arm has none there."""

PACKAGES = {
    "paddle": ("paddle",),
    "onnx": ("paddle2onnx", "onnx", "onnxslim"),
    "lite_arm": ("paddlelite",),
    "lite_x86": ("paddlelite",),
    "ncnn": ("paddle2onnx", "onnx", "onnxslim", "pnnx"),
    "torchscript": ("paddle2onnx", "onnx", "onnxslim", "torch", "onnx2torch"),
}
"""Target -> Python packages that its converter needs."""

OUTPUT_NAMES: dict[str, str] = {
    "labels": "labels",
    "probabilities": "probabilities",
    "argmax": "labels",
    "softmax": "probabilities",
    "none": "logits",
}
"""Output op -> name (and kind) of the output of a graph that has it inside."""

IN_GRAPH: dict[str, OutputOp] = {"labels": "argmax", "probabilities": "softmax"}
"""Result -> the operator that makes it, where that is inside the graph; where it is not, the graph ends at the logits
of the decoder, and the runtime does the rest faster (:mod:`mobileseg.semantic.postprocess`)."""

NAME_A_SIZE = "name the size to export for: --size HEIGHT WIDTH"
"""Remedy where a graph for images of any size cannot be had."""

MAX_PIXELS = 1 << 24
"""Of an input or output, 4096 squared: beyond it the tensors of a network outgrow 32-bit indices, and converters and
engines die by signal."""


@dataclass(frozen=True)
class ExportOptions:
    """Form of the exported graphs.

    Attributes:
        height: input height in pixels; of a dynamic export, the size that is traced and verified first.
        width: input width in pixels, as `height`.
        output_op: appended to the logits: 'argmax' (int32 [1,H,W]), 'softmax' or 'none' (float32 [1,K,H,W]); or what
            the runtime is to have, 'labels' or 'probabilities', in the form that is fastest on each target.
        dynamic: height and width stay open; sides must then be multiples of the network's `size_multiple`.
        any_size: with `dynamic`, a graph that takes images of any size, and batches, as PaddleSeg's export writes it:
            operators that Paddle alone keeps exact stay in it, so it is for the target 'paddle'.
        normalize_in_graph: the graph is fed 0..255 and computes (x / 255 - mean) / std itself.
        input_dtype: 'uint8' makes the graph cast first; needs `normalize_in_graph`.
        layout: order of the input's dimensions, 'NCHW' [1,C,H,W] or 'NHWC' [1,H,W,C].
        output_size: (height, width) that the logits are resized to inside the graph (bilinear, half-pixel)
            before the output op; None leaves them at the input size.
        mean: per channel (RGB), of pixel values times `scale`.
        std: per channel (RGB), as `mean`.
        pixel_range: least and largest value of a pixel.
        opset: ONNX operator set.
        nms_in_graph: an instance segmentation graph ends after the NMS, not before it.
        at_decoder: the graph ends at the logits of the decoder, before they are resized to the input's size; the form
            that a task gives targets for the sake of 'labels' and 'probabilities'.
    """

    height: int
    width: int
    output_op: OutputOp = "labels"
    dynamic: bool = False
    any_size: bool = False
    normalize_in_graph: bool = False
    input_dtype: Literal["float32", "uint8"] = "float32"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    output_size: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    pixel_range: tuple[int, int] = (0, 255)
    opset: int = 13
    nms_in_graph: bool = False
    at_decoder: bool = False

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ExportError(f"export size is {self.height}x{self.width}, both sides must be positive")
        for what, (height, width) in {
            "export size": (self.height, self.width),
            "output size": self.output_size or (1, 1),
        }.items():
            if height * width > MAX_PIXELS:
                raise ExportError(
                    f"{what} is {height}x{width} (height x width), {height * width:,} pixels; at most {MAX_PIXELS:,} "
                    "can be exported",
                    remedy="name the size that the network is to run at",
                )
        if self.output_op not in OUTPUT_NAMES:
            raise ExportError(f"output op is '{self.output_op}', expected one of {', '.join(OUTPUT_NAMES)}")
        if self.input_dtype == "uint8" and not self.normalize_in_graph:
            raise ExportError(
                "a uint8 input needs the normalisation inside the graph", remedy="add --with_normalize, or drop uint8"
            )
        if self.any_size and not self.dynamic:
            raise ExportError("a graph for any size has a dynamic shape")
        if self.input_dtype == "uint8" and self.pixel_range[1] > 255:
            raise ExportError(f"pixels reach up to {self.pixel_range[1]}, a uint8 input up to 255", remedy="drop uint8")
        if self.dynamic and self.output_size is not None:
            raise ExportError(
                "a dynamic export cannot end at a fixed output size", remedy="drop --dynamic or --resize_in_graph"
            )
        if any(value <= 0 for value in self.std):
            raise ExportError(f"std is {self.std}, every value must be positive")
        if not 11 <= self.opset <= 17:
            raise ExportError(f"opset is {self.opset}, supported are 11 to 17", remedy="--opset_version 13")

    @property
    def channels(self) -> int:
        """Of the image."""
        return len(self.mean)

    @property
    def scale(self) -> float:
        """Factor on pixel values before mean and std."""
        return 1.0 / (self.pixel_range[1] - self.pixel_range[0])

    @property
    def pixels(self) -> PixelFormat:
        """What pixels images have."""
        from mobileseg.data.pixel_format import PixelFormat  # not for a command that only lists its flags

        return PixelFormat(self.channels, None if self.pixel_range == (0, 255) else self.pixel_range)

    @property
    def graph_op(self) -> OutputOp:
        """The operator that a graph ends with which has the output op inside."""
        return IN_GRAPH.get(self.output_op, self.output_op)

    @property
    def output_name(self) -> str:
        """Name of the graph's output: labels, probabilities or logits."""
        return OUTPUT_NAMES[self.output_op]

    def input_shape(self, open_size: bool = False) -> list[int]:
        """Shape of the input; -1 for height and width when ``open_size``, then also for the batch of `any_size`."""
        size = [-1, -1] if open_size else [self.height, self.width]
        batch = -1 if open_size and self.any_size else 1
        return [batch, self.channels, *size] if self.layout == "NCHW" else [batch, *size, self.channels]


def check_targets(targets: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """The targets in their fixed order, without repetitions.

    Raises:
        ExportError: an unknown target, or none at all.
    """
    unknown = [target for target in targets if target not in ALL_TARGETS]
    if unknown or not targets:
        raise ExportError(
            f"unknown export target{'s' if len(unknown) > 1 else ''} {', '.join(unknown) or '(none given)'}",
            remedy=f"choose from {' '.join(ALL_TARGETS)}",
        )
    return tuple(target for target in ALL_TARGETS if target in targets)
