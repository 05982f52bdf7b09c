"""Distillation: a student that learns from the labels and from a trained teacher, which sees the same batches.

The teacher stays in evaluation mode, gets no gradient and is in no checkpoint. What is trained besides the student, 1x1
convolutions from its features to the channels of the teacher's, is saved for a resume apart from the student's weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle
from paddle import nn

from mobileseg.compress.distillation import checks
from mobileseg.compress.distillation.head import head_losses
from mobileseg.compress.distillation.losses import feature_loss, logit_loss
from mobileseg.config.build import build_network
from mobileseg.config.classes import class_names
from mobileseg.config.load import Config, load_config
from mobileseg.config.schema_distill import Distill
from mobileseg.errors import ConfigError, MobileSegError, Problem
from mobileseg.nn.graphs import run_once
from mobileseg.registry import EXTENSIONS
from mobileseg.training.extension import Extension, Surroundings
from mobileseg.training.objective import Objective
from mobileseg.training.optim import ParameterGroup
from mobileseg.training.weights import load_checkpoint_weights

PREFIX = "distill"
"""Of the names of losses and of trained tensors, and the name of their file in a checkpoint."""


class Teacher:
    """A trained network that only answers. It is no layer, so that no `train()` of a holder reaches it.

    Args:
        network: in evaluation mode from now on, without gradients.
        layers: names of the layers whose outputs are given too.
    """

    def __init__(self, network: nn.Layer, layers: Sequence[str] = ()) -> None:
        network.eval()
        for parameter in network.parameters():
            parameter.stop_gradient = True
        self.network = network
        self.layers = layers

    @paddle.no_grad()
    def __call__(self, image: paddle.Tensor) -> tuple[dict[str, paddle.Tensor], dict[str, paddle.Tensor]]:
        """Outputs, and outputs of the layers by name, for float32 [N, 3, H, W]."""
        with recorded(self.network, self.layers) as found:
            outputs = self.network(image)
        return {name: value.astype("float32") for name, value in outputs.items()}, _single(found)


class DistilledNetwork(nn.Layer):
    """A student whose outputs include features, adapted to the channels of the teacher's.

    Args:
        network: the student; not changed.
        layers: names of the layers whose outputs are features.
        channels: (own, teacher's) channels of each of them; equal ones are not adapted.
    """

    def __init__(self, network: nn.Layer, layers: Sequence[str], channels: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.network = network
        self.layers = list(layers)
        self.adapters = nn.LayerDict(
            {feature_name(i): nn.Conv2D(own, to, 1) for i, (own, to) in enumerate(channels) if own != to}
        )

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """The student's outputs, and each feature under :func:`feature_name`."""
        with recorded(self.network, self.layers) as found:
            outputs = dict(self.network(x))
        features = _single(found)
        for index, layer in enumerate(self.layers):
            name = feature_name(index)
            feature = features[layer]
            outputs[name] = self.adapters[name](feature) if name in self.adapters else feature
        return outputs


class DistillCriterion(nn.Layer):
    """The student's criterion and, beside its losses, those against the teacher, named ``distill_...``.

    Args:
        criterion: of the student.
        teacher: gives what is imitated.
        section: which losses.
        ignore_index: label of pixels that do not count.
    """

    def __init__(self, criterion: nn.Layer, teacher: Teacher, section: Distill, ignore_index: int = 255) -> None:
        super().__init__()
        self.criterion = criterion
        self.teacher = teacher
        self.section = section
        self.ignore_index = ignore_index
        weights = section.logits.class_weight if section.logits else None
        self.class_weight = None if weights is None else paddle.to_tensor(weights, dtype="float32")

    def forward(
        self, outputs: Mapping[str, paddle.Tensor], targets: Mapping[str, paddle.Tensor]
    ) -> dict[str, paddle.Tensor]:
        """Weighted losses by name.

        Args:
            outputs: of :class:`DistilledNetwork`, float32.
            targets: the batch: ``image`` float32 [N, 3, H, W] and what the student's criterion needs.
        """
        own = {name: value for name, value in outputs.items() if not name.startswith(PREFIX)}
        losses: dict[str, paddle.Tensor] = dict(self.criterion(own, targets))
        answers, features = self.teacher(targets["image"])
        section = self.section
        if section.logits is not None:
            loss = logit_loss(
                own["logits"],
                answers["logits"],
                targets["label"],
                section.logits.temperature,
                self.ignore_index,
                self.class_weight,
                shared=self.training,
            )
            losses[f"{PREFIX}_logits"] = section.logits.weight * loss
        for index, pair in enumerate(section.features):
            loss = feature_loss(outputs[feature_name(index)], features[pair.teacher], shared=self.training)
            losses[feature_name(index)] = pair.weight * loss
        if section.head is not None:
            variances = self.teacher.network.variances
            found = head_losses(own, answers, section.head, variances=variances, shared=self.training)
            losses |= {f"{PREFIX}_{name}": value for name, value in found.items()}
        return losses


class Distillation(Extension):
    """The section ``distill``: the student learns from a teacher too.

    Attributes:
        student: is run instead of the network, after :meth:`attach`: a :class:`DistilledNetwork` around it.
        criterion: instead of the student's own.

    Args:
        surroundings: of the run.
    """

    name = PREFIX
    student: DistilledNetwork
    criterion: DistillCriterion

    def __init__(self, surroundings: Surroundings) -> None:
        self.config = surroundings.config
        self.dataset = surroundings.dataset

    def attach(self, objective: Objective) -> None:
        """Build the teacher and put its losses beside those of the student.

        Raises:
            ConfigError, WeightsError: see :func:`build_distillation`.
        """
        size = self.dataset[(0, 0)]["image"].shape[1:]
        ignore_index = getattr(self.dataset, "ignore_index", 255)
        self.student, self.criterion, self.description = build_distillation(
            self.config, objective.network, objective.criterion, size, ignore_index
        )
        objective.network, objective.criterion = self.student, self.criterion

    def groups(self, weight_decay: float) -> list[ParameterGroup]:
        """The adapters as a group of parameters; none without adapters."""
        named = self._named()
        return [ParameterGroup(1.0, weight_decay, list(named), list(named.values()))] if named else []

    def arrays(self) -> dict[str, np.ndarray]:
        """The adapters, for a checkpoint."""
        return {name: parameter.numpy() for name, parameter in self._named().items()}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The adapters."""
        return self.arrays(), {}

    def load(
        self, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any], weights: Mapping[str, np.ndarray]
    ) -> None:
        """Restore what :meth:`arrays` gave and :meth:`check` found fit."""
        for name, parameter in self._named().items():
            parameter.set_value(arrays[name])

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Compare saved adapters with these.

        Raises:
            ConfigError: they are adapters of other features.
        """
        named = self._named()
        if {name: list(p.shape) for name, p in named.items()} != {name: list(a.shape) for name, a in arrays.items()}:
            raise ConfigError(
                f"the saved run had the adapters {', '.join(sorted(arrays)) or 'none'}, this one has "
                f"{', '.join(sorted(named)) or 'none'}, or their shapes differ",
                remedy="resume with the distill section of the saved run (config.yml)",
            )

    def _named(self) -> dict[str, paddle.Tensor]:
        adapters = self.student.adapters.named_parameters()
        return {f"{PREFIX}.{name.removeprefix(PREFIX + '_')}": parameter for name, parameter in adapters}


def build_distillation(
    config: Config, network: nn.Layer, criterion: nn.Layer, size: tuple[int, int], ignore_index: int = 255
) -> tuple[DistilledNetwork, DistillCriterion, str]:
    """Build the teacher and what connects it with a student.

    Args:
        config: of the student, with a ``distill`` section.
        network: the student; it is in evaluation mode afterwards.
        criterion: of the student.
        size: height and width of a training image.
        ignore_index: label of pixels that do not count.

    Returns:
        The network and the criterion to train instead, and which teacher it is, for the reader.

    Raises:
        ConfigError: student and teacher do not go together; names everything found.
        WeightsError: the teacher's weights cannot be read or are of another network.
    """
    section = config.distill
    if section is None:
        raise ConfigError("there is no distill section", remedy="add distill: {teacher_config: ..., ...}")
    _refuse(checks.section_problems(config, section))
    teacher_config = _load_teacher_config(config, section)
    _refuse(checks.config_problems(config, teacher_config))
    teacher = build_network(teacher_config, load_pretrained=False)
    _refuse(checks.network_problems(config, section, network, teacher))
    source = load_checkpoint_weights(section.teacher_weights, teacher, class_names(config))
    answering = Teacher(teacher, [pair.teacher for pair in section.features])
    if section.head is not None:
        _refuse(checks.anchor_problems(config, network, teacher, size))

    shapes = {
        "student": _shapes(network, [pair.student for pair in section.features], size),
        "teacher": _shapes(teacher, answering.layers, size),
    }
    _refuse(checks.feature_problems(config, section, shapes))
    pairs = [(shapes["student"][pair.student][0], shapes["teacher"][pair.teacher][0]) for pair in section.features]
    student = DistilledNetwork(
        network, [pair.student for pair in section.features], [(own[1], to[1]) for own, to in pairs]
    )
    wrapped = DistillCriterion(criterion, answering, section, ignore_index)
    return student, wrapped, f"teacher: {teacher_config.name}, weights of {source}"


@EXTENSIONS.add_component
def distill(surroundings: Surroundings) -> Distillation:
    """The extension of the section ``distill``."""
    return Distillation(surroundings)


@contextmanager
def recorded(network: nn.Layer, names: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """Inside, what the layers of those names give is collected: name -> outputs in order. Nothing stays behind."""
    found: dict[str, list[Any]] = {name: [] for name in names}
    layers = dict(network.named_sublayers())
    handles = [layers[name].register_forward_post_hook(_collector(outputs)) for name, outputs in found.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def feature_name(index: int) -> str:
    """Name of the loss of a pair of features, and of the student's adapted feature."""
    return f"{PREFIX}_feature{index + 1}"


def _collector(outputs: list[Any]) -> Any:
    def hook(layer: nn.Layer, inputs: Any, output: Any) -> None:
        outputs.append(output)

    return hook


def _single(found: Mapping[str, list[Any]]) -> dict[str, paddle.Tensor]:
    return {name: outputs[0] for name, outputs in found.items()}


@paddle.no_grad()
def _shapes(network: nn.Layer, names: Sequence[str], size: tuple[int, int]) -> dict[str, list[tuple[int, ...]]]:
    """Shapes of everything that layers give in one pass; () for what is no tensor. Leaves evaluation mode behind."""
    network.eval()
    with recorded(network, names) as found:
        run_once(network, size)
    return {
        name: [tuple(one.shape) if isinstance(one, paddle.Tensor) else () for one in outputs]
        for name, outputs in found.items()
    }


def _load_teacher_config(config: Config, section: Distill) -> Config:
    try:
        teacher = load_config(section.teacher_config)
        teacher.require("model")
        return teacher
    except MobileSegError as error:
        seen = f"the configuration of the teacher cannot be used: {error.message}"
        raise ConfigError([config.origins.problem(("distill", "teacher_config"), seen, error.remedy or "")]) from error


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise ConfigError(problems)
