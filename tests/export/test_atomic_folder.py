"""What an export may replace: an earlier export, and nothing else."""

import shutil
from pathlib import Path

import pytest

from mobileseg.errors import ExportError
from mobileseg.export.atomic_folder import keep_failed, refuse_existing, staging
from tests.runtime.artefacts import artefact

ZOO = Path(__file__).parents[2] / "zoo" / "mobileseg_mobilenetv2_camvid"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_is_replaced_only_when_asked_for(tmp_path: Path) -> None:
    artefact(tmp_path / "a")
    refuse_existing(tmp_path / "none", overwrite=False)
    refuse_existing(tmp_path / "a", overwrite=True)
    with pytest.raises(ExportError, match="is not empty") as caught:
        refuse_existing(tmp_path / "a", overwrite=False)
    assert "--overwrite" in str(caught.value.remedy)


def test_an_empty_folder_is_no_obstacle(tmp_path: Path) -> None:
    refuse_existing(tmp_path, overwrite=False)


@pytest.mark.parametrize("name", ["notes.txt", "best", ".hidden"])
def test_what_the_manifest_does_not_list_is_never_deleted(tmp_path: Path, name: str) -> None:
    artefact(tmp_path / "a")
    if name == "best":
        (tmp_path / "a" / name).mkdir()
    else:
        (tmp_path / "a" / name).write_text("mine")
    with pytest.raises(ExportError, match=rf"holds what no export wrote there \({name}\)"):
        refuse_existing(tmp_path / "a", overwrite=True)
    with pytest.raises(ExportError) as caught:  # and the flag is not recommended
        refuse_existing(tmp_path / "a", overwrite=False)
    assert "--overwrite" not in str(caught.value.remedy)


def test_a_folder_in_the_place_of_a_listed_file(tmp_path: Path) -> None:
    artefact(tmp_path / "a")
    (tmp_path / "a" / "model.onnx").unlink()
    (tmp_path / "a" / "model.onnx").mkdir()
    with pytest.raises(ExportError, match="no export wrote"):
        refuse_existing(tmp_path / "a", overwrite=True)


def test_run_folders_zoo_folders_and_damaged_exports_stay(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "best").mkdir(parents=True)
    (run / "config.yml").write_text("a: 1")
    zoo = Path(shutil.copytree(ZOO, tmp_path / "zoo"))
    artefact(tmp_path / "damaged")
    (tmp_path / "damaged" / "deploy.yaml").write_text("mobileseg: 1")
    for folder in (run, zoo, tmp_path / "damaged", tmp_path):
        with pytest.raises(ExportError, match="no export wrote"):
            refuse_existing(folder, overwrite=True)


def test_what_is_being_exported_stays(tmp_path: Path) -> None:
    artefact(tmp_path / "a")
    with pytest.raises(ExportError, match=r"contains .*model\.onnx, which is in use"):
        refuse_existing(tmp_path / "a", overwrite=True, in_use=[tmp_path / "a" / "model.onnx"])
    refuse_existing(tmp_path / "a", overwrite=True, in_use=[tmp_path / "b"])


@pytest.mark.parametrize("name", [".", "..", "../..", "link"])
def test_the_working_directory_is_never_replaced(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    (here / "link").symlink_to(here.parent)
    monkeypatch.chdir(here)
    with pytest.raises(ExportError, match="the working directory"):
        refuse_existing(Path(name), overwrite=True)


def test_a_failed_export_replaces_an_earlier_failed_one_alone(tmp_path: Path) -> None:
    for index, expected in enumerate(["a.failed", "a.failed", "a.failed2"]):
        artefact(tmp_path / "stage")
        assert keep_failed(tmp_path / "stage", tmp_path / "a").name == expected
        if index == 1:
            (tmp_path / "a.failed" / "notes.txt").write_text("mine")
    assert (tmp_path / "a.failed" / "notes.txt").read_text() == "mine"


def test_what_another_export_put_there_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "a", overwrite=False)
    artefact(tmp_path / "a")
    before = tree(tmp_path)
    with pytest.raises(ExportError, match="is not empty"), staging(tmp_path / "a", False):
        pass
    assert tree(tmp_path) == before
