"""Names behind `type:`."""

import subprocess
import sys

import pytest

from mobileseg.errors import ConfigError
from mobileseg.registry import Registry


@pytest.fixture
def registry() -> Registry:
    registry = Registry("shape", ())

    @registry.add_component
    def Circle_x1_0(radius: float = 1.0) -> float:
        return radius

    @registry.add_component
    class Square:
        pass

    return registry


def test_the_name_is_that_of_the_function_or_class(registry) -> None:
    assert list(registry) == ["Circle_x1_0", "Square"]
    assert registry.get("Circle_x1_0")(radius=2.0) == 2.0
    assert "Square" in registry
    assert "square" not in registry
    assert registry.size == 2


def test_a_name_is_taken_once_and_the_first_stays(registry) -> None:
    first = registry.get("Square")
    with pytest.raises(ValueError, match="'Square' is registered twice") as caught:
        registry.add_component(type("Square", (), {}))
    assert "test_registry.py:" in str(caught.value)
    assert registry.get("Square") is first


def test_an_unknown_name_is_answered_with_the_nearest(registry) -> None:
    with pytest.raises(ConfigError, match="no shape named 'circle_x1_O'") as caught:
        registry.get("circle_x1_O")
    assert caught.value.remedy == "did you mean Circle_x1_0?"
    with pytest.raises(ConfigError) as caught:
        registry.get("zzz")
    assert caught.value.remedy == "known: Circle_x1_0, Square"
    assert registry.nearest("SQUAR") == ["Square"]


def test_what_a_failing_plugin_registered_is_forgotten(registry) -> None:
    def plugin() -> None:
        with registry.undo_on_error():
            registry.add_component(type("Triangle", (), {}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        plugin()
    assert "Triangle" not in registry
    assert registry.size == 2


def test_modules_are_imported_on_the_first_look_up(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lazy_shapes.py").write_text("")
    registry = Registry("shape", ("lazy_shapes",))
    assert registry.size == 0
    assert "lazy_shapes" not in sys.modules
    assert list(registry) == []
    assert sys.modules.pop("lazy_shapes")
    registry.load()
    assert "lazy_shapes" not in sys.modules  # not imported a second time


def test_the_registries_of_the_suite_load_nothing_by_being_imported() -> None:
    script = (
        "import sys\n"
        "from mobileseg.registry import BACKBONES, DATASETS, LOSSES, NETWORKS, TRANSFORMS\n"
        "assert not any(r.size for r in (BACKBONES, DATASETS, LOSSES, NETWORKS, TRANSFORMS))\n"
        "assert not {'paddle', 'cv2', 'numpy'} & set(sys.modules)\n"
        "assert 'Cityscapes' in DATASETS and 'Resize' in TRANSFORMS\n"
        "assert 'paddle' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
