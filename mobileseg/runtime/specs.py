"""The parts of a manifest: input, outputs, files per engine, verification."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from mobileseg.instance.options import OPTION_NAMES, DetectionOptions

STRICT = ConfigDict(extra="forbid")
"""An unknown key is an error: a misspelt one would be ignored otherwise."""

SEMANTIC_KINDS = ("labels", "probabilities", "logits")
RAW_KINDS = ("boxes", "scores", "coefficients", "prototypes")
SUPPRESSED_KINDS = ("detections", "coefficients", "prototypes")

OutputKind = Literal["labels", "probabilities", "logits", "boxes", "scores", "coefficients", "prototypes", "detections"]


@dataclass(frozen=True, config=STRICT)
class ResizeSpec:
    """How an image becomes the input size.

    Attributes:
        mode: 'stretch' to the input size whatever the aspect ratio; 'none' feeds the image at its own size
            (a dynamic graph pads it at the bottom and right to `InputSpec.multiple`).
        rule: the one pixel rule of the suite: bilinear, half-pixel centres, float32, no antialiasing.
    """

    mode: Literal["stretch", "none"] = "stretch"
    rule: Literal["bilinear-half-pixel-float32"] = "bilinear-half-pixel-float32"


@dataclass(frozen=True, config=STRICT)
class InputSpec:
    """The image input: ``value = (pixel * scale - mean) / std`` per channel, unless the graph does it.

    Attributes:
        name: name of the input, the key of `Engine.run`'s argument.
        height: pixels; of a dynamic graph, the size it was traced with.
        width: pixels, as `height`.
        dynamic: the graph takes any size whose sides are multiples of `multiple`.
        multiple: both sides must be divisible by it; 1 when any size will do.
        color: order of the channels that the graph expects.
        layout: order of the dimensions that the graph expects; batch size is 1.
        dtype: 'float32', or 'uint8' when the graph casts by itself.
        resize: how an image of another size is brought to the input size.
        scale: factor on 0..255 pixel values before mean and std, usually 1/255.
        mean: per channel, in `color` order, after `scale`.
        std: per channel, in `color` order, after `scale`.
        normalized_in_graph: the graph applies scale, mean and std; it is fed 0..255.
    """

    name: str
    height: int
    width: int
    dynamic: bool = False
    multiple: int = 1
    color: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "uint8"] = "float32"
    resize: ResizeSpec = ResizeSpec()
    scale: float = 1.0 / 255.0
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    normalized_in_graph: bool = False

    def shape(self, height: int | None = None, width: int | None = None) -> tuple[int, int, int, int]:
        """Shape of the input for an image of ``height`` x ``width`` (the traced size by default)."""
        height, width = height or self.height, width or self.width
        return (1, 3, height, width) if self.layout == "NCHW" else (1, height, width, 3)

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The smallest (height, width) the graph accepts that holds ``height`` x ``width``."""
        step = self.multiple
        return -(-height // step) * step, -(-width // step) * step


@dataclass(frozen=True, config=STRICT)
class OutputSpec:
    """One output of a graph.

    Attributes:
        name: key of the output in `Engine.run`'s result.
        kind: of a semantic graph 'labels' class index per pixel, [1, H, W]; 'probabilities' or 'logits',
            [1, K, h, w]. Of an instance graph, P anchors and k prototypes: 'boxes' relative to the anchors, [1, P, 4];
            'scores' after softmax, background first, [1, P, K + 1]; 'coefficients' [1, P, k]; 'prototypes'
            [1, k, h, w]. With non-maximum suppression inside, 'detections' [M, 6] (class, score, x1, y1, x2, y2 in
            parts of the input's size) take the place of boxes and scores, with 'coefficients' [M, k]; rows of a
            negative class are padding, and the other rows fall in score.
        dtype: NumPy name of the element type that the graph returns.
        shape: -1 where the size follows a dynamic input.
        resize: who brings the output to the size of the image: 'scores-bilinear' the caller, before the
            argmax; 'labels-nearest' the caller, on the labels (logits are turned into labels at their own
            size first); 'in-graph' nobody, it is already there; 'none' the output is no picture.
    """

    name: str
    kind: OutputKind
    dtype: str
    shape: tuple[int, ...]
    resize: Literal["labels-nearest", "scores-bilinear", "in-graph", "none"] = "none"


@dataclass(frozen=True, config=STRICT)
class DetectionSpec(DetectionOptions):
    """What turns the outputs of an instance graph into instances, beside `DetectionOptions`.

    Attributes:
        anchors: ``.npy`` file in the folder, float32 [P, 4], (cx, cy, w, h) in parts of the input's size; None when
            the graph decodes its boxes itself (output 'detections').
        variances: of the encoding of centre and size.
    """

    anchors: str | None = None
    variances: tuple[float, float] = (0.1, 0.2)

    @property
    def options(self) -> DetectionOptions:
        """The options alone."""
        return DetectionOptions(**{name: getattr(self, name) for name in OPTION_NAMES})


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
        output_specs: what this file returns, where that is not `Manifest.outputs` (NCNN has no argmax over
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
class ComponentSpec:
    """One part of the network as a Paddle graph of its own, so that each part can have its own precision.

    Attributes:
        name: as the network calls it, for example 'backbone'.
        model: graph file.
        params: weights file.
        shapes: the shapes of all its tensors, as `GraphFiles.shapes`.
        inputs: tensors that it takes: the graph's input, or outputs of components before it.
        outputs: tensors that it gives; of the last ones, the outputs of the whole graph.
    """

    name: str
    model: str
    params: str
    shapes: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def names(self) -> list[str]:
        """The file names, in a fixed order."""
        return [self.model, self.params, self.shapes]


GraphSet = dict[str, GraphFiles]
"""Engine key ('paddle', 'onnx', 'lite_x86', 'lite_arm', 'ncnn') -> files."""


@dataclass(frozen=True, config=STRICT)
class VerificationRow:
    """One graph compared with the network it came from.

    Attributes:
        engine: engine key.
        status: 'ok', or 'converted-not-run' when nothing on the exporting machine runs this graph.
        max_diff: largest difference of raw outputs in standard deviations of the reference.
        labels_equal: share of equal labels, 0..1.
        detections_equal: share of detections that both make, 0..1; of a graph that detects.
        size_bytes: graph and weights together.
        latency_ms: median of one run on the exporting machine.
    """

    engine: str
    status: Literal["ok", "converted-not-run"]
    max_diff: float | None = None
    labels_equal: float | None = None
    size_bytes: int | None = None
    latency_ms: float | None = None
    detections_equal: float | None = None
