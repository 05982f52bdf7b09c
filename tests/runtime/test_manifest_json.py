import hashlib
import json
from pathlib import Path

import pytest
import yaml

from mobileseg.runtime.deploy_yaml import DEPLOY_FILE
from mobileseg.runtime.manifest import twin_problems
from mobileseg.runtime.manifest_json import JSON_FILE, YAML_HASH
from tests.runtime.artefacts import artefact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    artefact(tmp_path).write(tmp_path)
    return tmp_path


def problems(folder: Path) -> list[str]:
    return twin_problems(folder)


def test_it_repeats_the_yaml_and_holds_its_hash(folder: Path) -> None:
    content = json.loads((folder / JSON_FILE).read_text(encoding="utf-8"))
    text = (folder / DEPLOY_FILE).read_bytes()
    assert content.pop(YAML_HASH) == hashlib.sha256(text).hexdigest()
    assert content == yaml.safe_load(text)
    assert problems(folder) == []


def test_a_yaml_changed_by_hand_is_seen(folder: Path) -> None:
    path = folder / DEPLOY_FILE
    path.write_text(path.read_text().replace("color: RGB", "color: BGR"))
    found = problems(folder)
    assert len(found) == 2
    assert "not written together" in found[0]
    assert found[1].endswith("deploy.yaml: mobileseg.image")


def test_a_json_changed_by_hand_is_seen(folder: Path) -> None:
    path = folder / JSON_FILE
    content = json.loads(path.read_text())
    content["mobileseg"]["classes"][0] = "something else"
    path.write_text(json.dumps(content))
    assert [text.split("deploy.yaml: ")[1] for text in problems(folder)] == ["mobileseg.classes"]


@pytest.mark.parametrize(("text", "seen"), [("{", "cannot be read"), ("[]", "list, expected an object")])
def test_a_damaged_json_is_named(folder: Path, text: str, seen: str) -> None:
    (folder / JSON_FILE).write_text(text)
    assert seen in problems(folder)[0]


def test_folders_from_before_have_none(folder: Path) -> None:
    (folder / JSON_FILE).unlink()
    assert problems(folder) == []
