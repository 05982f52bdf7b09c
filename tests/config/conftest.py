"""Helpers for tests of configurations."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mobileseg.config.signatures import REGISTRIES
from mobileseg.errors import ConfigError


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Writes a file into an empty working folder and returns its relative name, so that origins are short."""
    monkeypatch.chdir(tmp_path)

    def put(name: str, text: str) -> str:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return name

    return put


@pytest.fixture
def refused() -> Callable[..., ConfigError]:
    """Calls a function that must raise ConfigError and returns the error."""

    def call(function: Callable[..., object], *arguments: object) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            function(*arguments)
        return caught.value

    return call


@pytest.fixture
def forget_plugins() -> Iterator[None]:
    """Takes what plugins registered out again, so that other tests see the suite's own components alone."""
    before = {}
    for kind, registry in REGISTRIES.items():
        registry.load()
        before[kind] = dict(registry._components)
    modules = set(sys.modules)
    yield
    for kind, registry in REGISTRIES.items():
        registry._components = before[kind]
    for name in set(sys.modules) - modules:
        if name.startswith("mobileseg_plugin_"):
            del sys.modules[name]
