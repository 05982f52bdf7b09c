"""Configurations of every family, damaged as text and as documents."""

from __future__ import annotations

import copy
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.config.build import build_dataset, build_losses
from mobileseg.config.components import check_components
from mobileseg.config.load import Config, explain, load_config
from mobileseg.errors import ConfigError
from tests.mutation.mutate import damaged_document, damaged_text, find, yaml_bytes
from tests.mutation.target import MustRefuse, Target
from tests.training.toy import toy_section
from tests.training.toy_instances import toy_instance_section
from tests.video.toy_video import toy_queries_section, toy_video_section

ABSENT = Path("absent")  # data that are not there: what a dataset does with its arguments comes before


@cache
def documents() -> tuple[dict[str, Any], ...]:
    """A configuration of each family."""
    labels = toy_section(ABSENT) | {"plugins": []}
    labels["model"] = {"type": "MobileSeg", "num_classes": 3, "backbone": {"type": "ShuffleNetV2_x0_25"}}
    labels["loss"] = {"types": [{"type": "CrossEntropyLoss"}] * 3, "coef": [1.0, 0.4, 0.4]}
    objects = toy_instance_section(ABSENT) | {"plugins": []}
    objects["model"]["backbone"] = {"type": "MobileNetV2_x0_25"}
    return labels, objects, toy_video_section(ABSENT, "joint"), toy_queries_section(ABSENT, clip=2)


def expected_of(document: Any, path: tuple[str | int, ...], value: Any) -> MustRefuse | None:
    """What a replaced value must not get away with."""
    if not path or value is ...:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return MustRefuse(f"{path} is {value}")
    if isinstance(value, int) and abs(value) >= 2**64:
        return MustRefuse(f"{path} has more than 64 bits")
    if isinstance(value, str) and "\0" in value:
        return MustRefuse(f"{path} holds a NUL")
    before = find(document, path)
    if isinstance(before, int | float) and not isinstance(before, bool) and isinstance(value, str | dict):
        return MustRefuse(f"{path} is {value!r:.60} in place of {before}")
    if isinstance(before, dict) and isinstance(value, int | float | list):
        return MustRefuse(f"{path} is {value!r:.60} in place of a section")
    return None


def write_config(folder: Path, rng: np.random.Generator) -> MustRefuse | None:
    document = documents()[int(rng.integers(len(documents())))]
    file = folder / "mine.yml"
    if rng.random() < 0.4:
        text = yaml_bytes(document, default_flow_style=bool(rng.random() < 0.2))
        file.write_bytes(damaged_text(text.decode(), rng))
        return None
    changed, path, value = damaged_document(document, rng)
    file.write_bytes(yaml_bytes(changed, allow_unicode=bool(rng.random() < 0.5)))
    return expected_of(document, path, value)


def use_config(folder: Path, expectation: Any) -> None:
    """All that commands do with it before they read data."""
    try:
        read_and_build(folder)
    except OSError as error:  # a name of 5,000 characters: the command line says what and which
        raise ConfigError(f"{error.strerror}: {error.filename[:60]}") from error


def read_and_build(folder: Path) -> None:
    """What was accepted is read back as the same."""
    config = load_config(folder / "mine.yml")
    check_components(config)
    explain(config).encode("utf-8", "surrogatepass")
    json.dumps(config.to_dict())
    (folder / "again.yml").write_text(config.to_yaml(), encoding="utf-8")
    assert load_config(folder / "again.yml").hash == config.hash
    if config.loss is not None:
        build_losses(config)
    build_sections(config)


def build_sections(config: Config) -> None:
    """The datasets: those of the documents are not there, which is the last thing that can be wrong."""
    for name in ("train_dataset", "val_dataset"):
        section = getattr(config, name)
        if section is not None:
            try:
                build_dataset(copy.deepcopy(section))
            except Exception as error:
                if getattr(error, "message", "").find(str(ABSENT)) < 0:
                    raise


TARGETS = [Target("config", write_config, use_config, short=100, long=3000)]
