"""The parts of a manifest: image, graphs with their tensors and files, verification."""

from __future__ import annotations

import math
from dataclasses import field
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from mobileseg.data.pixel_format import PixelFormat

STRICT = ConfigDict(extra="forbid")
"""An unknown key is an error: a misspelt one would be ignored otherwise."""


@dataclass(frozen=True, config=STRICT)
class ResizeSpec:
    """How an image becomes the input size.

    Attributes:
        mode: 'stretch' to the input size whatever the aspect ratio; 'keep-ratio' to the largest size of the image's
            aspect ratio that fits, padded at the bottom and right; 'none' feeds the image at its own size (a dynamic
            graph pads it at the bottom and right to `ImageSpec.multiple`).
        rule: the one pixel rule of the suite: bilinear, half-pixel centres, float32, no antialiasing.
        padding: pixel value of what is padded, in the image's range, per channel in `ImageSpec.color` order; None
            pads with `ImageSpec.mean`, which is 0 after normalisation.
    """

    mode: Literal["stretch", "keep-ratio", "none"] = "stretch"
    rule: Literal["bilinear-half-pixel-float32"] = "bilinear-half-pixel-float32"
    padding: tuple[float, ...] | None = None


@dataclass(frozen=True, config=STRICT)
class ImageSpec:
    """What is done to an image before graphs see it: ``value = (pixel * scale - mean) / std`` per channel.

    Attributes:
        name: name of the tensor that it becomes, an input of one or several graphs.
        height: pixels; of a dynamic graph, the size it was traced with.
        width: pixels, as `height`.
        dynamic: the graph takes any size whose sides are multiples of `multiple`.
        multiple: both sides must be divisible by it; 1 when any size will do.
        channels: of the image, 1 to 4.
        range: least and largest value of a pixel; above 255 an image is uint16.
        color: order of the channels that the graph expects, of an image with three.
        layout: order of the dimensions that the graph expects; batch size is 1.
        dtype: 'float32', or 'uint8' when the graph casts by itself.
        resize: how an image of another size is brought to the input size.
        scale: factor on pixel values before mean and std, usually 1/255.
        mean: per channel, in `color` order, after `scale`.
        std: per channel, in `color` order, after `scale`.
        normalized_in_graph: the graph applies scale, mean and std; it is fed pixel values.
    """

    name: str
    height: int
    width: int
    dynamic: bool = False
    multiple: int = 1
    channels: int = 3
    range: tuple[int, int] = (0, 255)
    color: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "uint8"] = "float32"
    resize: ResizeSpec = ResizeSpec()
    scale: float = 1.0 / 255.0
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    normalized_in_graph: bool = False

    def shape(self, height: int | None = None, width: int | None = None) -> tuple[int, int, int, int]:
        """Shape of the tensor for an image of ``height`` x ``width`` (the traced size by default)."""
        height, width = height or self.height, width or self.width
        return (1, self.channels, height, width) if self.layout == "NCHW" else (1, height, width, self.channels)

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The smallest (height, width) the graph accepts that holds ``height`` x ``width``."""
        step = self.multiple
        return -(-height // step) * step, -(-width // step) * step

    @property
    def pixel_dtype(self) -> str:
        """NumPy name of the type of an image's pixels."""
        return "uint8" if self.range[1] <= 255 else "uint16"

    @property
    def pixels(self) -> PixelFormat:
        """What pixels images have."""
        return PixelFormat(self.channels, None if self.range == (0, 255) else self.range)

    def tensor(self) -> TensorSpec:
        """The image as an input of a graph."""
        size = (-1, -1) if self.dynamic else (self.height, self.width)
        shape = (1, self.channels, *size) if self.layout == "NCHW" else (1, *size, self.channels)
        return TensorSpec(self.name, self.dtype, shape)

    def problems(self) -> list[str]:
        """Contradictions; empty when it can be used."""
        found = []
        if self.height < 1 or self.width < 1 or self.multiple < 1:
            found.append("image height, width and multiple must be positive")
        elif self.padded(self.height, self.width) != (self.height, self.width):
            found.append(f"image {self.height}x{self.width} is no multiple of {self.multiple}")
        if max(self.height, self.width) > LONGEST_SIDE:
            found.append(f"image {self.height}x{self.width} has a side above {LONGEST_SIDE}")
        if not 1 <= self.channels <= 4:
            found.append(f"image channels is {self.channels}, expected 1 to 4")
        if not 0 <= self.range[0] < self.range[1] <= 65535:
            found.append(f"image range is {list(self.range)}, expected two ascending values within 0..65535")
        if not (math.isfinite(self.scale) and self.scale > 0):
            found.append(f"image scale is {self.scale}, expected a positive number")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != self.channels:
                found.append(f"image {name} has {len(values)} values for {self.channels} channels")
            if not all(math.isfinite(value) for value in values):
                found.append(f"image {name} has a value that is not finite")
        if any(value <= 0 for value in self.std):
            found.append("image std has a value that is not positive")
        pairs = zip(self.mean, self.std, strict=False)
        if not found and any((self.range[1] * self.scale + abs(mean)) / std > LARGEST_INPUT for mean, std in pairs):
            found.append(f"image scale, mean and std make inputs beyond {LARGEST_INPUT:g}")
        if self.dtype == "uint8" and not self.normalized_in_graph:
            found.append("image is uint8 but the graph does not normalise")
        padding = self.resize.padding
        if padding is not None and len(padding) != self.channels:
            found.append(f"image resize.padding has {len(padding)} values for {self.channels} channels")
        if self.resize.mode == "keep-ratio" and self.dynamic:
            found.append("image resize.mode keep-ratio needs a fixed size, and the graph takes any")
        return found


