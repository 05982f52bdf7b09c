"""Which parameters are trained, with which rate and decay, and the optimizer that does it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import paddle
from paddle.base.layer_helper import LayerHelper
from paddle.optimizer import Optimizer

from mobileseg.errors import ConfigError
from mobileseg.training.schedule import Schedule

_NORM = "norm:"
_BLOCK = re.compile(r"blocks\.([0-9]+)")
_NORMS = (paddle.nn.layer.norm._BatchNormBase, paddle.nn.BatchNorm)


@dataclass
class ParameterGroup:
    """Parameters that share a learning rate and a decay.

    Attributes:
        lr_mult: factor on the learning rate of the schedule.
        weight_decay: coefficient.
        names: structured names.
        parameters: the parameters, in the order of the names.
    """

    lr_mult: float
    weight_decay: float
    names: list[str] = field(default_factory=list)
    parameters: list[paddle.Tensor] = field(default_factory=list)


def freeze(network: paddle.nn.Layer, patterns: Sequence[str]) -> list[paddle.nn.Layer]:
    """Exclude parameters from training.

    Args:
        network: changed in place: matching parameters get ``stop_gradient``.
        patterns: shell patterns of parameter names, for example ``backbone.*``; after ``norm:`` of names of batch
            normalisations, so that ``norm:*`` freezes all of them whatever the network calls them.

    Returns:
        The batch normalisations all of whose parameters are frozen. They are to be kept in evaluation mode, or their
        running statistics would go on changing under the frozen weights.

    Raises:
        ConfigError: a pattern matches nothing.
    """
    parameters: dict[str, list[paddle.Tensor]] = {name: [one] for name, one in network.named_parameters()}
    layers = [(name, layer) for name, layer in network.named_sublayers() if isinstance(layer, _NORMS)]
    norms = {name: layer.parameters() for name, layer in layers if layer.parameters()}
    for pattern in patterns:
        named, shape = (norms, pattern[len(_NORM) :]) if pattern.startswith(_NORM) else (parameters, pattern)
        hits = [name for name in named if fnmatchcase(name, shape)]
        if not hits:
            kind = "batch normalisation" if named is norms else "parameter"
            remedy = f"names look like {_some(named)}" if named else "this network has none: remove the pattern"
            raise ConfigError(f"freeze: no {kind} matches '{pattern}'", remedy=remedy)
        for name in hits:
            for parameter in named[name]:
                parameter.stop_gradient = True
    frozen = [layer for name, layer in layers if name in norms and all(p.stop_gradient for p in norms[name])]
    return frozen if patterns else []


def parameter_groups(
    network: paddle.nn.Layer,
    weight_decay: float,
    rules: Sequence[Mapping[str, Any]] = (),
    undecayed: Collection[str] = (),
    rates: Mapping[str, float] | None = None,
) -> list[ParameterGroup]:
    """Sort the trainable parameters into groups.

    A parameter starts from the attributes its layer gave it (a ``regularizer`` such as ``L2Decay(0.0)``, a
    ``learning_rate``), else from 1 and ``weight_decay``. Then the first rule whose ``match`` fits its name applies:
    ``lr_mult`` multiplies, ``weight_decay`` replaces. Names in ``undecayed`` have no decay, whatever the rules say;
    ``rates`` are further factors on the learning rate by name.

    Raises:
        ConfigError: nothing is trainable, a rule matches nothing, or a layer asks for a decay that is not L2.
    """
    groups: dict[tuple[float, float], ParameterGroup] = {}
    used: Counter[str] = Counter()
    named = {name: parameter for name, parameter in network.named_parameters() if not parameter.stop_gradient}
    for name, parameter in named.items():
        rate = float(parameter.optimize_attr.get("learning_rate", 1.0)) * (rates or {}).get(name, 1.0)
        decay = weight_decay
        if parameter.regularizer is not None:
            if not isinstance(parameter.regularizer, paddle.regularizer.L2Decay):
                raise ConfigError(f"{name} asks for {type(parameter.regularizer).__name__}; only L2Decay is supported")
            decay = float(parameter.regularizer._coeff)
        rule = next((rule for rule in rules if fnmatchcase(name, rule["match"])), None)
        if rule is not None:
            used[rule["match"]] += 1
            rate *= float(rule.get("lr_mult", 1.0))
            if rule.get("weight_decay") is not None:
                decay = float(rule["weight_decay"])
        if name in undecayed:
            decay = 0.0
        group = groups.setdefault((rate, decay), ParameterGroup(rate, decay))
        group.names.append(name)
        group.parameters.append(parameter)
    if not groups:
        raise ConfigError("every parameter is frozen, there is nothing to train", remedy="freeze fewer patterns")
    for rule in rules:
        if not used[rule["match"]] and not rule.get("optional"):
            raise ConfigError(
                f"param_groups: no trainable parameter is left for '{rule['match']}'",
                remedy=f"names look like {_some(named)}; the first rule that matches a name wins",
            )
    return list(groups.values())


def groups_of(
    network: paddle.nn.Layer,
    section: Mapping[str, Any],
    rules: Sequence[Mapping[str, Any]],
    undecayed: Collection[str] = (),
) -> list[ParameterGroup]:
    """:func:`parameter_groups` as the section ``optimizer`` of a configuration wants them.

    Raises:
        ConfigError: as there, or the network has no layers that rates could fall along.
    """
    layerwise = section.get("layerwise_decay")
    rates = layer_rates(network, layerwise) if layerwise else {}
    if not section.get("decay_norms", True):
        undecayed = {*undecayed, *norms_and_biases(network)}
    return parameter_groups(network, section["weight_decay"], rules, undecayed, rates)


def group_table(groups: Sequence[ParameterGroup], network: paddle.nn.Layer) -> str:
    """The groups as text, with the frozen rest."""
    lines = [f"{'lr x':>6} {'decay':>9} {'tensors':>8} {'weights':>11}  first"]
    for group in groups:
        weights = sum(int(np.prod(parameter.shape)) for parameter in group.parameters)
        lines.append(
            f"{group.lr_mult:>6g} {group.weight_decay:>9g} {len(group.names):>8} {weights:>11,}  {group.names[0]}"
        )
    # paddle.nn.BatchNorm counts its running statistics among its parameters.
    norms = [layer for layer in network.sublayers() if isinstance(layer, _NORMS)]
    statistics = {id(tensor) for layer in norms for tensor in (layer._mean, layer._variance)}
    frozen = [(name, p) for name, p in network.named_parameters() if p.stop_gradient and id(p) not in statistics]
    if frozen:
        weights = sum(int(np.prod(parameter.shape)) for _, parameter in frozen)
        lines.append(f"{'frozen':>6} {'-':>9} {len(frozen):>8} {weights:>11,}  {frozen[0][0]}")
    return "\n".join(lines)


def build_optimizer(section: Mapping[str, Any], groups: Sequence[ParameterGroup], schedule: Schedule) -> Optimizer:
    """The optimizer of a complete ``optimizer:`` section (its keys: :mod:`mobileseg.config.schema`).

    ``SGD`` and ``Adam`` add ``weight_decay * w`` to the gradient (coupled, as PaddleSeg); ``AdamW`` decays weights
    apart from the gradient (Loshchilov and Hutter, ICLR 2019). The weight decay comes from the groups.

    Raises:
        ConfigError: unknown type.
    """
    parameters = [
        {"params": group.parameters, "weight_decay": group.weight_decay, "learning_rate": group.lr_mult}
        for group in groups
    ]
    if section["type"] == "SGD":  # with momentum 0 the rule of Momentum is plain SGD
        return paddle.optimizer.Momentum(
            schedule, momentum=section["momentum"], use_nesterov=section["use_nesterov"], parameters=parameters
        )
    options = {key: section.get(key) for key in ("beta1", "beta2", "epsilon")}
    if section["type"] == "Adam":
        return paddle.optimizer.Adam(schedule, parameters=parameters, **options)
    if section["type"] == "AdamW":
        return paddle.optimizer.AdamW(schedule, parameters=parameters, **options)
    raise ConfigError(f"there is no optimizer '{section['type']}'", remedy="use SGD, Adam or AdamW")


def layer_rates(network: paddle.nn.Layer, decay: float) -> dict[str, float]:
    """Factors on the learning rate that fall from the last block of a transformer to the first (Clark et al., 2020).

    With n blocks, ``decay ** (n - i)`` for what has ``blocks.i`` in its name, ``decay ** (n + 1)`` for embeddings; the
    rest (heads) is not named.

    Raises:
        ConfigError: no parameter is in a block.
    """
    blocks = {name: int(found[1]) for name, _ in network.named_parameters() if (found := _BLOCK.search(name))}
    if not blocks:
        raise ConfigError(
            "optimizer.layerwise_decay: this network has no numbered blocks", remedy="it is for transformers: remove it"
        )
    count = max(blocks.values()) + 1
    rates = {name: decay ** (count - index) for name, index in blocks.items()}
    embeddings = [name for name, _ in network.named_parameters() if "embed" in name and name not in blocks]
    return rates | dict.fromkeys(embeddings, decay ** (count + 1))


def norms_and_biases(network: paddle.nn.Layer) -> list[str]:
    """Names of the parameters that ``decay_norms: false`` spares: biases and those with one axis."""
    return [name for name, p in network.named_parameters() if len(p.shape) == 1 or name.endswith(".bias")]


def clip_gradients(parameters: Sequence[paddle.Tensor], section: Mapping[str, Any]) -> None:
    """Clip the gradients of ``parameters`` in place, as a complete ``clip:`` section says."""
    if section["norm"] is not None:
        paddle.nn.utils.clip_grad_norm_(parameters, section["norm"])
        return
    for parameter in parameters:
        if parameter.grad is None:
            continue
        gradient = parameter.grad.detach()
        if section["value"] is not None:
            gradient.clip_(*section["value"])
        else:
            gradient.multiply_(paddle.clip(section["tensor_norm"] / (gradient.norm() + 1e-12), max=1.0))


def create_accumulators(optimizer: Optimizer, groups: Sequence[ParameterGroup]) -> None:
    """Give every parameter its accumulators, as they are before the first step.

    Paddle makes them in the first step that has a gradient for the parameter, which with several steps per iteration
    need not be the first one; a state saved before that would lack them.
    """
    block = paddle.static.default_main_program().global_block()
    optimizer.helper = LayerHelper(type(optimizer).__name__)  # with which a step would create them
    for group in groups:
        optimizer._create_accumulators(block, group.parameters)


def optimizer_arrays(optimizer: Optimizer, groups: Sequence[ParameterGroup]) -> dict[str, np.ndarray]:
    """The accumulators as ``<structured parameter name>/<accumulator>``; Paddle's own names depend on the process."""
    return {key: tensor.numpy() for key, tensor in _accumulators(optimizer, groups).items()}


