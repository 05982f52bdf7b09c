"""From checked sections to live objects: networks, datasets, criteria."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mobileseg.config.components import check_components, check_files, loss_problems
from mobileseg.config.load import Config
from mobileseg.config.paddleseg_names import PADDLESEG
from mobileseg.config.rules import ignore_index_of
from mobileseg.config.signatures import PLAN, check_component, signature
from mobileseg.config.structure import Origins
from mobileseg.errors import ConfigError, Problem
from mobileseg.registry import BACKBONES, DATASETS, LOSSES, NETWORKS

if TYPE_CHECKING:
    import paddle

    from mobileseg.data.base import ImageDataset

__all__ = ["build_dataset", "build_losses", "build_network", "check_components", "check_files"]

logger = logging.getLogger(__name__)


def build_network(
    config: Config | Mapping[str, Any],
    plan: Mapping[str, Sequence[int]] | None = None,
    *,
    num_classes: int | None = None,
    load_pretrained: bool = True,
) -> paddle.nn.Layer:
    """Build a network with its backbone and load ``pretrained`` weights.

    Args:
        config: a configuration, or its ``model`` section: ``{"type": "MobileSeg", "backbone": {"type": ...}, ...}``.
        plan: channel plan of a pruned network (:mod:`mobileseg.nn.width`); None takes ``plan`` of the section. With a
            plan ``pretrained`` weights are those of the pruned network, and a backbone's own are not read.
        num_classes: classes, where the section does not say.
        load_pretrained: False leaves random weights, for a checkpoint that is loaded afterwards; nothing is downloaded.

    Returns:
        The network, in training mode.

    Raises:
        ConfigError: an unknown component, arguments that it does not take, no class count.
        WeightsError: pretrained weights that cannot be read, a backbone's that do not fit, or a network's of which
            nothing fits; a plan of another network.
    """
    from mobileseg.nn.compat import say_untested_paddle

    say_untested_paddle()
    section, origins = _model_section(config)
    if num_classes is not None:
        stated = section.setdefault("num_classes", num_classes)
        if stated != num_classes:
            seen = f"is {stated}, but {num_classes} classes were asked for"
            raise ConfigError([origins.problem(("model", "num_classes"), seen)])
    _check_section(("model",), "network", section, origins)
    stored_plan = section.pop(PLAN, None)
    plan = stored_plan if plan is None else plan
    backbone = section.pop("backbone", None)
    channels = section.get("in_channels", backbone.get("in_channels", 3) if isinstance(backbone, Mapping) else 3)
    if isinstance(backbone, Mapping):
        backbone = dict(backbone)
        _check_section(("model", "backbone"), "backbone", backbone, origins)
        backbone_weights = backbone.pop("pretrained", None)
        foreign = backbone["type"].startswith(PADDLESEG)
        measure = not section["type"].startswith(PADDLESEG)
        section["backbone"] = _construct("backbone", backbone, origins, ("model", "backbone"), measure=measure)
        if load_pretrained and backbone_weights and not plan:
            _load(section["backbone"], backbone_weights, "backbone", strict=not foreign)
            if foreign:
                from mobileseg.semantic.paddleseg_repairs import fit_positions

                fit_positions(section["backbone"], backbone_weights)
    elif backbone is not None:
        section["backbone"] = backbone  # a layer, from a caller
    weights = section.pop("pretrained", None)
    network = _construct("network", section, origins, ("model",))
    if channels != 3:
        network.in_channels = channels  # of the image, for whoever traces the network
    if plan:
        from mobileseg.nn.width import apply_plan

        apply_plan(network, plan)
    if load_pretrained and weights:
        # Not strict: fine-tuning for other classes keeps all but the last layer. The table says what did not fit.
        _load(network, weights, "network", strict=bool(plan))
    return network


def build_dataset(section: Mapping[str, Any], *, seed: int | None = None) -> ImageDataset:
    """Build a dataset with its transforms.

    Args:
        section: ``train_dataset`` or ``val_dataset`` of a configuration.
        seed: start of its random choices, where the section does not say.

    Raises:
        ConfigError: an unknown dataset or transform, arguments that it does not take, or a dataset of a plugin that is
            no :class:`~mobileseg.data.base.ImageDataset`.
        DataError: folders or files are missing.
    """
    from mobileseg.data.base import ImageDataset

    arguments = copy.deepcopy(dict(section))
    origins = Origins({})
    _check_section(("dataset",), "dataset", arguments, origins)
    name = arguments.pop("type")
    component = DATASETS.get(name)
    if seed is not None and "seed" in signature(component):
        arguments.setdefault("seed", seed)
    dataset = _call(component, arguments, origins.problem(("dataset",), f"the dataset {name} cannot be built"))
    if not isinstance(dataset, ImageDataset):
        raise ConfigError(
            f"the dataset {name} is a {type(dataset).__name__} and no ImageDataset, whose items, pixels and sequences "
            "training, evaluation and calibration use",
            remedy="derive it from mobileseg.data.base.SegmentationDataset or another one of docs/plugins.md",
        )
    return dataset


def build_losses(config: Config) -> paddle.nn.Layer:
    """Build the criterion, ``(outputs, targets) -> {name: weighted loss}``.

    That is one weighted loss per output of the network, or the one loss that is a criterion by itself
    (``is_criterion``). Losses that do not say what they ignore follow the training dataset.

    Raises:
        ConfigError: there is no ``loss`` section, or a loss cannot be built.
    """
    from mobileseg.semantic.losses import Criterion

    config.require("loss")
    assert config.loss is not None
    problems = loss_problems(config)
    if problems:
        raise ConfigError(problems)
    data = config.to_dict()
    labels = _Labels((data["model"] or {}).get("num_classes") or 0, ignore_index_of(data["train_dataset"]))
    losses = [
        _loss(section, config.origins, ("loss", "types", index), labels)
        for index, section in enumerate(data["loss"]["types"])
    ]
    if getattr(losses[0], "is_criterion", False):
        return losses[0]
    return Criterion(losses, config.loss.coef or [])


class _Labels(NamedTuple):
    """What losses have to know of the training labels."""

    num_classes: int
    ignore_index: int


def _loss(section: dict[str, Any], origins: Origins, path: tuple[str | int, ...], labels: _Labels) -> Any:
    _check_section(path, "loss", section, origins)
    name = section.pop("type")
    if name.startswith(PADDLESEG):
        from mobileseg.semantic.paddleseg_losses import build_paddleseg_loss

        arguments = {"name": name.removeprefix(PADDLESEG), "kwargs": section, **labels._asdict()}
        return _call(build_paddleseg_loss, arguments, origins.problem(path, f"the loss {name} cannot be built"))
    component = LOSSES.get(name)
    if "ignore_index" in signature(component):
        section.setdefault("ignore_index", labels.ignore_index)
    if isinstance(section.get("losses"), list):
        parts = enumerate(section["losses"])
        section["losses"] = [_loss(part, origins, (*path, "losses", index), labels) for index, part in parts]
    return _call(component, section, origins.problem(path, f"the loss {name} cannot be built"))


def _model_section(config: Config | Mapping[str, Any]) -> tuple[dict[str, Any], Origins]:
    if isinstance(config, Config):
        config.require("model")
        return dict(config.to_dict()["model"]), config.origins
    section = dict(config)
    if "type" not in section and isinstance(section.get("model"), Mapping):
        section = dict(section["model"])
    if isinstance(section.get("backbone"), Mapping):
        section["backbone"] = copy.deepcopy(dict(section["backbone"]))
    return section, Origins({})


def _check_section(path: tuple[str | int, ...], kind: str, section: Mapping[str, Any], origins: Origins) -> None:
    if not isinstance(section.get("type"), str):
        raise ConfigError([origins.problem(path, f"this {kind} has no 'type'", "add type: <name>")])
    problems = check_component(path, kind, section, origins)
    if problems:
        raise ConfigError(problems)


def _construct(
    kind: str, section: dict[str, Any], origins: Origins, path: tuple[str | int, ...], *, measure: bool = True
) -> Any:
    name = section.pop("type")
    failure = origins.problem(path, f"the {kind} {name} cannot be built")
    if name.startswith(PADDLESEG):
        from mobileseg.semantic.paddleseg_bridge import build_paddleseg

        wanted = {"kind": kind, "name": name.removeprefix(PADDLESEG), "kwargs": section, "measure": measure}
        return _call(build_paddleseg, wanted, failure)
    return _call((BACKBONES if kind == "backbone" else NETWORKS).get(name), section, failure)


def _call(component: Callable[..., Any], arguments: dict[str, Any], failure: Problem) -> Any:
    """Call a constructor; what it makes of values that the signature admits is an error of the configuration too."""
    try:
        return component(**arguments)
    except ConfigError as error:
        if error.problems or not failure.origin:
            raise
        raise ConfigError([Problem(failure.key, error.message, failure.origin, error.remedy or "")]) from error
    except (TypeError, ValueError) as error:
        reason = f"{failure.message}: {error}"
        raise ConfigError([Problem(failure.key, reason, failure.origin, failure.remedy)]) from error


def _load(layer: Any, source: str, what: str, *, strict: bool) -> None:
    from mobileseg.weights.load import load_into

    report = load_into(layer, source, strict=strict)
    log = logger.info if report.complete else logger.warning
    log("%s weights: %s", what, report)
