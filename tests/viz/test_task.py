"""Every task of the table answers the contract of viz/task.py; nobody who shows results asks which task it is."""

import ast
import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.sample import Sample
from mobileseg.structures import InstanceMasks, InstanceResult, SemanticResult
from mobileseg.tasks import INSTANCE, SEMANTIC, packages, stage
from mobileseg.viz.task import ModelFacts, ResultsFile, Visualization, Visualizer

PACKAGE = Path(__file__).parents[2] / "mobileseg"
COLOURS = np.array([[200, 0, 0], [0, 0, 200]], np.uint8)
NEUTRAL = [
    *sorted((PACKAGE / "viz").glob("*.py")),
    *sorted((PACKAGE / "prediction").glob("*.py")),
    *(PACKAGE / "commands" / f"{verb}.py" for verb in ("predict", "demo", "report")),
    PACKAGE / "runtime" / "video.py",
]


def model(task: str) -> ModelFacts:
    return ModelFacts("net", task, ("cat", "dog"), COLOURS)


def results(task: str) -> list:
    """A usual result of 20x30, and one with nothing in it."""
    labels = np.zeros((20, 30), np.uint8)
    labels[5:15, 10:20] = 1
    if task == SEMANTIC:
        return [SemanticResult(labels), SemanticResult(np.full((20, 30), 255, np.uint8))]
    found = InstanceResult(
        np.float32([[10, 5, 20, 15]]), np.float32([0.9]), np.array([1]), InstanceMasks.from_array(labels[None] == 1)
    )
    return [found, found.take([])]


def members(protocol: type) -> dict[str, list[str]]:
    """Functions of a protocol -> names of their parameters."""
    found = inspect.getmembers(protocol, inspect.isfunction)
    return {
        name: [parameter for parameter in inspect.signature(one).parameters if parameter != "self"]
        for name, one in found
        if not name.startswith("_")
    }


@pytest.mark.parametrize("task", sorted(packages()))
def test_modules_answer_the_contract(task: str) -> None:
    module = stage(task, "visualize")
    for owner, protocol in ((module, Visualization), (module.visualizer(model(task)), Visualizer)):
        for name, parameters in members(protocol).items():
            assert list(inspect.signature(getattr(owner, name)).parameters) == parameters, f"{task}: {name}"
    assert isinstance(module.LOSS_PARTS, tuple)
    assert isinstance(module.visualizer(model(task)).note, str)


@pytest.mark.parametrize("task", [SEMANTIC, INSTANCE])
def test_usual_and_empty_results_are_shown(task: str, tmp_path: Path) -> None:
    module: Visualization = stage(task, "visualize")
    show = module.visualizer(model(task), opacity=0.5)
    image = np.full((20, 30, 3), 120, np.uint8)
    file: ResultsFile | None = module.results_file(tmp_path)
    documents = []
    for number, result in enumerate(results(task)):
        assert show.example(image, result).shape == image.shape
        assert show.image(image, result).shape[1:] == (30, 3)
        assert show.frame(image, result).shape == show.frame(image, results(task)[0]).shape
        show.write_mask(tmp_path / f"{number}.png", result)
        facts = show.facts(result, "a/1")
        assert (facts["height"], facts["width"]) == (20, 30)
        assert "\n" not in show.summary(result)
        documents.append(facts)
    if file is not None:
        with file:
            for facts in documents:
                file.add(facts)
        assert len(json.loads(file.path.read_text())) == sum(len(facts["results"]) for facts in documents) > 0
    assert (image == 120).all()
    assert 1 in show.present(results(task)[0])
    assert len(show.present(results(task)[1])) == 0
    assert module.truth(Sample(image.astype(np.float32))) is None
    assert (module.scores({}).headline, module.scores({}).tables) == ((), ())
    assert all(len(values) == 0 for values in module.curves([]).values.values())
    assert all(values == [None] for values in module.curves([{"iter": 3}]).values.values())


def test_only_the_task_decides_whether_there_is_a_file_of_all_results(tmp_path: Path) -> None:
    assert stage(SEMANTIC, "visualize").results_file(tmp_path) is None
    assert stage(INSTANCE, "visualize").results_file(tmp_path).path == tmp_path / "coco_results.json"


@pytest.mark.parametrize("path", NEUTRAL, ids=lambda path: path.name)
def test_nobody_asks_which_task_it_is(path: Path) -> None:
    words = {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not words & {SEMANTIC, INSTANCE, "mask", "miou", "class_ap", "class_iou"}, path
