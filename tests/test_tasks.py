"""The table of tasks."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from mobileseg import tasks
from mobileseg.errors import ConfigError


def test_a_task_is_read_from_networks_datasets_and_names():
    assert tasks.task_of(SimpleNamespace(task=tasks.SEMANTIC)) == "semantic"
    assert tasks.task_of("instance") == tasks.INSTANCE


class Silent:
    """An owner that does not say its task."""


@pytest.mark.parametrize("owner", [Silent, Silent()])
def test_an_owner_without_a_task_is_an_error(owner):
    with pytest.raises(ConfigError, match="Silent does not say which task it is for") as caught:
        tasks.task_of(owner)
    assert "'semantic', 'instance'" in caught.value.remedy


def test_an_unknown_task_is_an_error():
    with pytest.raises(ConfigError, match="there is no task 'panoptic'"):
        tasks.stage("panoptic", "training")


def test_a_task_of_another_distribution_joins_by_an_entry_point(tmp_path):
    info = tmp_path / "counting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mobileseg.tasks]\ncounting = counting_task\n")
    (tmp_path / "counting_task").mkdir()
    (tmp_path / "counting_task" / "__init__.py").write_text("")
    (tmp_path / "counting_task" / "runtime.py").write_text("ANSWER = 42\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from mobileseg import tasks; "
        "sys.exit(tasks.stage('counting', 'runtime').ANSWER)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 42


def test_the_table_imports_nothing_of_the_suite_but_its_errors():
    script = (
        "import sys; before = set(sys.modules); import mobileseg.tasks; "
        "print(sorted(m for m in set(sys.modules) - before if m.startswith('mobileseg.')))"
    )
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == "['mobileseg.errors', 'mobileseg.tasks']"
