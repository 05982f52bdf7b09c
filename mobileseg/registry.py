"""Component registries: the names that may stand behind ``type:`` in a configuration, and extensions of training.

Six registries, each with the modules that fill it. The modules are imported on the first look-up,
so that importing the suite imports neither Paddle nor the whole zoo.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

from mobileseg.errors import ConfigError

T = TypeVar("T", bound=Callable[..., Any])


class Registry:
    """Maps component names to classes or functions that build them.

    Args:
        kind: what the registry holds, for messages: 'backbone', 'loss', ...
        modules: modules that register components; imported once, on the first look-up.
    """

    def __init__(self, kind: str, modules: tuple[str, ...]) -> None:
        self.kind = kind
        self._modules = modules
        self._loaded = False
        self._components: dict[str, Callable[..., Any]] = {}

    def add_component(self, component: T) -> T:
        """Register a class or function under its own name (decorator).

        Raises:
            ValueError: the name is taken; two components of one name would hide each other.
        """
        name = component.__name__
        taken = self._components.get(name)
        if taken is not None:
            raise ValueError(
                f"{self.kind} '{name}' is registered twice: by {_place(taken)} and by {_place(component)}. "
                "Give one of them another name."
            )
        self._components[name] = component
        return component

    def get(self, name: str) -> Callable[..., Any]:
        """The component of that name.

        Raises:
            ConfigError: there is none; the message names the nearest ones.
        """
        self.load()
        if name not in self._components:
            near = self.nearest(name)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(self)}"
            raise ConfigError(f"there is no {self.kind} named '{name}'", remedy=hint)
        return self._components[name]

    def nearest(self, name: str, count: int = 3) -> list[str]:
        """Registered names that look like ``name``, best first."""
        import difflib  # for errors alone

        self.load()
        lowered = {known.lower(): known for known in self._components}
        return [lowered[hit] for hit in difflib.get_close_matches(name.lower(), lowered, n=count, cutoff=0.5)]

    def load(self) -> None:
        """Import the modules that fill this registry."""
        if not self._loaded:
            for module in self._modules:
                import_module(module)
            self._loaded = True

    @property
    def size(self) -> int:
        """Number of components registered so far, without loading anything."""
        return len(self._components)

    @contextmanager
    def undo_on_error(self) -> Iterator[None]:
        """Forget what was registered inside the block if the block raises."""
        before = dict(self._components)
        try:
            yield
        except BaseException:
            self._components = before
            raise

    def __contains__(self, name: object) -> bool:
        self.load()
        return name in self._components

    def __iter__(self) -> Iterator[str]:
        self.load()
        return iter(sorted(self._components))


def _place(component: Callable[..., Any]) -> str:
    try:
        return f"{inspect.getsourcefile(component)}:{inspect.getsourcelines(component)[1]}"
    except (OSError, TypeError):
        return repr(component)


BACKBONES = Registry(
    "backbone",
    (
        "mobileseg.backbones.mobilenetv2",
        "mobileseg.backbones.mobilenetv3",
        "mobileseg.backbones.litehrnet",
        "mobileseg.backbones.shufflenetv2",
        "mobileseg.backbones.ghostnet",
        "mobileseg.backbones.efficientnet_lite",
        "mobileseg.backbones.topformer",
        "mobileseg.backbones.strideformer",
        "mobileseg.backbones.resnet",
        "mobileseg.backbones.resnet_vd",
    ),
)
NETWORKS = Registry(
    "network",
    (
        "mobileseg.semantic.model",
        "mobileseg.semantic.pp_mobileseg",
        "mobileseg.instance.model",
        "mobileseg.video.yolact_edge",
        "mobileseg.video.mobileinst.model",
    ),
)
LOSSES = Registry(
    "loss",
    (
        "mobileseg.semantic.losses",
        "mobileseg.instance.losses",
        "mobileseg.video.losses",
        "mobileseg.video.mobileinst.losses",
    ),
)
DATASETS = Registry("dataset", ("mobileseg.data.datasets",))
TRANSFORMS = Registry("transform", ("mobileseg.data.transforms.build",))
EXTENSIONS = Registry(
    "extension of training",
    ("mobileseg.training.ema", "mobileseg.compress.distillation.distillation", "mobileseg.compress.pruning.sparsity"),
)
"""Builders ``(Surroundings) -> Extension`` (:mod:`mobileseg.training.extension`), named like their section."""