def load_optimizer_arrays(
    optimizer: Optimizer, groups: Sequence[ParameterGroup], arrays: Mapping[str, np.ndarray]
) -> None:
    """Restore what :func:`optimizer_arrays` gave.

    Raises:
        ConfigError: the arrays belong to another optimizer or to other trainable parameters.
    """
    create_accumulators(optimizer, groups)
    accumulators = _accumulators(optimizer, groups)
    if set(accumulators) != set(arrays):
        odd = sorted(set(accumulators) ^ set(arrays))
        raise ConfigError(
            f"the saved optimizer does not fit: {len(odd)} of its arrays differ, for example {odd[0]}",
            remedy="resume with the optimizer, freeze and param_groups of the saved run",
        )
    for key, tensor in accumulators.items():
        tensor.set_value(arrays[key])


def _accumulators(optimizer: Optimizer, groups: Sequence[ParameterGroup]) -> dict[str, paddle.Tensor]:
    structured = {p.name: name for group in groups for name, p in zip(group.names, group.parameters, strict=True)}
    result: dict[str, paddle.Tensor] = {}
    state = optimizer.state_dict()
    for name, master in state.pop("master_weights", {}).items():
        result[f"{structured[name]}/master"] = master
    longest_first = sorted(structured, key=len, reverse=True)
    for key, tensor in state.items():
        if key == "LR_Scheduler":
            continue
        owner = next(name for name in longest_first if key.startswith(f"{name}_"))
        result[f"{structured[owner]}/{re.sub(r'_[0-9]+$', '', key[len(owner) + 1 :])}"] = tensor
    return result


def _some(named: Mapping[str, Any]) -> str:
    return ", ".join(list(named)[:3])
