"""Networks and backbones of the ``paddleseg`` package under our contracts: ``type: paddleseg.PPLiteSeg``.

A network keeps PaddleSeg's parameter names, so its checkpoints fit and ours fit PaddleSeg; it returns our dict.
Backbones of either side go under networks of either side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import paddle
from paddle import nn
from paddle.jit.dy2static.convert_call_func import convert_call

from mobileseg.backbones.base import FeatureSpec
from mobileseg.errors import ConfigError
from mobileseg.nn.blocks import resize
from mobileseg.nn.compat import is_tracing, spatial_size
from mobileseg.nn.pool import BinPool
from mobileseg.semantic.known_sizes import known_sizes
from mobileseg.semantic.paddleseg_package import find_component, unknown_arguments
from mobileseg.semantic.paddleseg_repairs import no_weights_needed, provide_deformable_attention, repair

_PROBE_SIDES = (128, 224, 512)
_COARSEST = 32
_builds = itertools.count()


class PaddleSegNetwork(nn.Layer):
    """A network of PaddleSeg that returns ``{"logits", "logits_aux1", ...}``.

    It shares children, parameters and buffers with the original instead of holding it as a child: names
    stay PaddleSeg's, and a child that is replaced here is replaced there.

    Args:
        original: network whose forward returns a list of logits.
        resize_logits: whether the logits come at another size than the input's.
        size_multiple: what sides must be multiples of in a graph of dynamic size.
        probed_side: pixels of a square that the network is known to take; some take only their own.
    """

    task = "semantic"

    def __init__(self, original: nn.Layer, resize_logits: bool, size_multiple: int, probed_side: int) -> None:
        super().__init__()
        self._original = (original,)  # in a tuple, because a layer would become a child
        self._sub_layers = original._sub_layers
        self._parameters = original._parameters
        self._buffers = original._buffers
        self._non_persistable_buffer_names_set = original._non_persistable_buffer_names_set
        self.resize_logits = resize_logits
        self.size_multiple = size_multiple
        self.probed_side = probed_side

    def forward(self, x: paddle.Tensor) -> dict[str, Any]:
        """Logits of float32 [N, 3, H, W]; in training also what PaddleSeg's losses after the first take.

        Some of its losses take a tuple or a dictionary of tensors: such outputs keep their form.
        """
        original = self._original[0]
        original.training = self.training
        outputs = list(_call(original, x))
        if not self.training:
            outputs = outputs[:1]
        if self.resize_logits and isinstance(outputs[0], paddle.Tensor):
            outputs[0] = resize(outputs[0], spatial_size(x))
        return {"logits" if index == 0 else f"logits_aux{index}": output for index, output in enumerate(outputs)}

    def extra_repr(self) -> str:
        return f"paddleseg {type(self._original[0]).__name__}"


def _call(original: nn.Layer, x: paddle.Tensor) -> Any:
    """Run the original; while a graph of fixed size is traced, sizes are numbers instead of operators."""
    if not is_tracing():
        return original(x)
    with known_sizes():
        return convert_call(original)(x)


# Replaces functions of Paddle for a moment: tracing must not rewrite this, only what it calls.
_call = paddle.jit.not_to_static(_call)


def build_paddleseg(kind: str, name: str, kwargs: Mapping[str, Any], *, measure: bool = True) -> nn.Layer:
    """Build a component of the ``paddleseg`` package.

    Args:
        kind: 'network' or 'backbone'.
        name: name in PaddleSeg's registry.
        kwargs: its arguments; ``backbone`` may be a layer of ours.
        measure: give a backbone ``feature_info``, which networks of ours need; those of the package do not, and some
            of its backbones return something else than maps.

    Returns:
        A network that returns our dict of logits, or a backbone, with ``feature_info`` where that is measured.

    Raises:
        DependencyError: paddleseg is not installed, or another version.
        ConfigError: no such component, arguments that it does not take, or outputs that are not logits or features.
    """
    component = find_component(kind, name)
    arguments = dict(kwargs)
    if "pretrained" in arguments:
        raise ConfigError(
            f"paddleseg.{name}: 'pretrained' would be unpickled by the package",
            remedy="load the weights with load_into",
        )
    for reason, remedy in unknown_arguments(kind, name, arguments).values():
        raise ConfigError(reason, remedy=remedy)
    backbone = arguments.get("backbone")
    if backbone is not None and hasattr(backbone, "feature_info") and not hasattr(backbone, "feat_channels"):
        backbone.feat_channels = [spec.channels for spec in backbone.feature_info]
    # Some of PaddleSeg's parameters have fixed names and the optimizer tells parameters by name: a name space for
    # every build keeps two of them, and those of our own layers, apart.
    with paddle.utils.unique_name.guard(f"paddleseg{next(_builds)}_"):
        try:
            provide_deformable_attention()
            with no_weights_needed(name):
                layer = component(**arguments)
        except (
            Exception,
            SystemExit,
        ) as error:  # foreign code: assertions, mistakes, exits
            reason = f"paddleseg.{name} cannot be built: {type(error).__name__}: {error}"
            raise ConfigError(reason, remedy="check its arguments") from error
    bins = _replace_pooling(layer)
    repair(layer)
    if kind == "backbone":
        layer.image_channels = arguments.get("in_channels", 3)
        if not measure:
            return layer
        layer.feature_info = _measure_features(name, layer, layer.image_channels)
        return layer
    channels: int = arguments.get("in_channels", getattr(backbone, "image_channels", 3))
    resized, side = _probe_network(name, layer, arguments.get("num_classes"), channels)
    return PaddleSegNetwork(layer, resized, _COARSEST * math.lcm(*bins), side)


def _replace_pooling(layer: nn.Layer) -> list[int]:
    """Exchange adaptive pooling, which no converter keeps exact, for its exact form; returns the bins met."""
    bins = [1]
    for parent in layer.sublayers(include_self=True):
        for name, child in parent._sub_layers.items():
            if type(child) is nn.AdaptiveAvgPool2D and child._data_format == "NCHW":
                size = child._output_size
                sides = {size} if isinstance(size, int) else set(size)
                if len(sides) == 1 and isinstance(side := sides.pop(), int):
                    parent._sub_layers[name] = BinPool(side)
                    bins.append(side)
    return bins


def _measure_features(name: str, layer: nn.Layer, channels: int) -> tuple[FeatureSpec, ...]:
    outputs, side = _probe(name, layer, channels)
    if any(_rank(output) != 4 for output in outputs):
        raise ConfigError(
            f"paddleseg.{name} does not return a list of maps [N, C, H, W]",
            remedy="put it under the network of paddleseg that it belongs to",
        )
    strides = [side // int(output.shape[2]) for output in outputs]
    if strides != sorted(strides):
        raise ConfigError(f"paddleseg.{name} returns features of strides {strides}, not finest first: not usable here")
    return tuple(FeatureSpec(int(output.shape[1]), stride) for output, stride in zip(outputs, strides, strict=True))


def _probe_network(name: str, layer: nn.Layer, num_classes: int | None, channels: int) -> tuple[bool, int]:
    """Check the outputs; returns whether the logits must be resized to the input, and the side that was tried."""
    outputs, side = _probe(name, layer, channels)
    if _rank(outputs[0]) != 4:
        raise ConfigError(f"paddleseg.{name} does not return logits [N, C, H, W] first: not usable here")
    if num_classes is not None and int(outputs[0].shape[1]) != num_classes:
        raise ConfigError(
            f"paddleseg.{name} returns {outputs[0].shape[1]} channels for {num_classes} classes: these are no logits"
        )
    return list(outputs[0].shape[2:]) != [side, side], side


def _probe(name: str, layer: nn.Layer, channels: int) -> tuple[list[paddle.Tensor], int]:
    """Outputs for an empty image of the first side that the layer takes, and that side."""
    layer.eval()
    failure: Exception | SystemExit | None = None
    try:
        for side in _PROBE_SIDES:
            try:
                with paddle.no_grad():
                    outputs = layer(paddle.zeros([1, channels, side, side]))
            except (Exception, SystemExit) as error:  # foreign code: assertions, shape errors of operators
                failure = error
                continue
            if not isinstance(outputs, (list, tuple)) or not outputs:
                raise ConfigError(f"paddleseg.{name} does not return a list of maps [N, C, H, W]: not usable here")
            return list(outputs), side
    finally:
        layer.train()
    raise ConfigError(
        f"paddleseg.{name} cannot run on images of {' or '.join(map(str, _PROBE_SIDES))} pixels: {failure}",
        remedy="check its arguments",
    ) from failure


def _rank(output: Any) -> int:
    return len(output.shape) if isinstance(output, paddle.Tensor) else -1
