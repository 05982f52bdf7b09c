"""Names in the weights files of YOLACT (dbolya/yolact) and yolact_edge (haotian-liu/yolact_edge).

Both wrote the same network in slightly different words. Here every file gets one set of names: ours outside the
backbone, torchvision's inside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

State = dict[str, np.ndarray]

_MARKS = ("proto_net.0.weight", "prediction_layers.0.conf_layer.weight")
_PHASE = re.compile(r"^fpn_phase_[12]\.")
# Old files of YOLACT hold the backbone's stages a second time, and convolutions of levels that were never used.
_LEFT_OVER = re.compile(r"^(backbone\.layer\d\.|fpn\.downsample_layers\.([2-9]|\d\d)\.)")
_GROUP = re.compile(r"^backbone\.layers\.(\d+)\.(.*)$")


def is_yolact(state: Mapping[str, np.ndarray]) -> bool:
    """Whether the names are those of a YOLACT network."""
    return all(name in state for name in _MARKS)


def usual_names(state: Mapping[str, np.ndarray]) -> State:
    """The same arrays with one pyramid (``fpn``) and torchvision's names in a MobileNetV2 backbone.

    What a file holds twice or never used is left out.
    """
    mobile = _units(state) if "backbone.layers.1.0.conv.0.0.weight" in state else None
    twice = any(name.startswith("backbone.layers.") for name in state)
    result = {}
    for name, array in state.items():
        name = _PHASE.sub("fpn.", name)
        found = _LEFT_OVER.match(name)
        if found and (twice or name.startswith("fpn.")):
            continue
        if mobile is not None:
            name = _mobilenetv2(name, mobile)
        result[name] = array
    return result


def _units(state: Mapping[str, np.ndarray]) -> dict[int, int]:
    """Units of every group of a MobileNetV2; its stem and its last convolution are one each."""
    units: dict[int, int] = {}
    for name in state:
        found = re.match(r"^backbone\.layers\.(\d+)\.(\d+)\.conv\.", name)
        if found:
            group, unit = int(found[1]), int(found[2])
            units[group] = max(units.get(group, 0), unit + 1)
    return units


def _mobilenetv2(name: str, units: Mapping[int, int]) -> str:
    """yolact_edge groups the units by width; torchvision counts them through."""
    found = _GROUP.match(name)
    if not found:
        return name
    group, rest = int(found[1]), found[2]
    position = 1 + sum(count for other, count in units.items() if other < group) if group else 0
    if group in units:
        unit, _, rest = rest.partition(".")
        position += int(unit)
    return f"backbone.features.{position}.{rest}"
