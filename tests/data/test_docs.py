"""docs/data.md and docs/doctor.md against the code."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.build import build_transforms
from mobileseg.registry import DATASETS, TRANSFORMS, Registry

ROOT = Path(__file__).parents[2]
DATA = (ROOT / "docs/data.md").read_text(encoding="utf-8")
DOCTOR = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
OWN = [name for name in TRANSFORMS if TRANSFORMS.get(name).__module__.startswith("mobileseg.")]
_ROW = re.compile(r"^\| `(\w+)`(?: \(training\))? \| .*$", re.MULTILINE)
ROWS = {row[1]: row[0] for row in _ROW.finditer(DATA.split("## Transforms")[1])}


def test_every_transform_is_in_the_table_and_nothing_else() -> None:
    assert set(ROWS) == set(OWN)


@pytest.mark.parametrize("name", OWN)
def test_arguments_and_defaults_of_a_transform(name: str) -> None:
    component = TRANSFORMS.get(name)
    arguments = ROWS[name].split(" | ")[1]
    parameters = inspect.signature(component).parameters
    assert re.findall(r"`(\w+)`", re.sub(r"\([^()]*\)", "", arguments)) == list(parameters)
    for parameter in parameters.values():
        documented = re.search(rf"`{parameter.name}` \(([^()]*)\)", arguments)
        default = parameter.default
        if default in (inspect.Parameter.empty, None):
            assert documented is None or documented[1] in ("ignore_index", "a number, or a list to draw from")
            continue
        assert documented, parameter.name
        text = documented[1]
        if isinstance(default, bool | str):
            assert text == str(default) or text == str(default).lower()
        else:
            numbers = [float(number) for number in re.findall(r"[\d.]+(?:e\d+)?", text)]
            assert numbers == np.atleast_1d(np.asarray(default, float)).tolist()
    training = "(training)" in ROWS[name]
    assert training == getattr(component, "train_only", False)


def test_named_datasets_and_their_class_counts() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", DATA, re.MULTILINE))
    named = {name: str(len(DATASETS.get(name).CLASSES)) for name in DATASETS if hasattr(DATASETS.get(name), "CLASSES")}
    assert {name: rows[name] for name in named} == named


def test_arguments_of_list_files() -> None:
    table = DATA.split("## Named datasets")[0]
    documented = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    assert documented == set(inspect.signature(DATASETS.get("Dataset")).parameters) - {"transforms"}


def test_every_finding_has_a_row() -> None:
    codes = set()
    places = (
        "data/doctor/*.py",
        "semantic/doctor*.py",
        "instance/doctor*.py",
        "video/doctor*.py",
        "commands/doctor.py",
    )
    for path in [path for place in places for path in (ROOT / "mobileseg").glob(place)]:
        text = path.read_text(encoding="utf-8")
        codes |= set(re.findall(r'"([a-z]+(?:-[a-z0-9]+)+)"', text)) | set(re.findall(r'"(duplicate|limited)"', text))
    table = "".join(re.findall(r"^\| (`.*?) \|", DOCTOR.split("### Findings")[1], re.MULTILINE))
    assert set(re.findall(r"`([\w-]+)`", table)) == codes - {"no-files"}


def test_every_finding_is_planted_by_a_test() -> None:
    """The list of all codes in test_checks plants nothing."""
    places = (
        "data/doctor/test_*.py",
        "semantic/test_doctor*.py",
        "instance/test_doctor*.py",
        "video/test_doctor*.py",
        "commands/test_doctor.py",
    )
    texts = [path.read_text(encoding="utf-8") for place in places for path in (ROOT / "tests").glob(place)]
    planted = re.sub(r"    reported \+?= \[.*?\]\n", "", "".join(texts), flags=re.DOTALL)
    table = "".join(re.findall(r"^\| (`.*?) \|", DOCTOR.split("### Findings")[1], re.MULTILINE))
    codes = re.findall(r"`([\w-]+)`", table)
    missing = [code for code in codes if not re.search(rf"[\"' ]{code}[\"' \[]", planted)]
    assert not missing


def test_the_transform_of_the_page_runs(monkeypatch) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", DATA, re.DOTALL)
    registry = Registry("transform", ())
    monkeypatch.setattr("mobileseg.registry.TRANSFORMS", registry)
    exec(compile(source, "docs/data.md", "exec"), {"__name__": "page"})
    transform = registry.get("RandomChannelShuffle")(prob=1)
    image = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    outputs = {transform(Sample(image), np.random.default_rng(seed)).image.tobytes() for seed in range(30)}
    assert len(outputs) == 6
    assert build_transforms([transform]) == [transform]
