"""The ``paddleseg`` package as a store of components: found by name, their arguments checked, nothing built yet."""

from __future__ import annotations

import difflib
import inspect
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import numpy as np

from mobileseg.errors import ConfigError, DependencyError

VERSION = "2.8.0"
KINDS = ("network", "backbone", "loss")
"""Kinds of components that are taken from the package; datasets, transforms and optimizers are the suite's own."""

_REGISTRIES = {"network": "MODELS", "backbone": "BACKBONES", "loss": "LOSSES"}
_REMEDY = "pip install --no-deps -r requirements-paddleseg.txt"


def find_component(kind: str, name: str) -> Callable[..., Any]:
    """The class or function of that name in the package's registry.

    Args:
        kind: one of :data:`KINDS`.
        name: PaddleSeg's name, without the prefix.

    Raises:
        DependencyError: paddleseg is not installed, or another version.
        ConfigError: it has no such component.
    """
    manager, models = import_paddleseg()
    registry: Mapping[str, Callable[..., Any]] = getattr(manager, _REGISTRIES[kind]).components_dict
    if name in registry:
        return registry[name]
    # A few functions of the package (ResNet34_vd) are public without being registered.
    public = getattr(models.backbones, name, None) if kind == "backbone" else None
    if inspect.isfunction(public):
        return public
    near = difflib.get_close_matches(name, registry, n=3, cutoff=0.4)
    hint = (
        f"did you mean {' or '.join(f'paddleseg.{hit}' for hit in near)}?" if near else f"known: {', '.join(registry)}"
    )
    raise ConfigError(f"paddleseg has no {kind} named '{name}'", remedy=hint)


def argument_names(kind: str, name: str) -> frozenset[str] | None:
    """Keys that a component takes; None when it takes any (the class behind a function says what it does not take).

    Raises:
        DependencyError, ConfigError: as :func:`find_component`.
    """
    parameters = inspect.signature(find_component(kind, name)).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    return frozenset(parameters)


def unknown_arguments(kind: str, name: str, section: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Keys of a section that the component does not take: key -> (what is wrong, remedy).

    Args:
        kind: one of :data:`KINDS`.
        name: PaddleSeg's name, without the prefix.
        section: arguments; ``type`` is no argument.

    Raises:
        DependencyError, ConfigError: as :func:`find_component`.
    """
    known = argument_names(kind, name)
    found: dict[str, tuple[str, str]] = {}
    for key in section:
        if known is not None and key not in known and key != "type":
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(sorted(known)) or 'none'}"
            found[key] = f"paddleseg.{name} has no argument '{key}'", hint
    return found


def import_paddleseg() -> tuple[Any, Any]:
    """The package's ``manager`` (registries) and ``models``, which fills them.

    Raises:
        DependencyError: paddleseg is not installed, cannot be imported, or is another version.
    """
    try:
        found = metadata.version("paddleseg")
    except metadata.PackageNotFoundError:
        raise DependencyError(
            f"'type: paddleseg...' needs the package paddleseg {VERSION}, which is not installed", remedy=_REMEDY
        ) from None
    if found != VERSION:
        raise DependencyError(f"paddleseg {VERSION} is needed, {found} is installed", remedy=_REMEDY)
    try:
        with _undisturbed():
            from paddleseg import models
            from paddleseg.cvlibs import manager
    except ImportError as error:
        raise DependencyError(f"paddleseg cannot be imported: {error}", remedy=_REMEDY) from error
    return manager, models


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Undo what importing the package changes for the whole process, and keep its folders out of the home folder."""
    from mobileseg.cache import cache_folder

    root = logging.getLogger()
    handlers, level, options = list(root.handlers), root.level, np.get_printoptions()
    named = os.environ.get("SEG_HOME")
    if named is None:
        os.environ["SEG_HOME"] = str(cache_folder() / "paddleseg")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if named is None:
            del os.environ["SEG_HOME"]
        root.handlers[:], root.level = handlers, level
        np.set_printoptions(**options)
