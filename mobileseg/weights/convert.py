"""Parameter names of PyTorch networks (torchvision, timm, YOLACT) to ours.

Every table maps *modules*; the entries of a module (``weight``, ``bias``, statistics) follow by one rule. A
family is recognised by names that only it has, never by a file name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping

import numpy as np

from mobileseg.weights.yolact import is_yolact, usual_names

State = dict[str, np.ndarray]

_BN_EPSILON = 1e-5
_TORCH_ENTRIES = {"running_mean": "_mean", "running_var": "_variance"}
_MOBILENETV2_UNITS = (1, 2, 3, 4, 3, 3, 1)
_BACKBONE = "backbone."
_WRAPPERS = ("module.", "backbone.", "model.", "encoder.")


def is_torch(state: Mapping[str, np.ndarray]) -> bool:
    """Whether the names are PyTorch's (batch norm statistics under their PyTorch names)."""
    return any(name.rsplit(".", 1)[-1] in (*_TORCH_ENTRIES, "num_batches_tracked") for name in state)


def convert(state: Mapping[str, np.ndarray], target: Collection[str]) -> tuple[State, str]:
    """The same weights under the names of a network of ours.

    Args:
        state: arrays by PyTorch name.
        target: parameter names of the network (without prefix).

    Returns:
        Arrays by our name (entries that no table knows keep their own), and what was recognised, for messages.
    """
    plain = strip_wrappers(from_torch(state))
    if is_yolact(plain):
        return _yolact(usual_names(plain), target)
    return _convert_backbone(plain, target)


def _yolact(state: State, target: Collection[str]) -> tuple[State, str]:
    inner = {name.removeprefix(_BACKBONE): array for name, array in state.items() if name.startswith(_BACKBONE)}
    rest = {name: array for name, array in state.items() if not name.startswith(_BACKBONE)}
    converted, family = _convert_backbone(inner, {name.removeprefix(_BACKBONE) for name in target})
    return {**{_BACKBONE + name: array for name, array in converted.items()}, **rest}, f"YOLACT with {family}"


def _convert_backbone(plain: State, target: Collection[str]) -> tuple[State, str]:
    for family, belongs, applies, table in _FAMILIES:
        if belongs in target and applies(plain):
            return table(plain), family
    return plain, "PyTorch names"


def from_torch(state: Mapping[str, np.ndarray]) -> State:
    """PyTorch's entries as Paddle's: statistics renamed, counters dropped, Linear weights as [in, out]."""
    result = {}
    for name, array in state.items():
        module, _, entry = name.rpartition(".")
        if entry == "num_batches_tracked":
            continue
        renamed = _TORCH_ENTRIES.get(entry, entry)
        result[f"{module}.{renamed}" if module else renamed] = (
            array.T if array.ndim == 2 and entry == "weight" else array
        )
    return result


def strip_wrappers(state: State) -> State:
    """Without the prefixes that training wrappers and detectors put before all names."""
    changed = True
    while changed:
        changed = False
        for wrapper in _WRAPPERS:
            if state and all(name.startswith(wrapper) for name in state):
                state = {name.removeprefix(wrapper): array for name, array in state.items()}
                changed = True
    return state


def _rename(state: State, modules: Mapping[str, str]) -> State:
    result = {}
    for name, array in state.items():
        module, _, entry = name.rpartition(".")
        result[f"{modules[module]}.{entry}" if module in modules else name] = array
    return result


def _conv_bn(modules: dict[str, str], ours: str, conv: str, norm: str) -> None:
    modules[conv] = f"{ours}._conv"
    modules[norm] = f"{ours}._batch_norm"


def _mobilenetv2_units() -> list[str]:
    """Our names of the 17 units in the order of the network."""
    return [
        f"conv{stage + 2}." + ("_first_block" if unit == 0 else f"conv{stage + 2}_{unit + 1}")
        for stage, units in enumerate(_MOBILENETV2_UNITS)
        for unit in range(units)
    ]


def _mobilenetv2_torchvision(state: State) -> State:
    modules: dict[str, str] = {}
    _conv_bn(modules, "conv1", "features.0.0", "features.0.1")
    for index, ours in enumerate(_mobilenetv2_units(), start=1):
        theirs = f"features.{index}.conv"
        expand = 0
        if f"{theirs}.1.0.weight" in state:
            _conv_bn(modules, f"{ours}._expand_conv", f"{theirs}.0.0", f"{theirs}.0.1")
            expand = 1
        _conv_bn(modules, f"{ours}._bottleneck_conv", f"{theirs}.{expand}.0", f"{theirs}.{expand}.1")
        _conv_bn(modules, f"{ours}._linear_conv", f"{theirs}.{expand + 1}", f"{theirs}.{expand + 2}")
    return _with_identity_expansion(_rename(state, modules))


def _mobilenetv2_timm(state: State) -> State:
    modules: dict[str, str] = {}
    _conv_bn(modules, "conv1", "conv_stem", "bn1")
    names = iter(_mobilenetv2_units())
    for stage, units in enumerate(_MOBILENETV2_UNITS):
        for unit in range(units):
            ours, theirs = next(names), f"blocks.{stage}.{unit}"
            parts: tuple[tuple[str, str], ...]
            if f"{theirs}.conv_pwl.weight" in state:
                parts = (("_expand_conv", "conv_pw"), ("_bottleneck_conv", "conv_dw"), ("_linear_conv", "conv_pwl"))
            else:  # the t=1 unit
                parts = (("_bottleneck_conv", "conv_dw"), ("_linear_conv", "conv_pw"))
            for number, (part, conv) in enumerate(parts, start=1):
                _conv_bn(modules, f"{ours}.{part}", f"{theirs}.{conv}", f"{theirs}.bn{number}")
    return _with_identity_expansion(_rename(state, modules))


