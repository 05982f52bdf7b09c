"""What the doctor asks of a task, and that nobody but the task knows which it is."""

import ast
import inspect
from pathlib import Path

import pytest

from mobileseg.data.datasets import Dataset
from mobileseg.data.doctor.diagnose import preflight
from mobileseg.data.doctor.task import TaskDoctor, doctor_of
from mobileseg.errors import ConfigError
from mobileseg.tasks import packages

PACKAGE = Path(__file__).parents[3] / "mobileseg"


def test_every_task_answers_every_question_of_the_doctor() -> None:
    asked = {name: value for name, value in vars(TaskDoctor).items() if inspect.isfunction(value) and name[0] != "_"}
    assert len(asked) == 8
    for task in packages():
        answers = doctor_of(task)
        for name, question in asked.items():
            expected = list(inspect.signature(question).parameters)[1:]
            assert list(inspect.signature(getattr(answers, name)).parameters) == expected, f"{task}.{name}"


def test_a_dataset_without_a_task_is_an_error(folder) -> None:
    dataset = Dataset(str(folder.root), train_path=folder.fill("l.txt", 1), num_classes=3)
    dataset.task = None
    with pytest.raises(ConfigError, match="Dataset does not say which task it is for"):
        preflight(dataset)


@pytest.mark.parametrize("place", ["data", "commands/doctor.py"])
def test_no_task_is_named(place: str) -> None:
    files = [PACKAGE / place] if place.endswith(".py") else sorted((PACKAGE / place).rglob("*.py"))
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Constant) and node.value in packages()
            assert not named, f"{path}:{node.lineno} names a task"