LARGEST_INPUT = 1e9
"""Of normalised pixels; networks see values below ten."""

LONGEST_SIDE = 16384
"""Longest side of an input, in pixels: what a manifest claims beyond it is damage, not an image."""


@dataclass(frozen=True, config=STRICT)
class TensorSpec:
    """One input of a graph.

    Attributes:
        name: of the tensor: the image's, an output of a graph that ran before, or one that the stream keeps.
        dtype: NumPy name of the element type.
        shape: -1 where the size follows a dynamic input; empty where it is not known.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()


ResizeRule = Literal["labels-nearest", "scores-bilinear", "probabilities-bilinear", "in-graph", "none"]


@dataclass(frozen=True, config=STRICT)
class OutputSpec:
    """One output of a graph.

    Attributes:
        name: of the tensor.
        kind: what it means, in the words of the task (its module ``runtime`` lists them); 'features' are for other
            graphs alone.
        dtype: NumPy name of the element type that the graph returns.
        shape: -1 where the size follows a dynamic input; empty where it is not known.
        resize: who brings the output to the size of the image: 'scores-bilinear' the caller, before the
            argmax; 'labels-nearest' the caller, on the labels (logits are turned into labels at their own
            size first); 'probabilities-bilinear' the caller, on the probabilities (logits are turned into them at
            their own size first); 'in-graph' nobody, it is already there; 'none' the output is no image.
        upsample: (height, width) that scores are brought to (bilinear, half-pixel centres) before anything else is done
            with them, and that is then their own size: the end of a graph that stops at the stride of its decoder.
            None where they are given as they are meant.
    """

    name: str
    kind: str
    dtype: str
    shape: tuple[int, ...] = ()
    resize: ResizeRule = "none"
    upsample: tuple[int, int] | None = None


@dataclass(frozen=True, config=STRICT)
class GraphFiles:
    """The files of one graph for one engine, relative to the folder, and its own tensor names.

    Attributes:
        model: graph file of Paddle, ONNX and Paddle Lite.
        params: weights file of Paddle.
        param: graph file of NCNN.
        bin: weights file of NCNN.
        shapes: of Paddle, the shapes of all tensors as Paddle Inference collected them, for TensorRT.
        inputs: name in the manifest -> name in this file, where they differ.
        outputs: name in the manifest -> name in this file, where they differ.
        output_specs: what this file returns, where that is not `GraphSpec.outputs` (NCNN has no argmax over
            channels, so its graph may end at the logits and the caller takes the argmax).
        precision: 'int8' when kernels run in int8, or are rounded as if they did; None for float32.
    """

    model: str | None = None
    params: str | None = None
    param: str | None = None
    bin: str | None = None
    shapes: str | None = None
    inputs: dict[str, str] | None = None
    outputs: dict[str, str] | None = None
    output_specs: tuple[OutputSpec, ...] | None = None
    precision: Literal["int8"] | None = None

    def names(self) -> list[str]:
        """The file names, in a fixed order."""
        return [name for name in (self.model, self.params, self.param, self.bin, self.shapes) if name is not None]


@dataclass(frozen=True, config=STRICT)
class GraphSpec:
    """One graph: a part of the network that engines run as a whole.

    Attributes:
        inputs: tensors that it takes.
        outputs: tensors that it gives, unless its `GraphFiles.output_specs` says otherwise.
        files: engine key ('paddle', 'onnx', 'lite_x86', 'lite_arm', 'ncnn', 'torchscript') -> files.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[OutputSpec, ...]
    files: dict[str, GraphFiles] = field(default_factory=dict)

    def outputs_of(self, engine_key: str) -> tuple[OutputSpec, ...]:
        """What the file of one engine returns."""
        return self.files[engine_key].output_specs or self.outputs


@dataclass(frozen=True, config=STRICT)
class VerificationRow:
    """One graph compared with the network it came from.

    Attributes:
        engine: engine key.
        status: 'ok', or 'converted-not-run' when nothing on the exporting machine runs this graph.
        max_diff: largest difference of raw outputs in standard deviations of the reference.
        equal: share of equal results (labels, detections), 0..1.
        size_bytes: graph and weights together.
        latency_ms: median of one run on the exporting machine.
    """

    engine: str
    status: Literal["ok", "converted-not-run"]
    max_diff: float | None = None
    equal: float | None = None
    size_bytes: int | None = None
    latency_ms: float | None = None