def _with_identity_expansion(state: State) -> State:
    """Add the expansion of the first unit, which these networks do not have, as the identity.

    The 1x1 kernel is the identity, and ReLU6 after ReLU6 changes nothing, so the result is exact once the batch norm
    changes nothing either. It gets the statistics that its input has, with scale and shift that undo them: then it
    is the identity in evaluation and, nearly, in training too, where a batch norm of scale 1 would normalise away
    what the stem learned. The input is ReLU6 of the stem's batch norm, whose output has, per channel, mean
    ``bias`` and deviation ``|weight|``; its moments follow for a normal distribution cut at 0 and 6.
    """
    unit = "conv2._first_block._expand_conv"
    weight, bias = state.get("conv1._batch_norm.weight"), state.get("conv1._batch_norm.bias")
    if weight is None or bias is None or f"{unit}._conv.weight" in state:
        return state
    mean, variance = clipped_normal_moments(bias, np.abs(weight), 6.0)
    variance = np.maximum(variance, 1e-3)  # a channel that is always zero must stay trainable
    channels = len(bias)
    added = {
        f"{unit}._conv.weight": np.eye(channels).reshape(channels, channels, 1, 1),
        f"{unit}._batch_norm.weight": np.sqrt(variance + _BN_EPSILON),
        f"{unit}._batch_norm.bias": mean,
        f"{unit}._batch_norm._mean": mean,
        f"{unit}._batch_norm._variance": variance,
    }
    return {**state, **{name: array.astype(np.float32) for name, array in added.items()}}


def clipped_normal_moments(mean: np.ndarray, deviation: np.ndarray, top: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of ``min(max(x, 0), top)`` for normally distributed x.

    Args:
        mean: float [C].
        deviation: float [C], not negative.
        top: upper limit.

    Returns:
        Two float64 [C].
    """
    mu, sigma = mean.astype(np.float64), np.maximum(deviation.astype(np.float64), 1e-12)
    low, high = -mu / sigma, (top - mu) / sigma
    erf = np.vectorize(math.erf)
    below, under = (0.5 * (1 + erf(bound / math.sqrt(2))) for bound in (low, high))
    density_low, density_high = (np.exp(-0.5 * bound**2) / math.sqrt(2 * math.pi) for bound in (low, high))
    inside = under - below
    first = mu * inside + sigma * (density_low - density_high) + top * (1 - under)
    second = (mu**2 + sigma**2) * inside + sigma * (mu * density_low - (mu + top) * density_high) + top**2 * (1 - under)
    return first, np.maximum(second - first**2, 0.0)


def _shufflenetv2_torchvision(state: State) -> State:
    modules: dict[str, str] = {}
    _conv_bn(modules, "_conv1", "conv1.0", "conv1.1")
    units = {match.group(1, 2) for name in state if (match := re.match(r"stage(\d)\.(\d+)\.", name))}
    for stage, unit in units:
        ours, theirs = f"{stage}_{int(unit) + 1}", f"stage{stage}.{unit}"
        down = f"{theirs}.branch1.0.weight" in state
        if down:
            _conv_bn(modules, f"{ours}._conv_dw_1", f"{theirs}.branch1.0", f"{theirs}.branch1.1")
            _conv_bn(modules, f"{ours}._conv_linear_1", f"{theirs}.branch1.2", f"{theirs}.branch1.3")
        suffix = "_2" if down else ""
        for part, index in (("_conv_pw", 0), ("_conv_dw", 3), ("_conv_linear", 5)):
            _conv_bn(modules, f"{ours}.{part}{suffix}", f"{theirs}.branch2.{index}", f"{theirs}.branch2.{index + 1}")
    return _rename(state, modules)


def _resnet(state: State) -> State:
    """Our ResNet has torchvision's names; YOLACT's files count the stages from 0 (``layers.0`` is ``layer1``)."""
    return {
        re.sub(r"^layers\.(\d)\.", lambda hit: f"layer{int(hit[1]) + 1}.", name): array for name, array in state.items()
    }


_Family = tuple[str, str, Callable[[State], bool], Callable[[State], State]]
_FAMILIES: tuple[_Family, ...] = (
    (
        "torchvision MobileNetV2",
        "conv2._first_block._expand_conv._conv.weight",
        lambda state: "features.1.conv.0.0.weight" in state,
        _mobilenetv2_torchvision,
    ),
    (
        "timm MobileNetV2",
        "conv2._first_block._expand_conv._conv.weight",
        lambda state: "blocks.1.0.conv_pwl.weight" in state,
        _mobilenetv2_timm,
    ),
    (
        "torchvision ShuffleNetV2",
        "2_1._conv_dw_1._conv.weight",
        lambda state: "stage2.0.branch1.0.weight" in state,
        _shufflenetv2_torchvision,
    ),
    (
        "torchvision ResNet",
        "layer1.0.conv1.weight",
        lambda state: "layer1.0.conv1.weight" in state or "layers.0.0.conv1.weight" in state,
        _resnet,
    ),
)
