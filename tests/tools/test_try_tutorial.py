"""The quick start of PaddleSeg: its commands word for word (needs a checkout), and the data that they are run on."""

import os
from pathlib import Path

import pytest

from mobileseg.data.datasets import OpticDiscSeg
from tools.try_tutorial import as_page, inferred_alike, make_data, provide_weights, run_all, tutorial_commands


def test_generated_data_has_the_layout_of_the_tutorials(tmp_path):
    make_data(tmp_path)
    data = OpticDiscSeg(str(tmp_path), mode="val")
    assert len(data) == 4
    label = data[0]["label"]
    assert sorted(set(label.ravel().tolist())) == [0, 1]
    assert 0.01 < label.mean() < 0.1


def test_commands_are_read_from_the_page(tmp_path):
    (tmp_path / "docs").mkdir()
    page = "text\n```\nexport X=0\npython tools/train.py \\\n    --config a.yml \\\n  --do_eval\n```\n```\ncd x\n```\n"
    (tmp_path / "docs/quick_start.md").write_text(page)
    assert tutorial_commands(tmp_path) == ["python tools/train.py --config a.yml --do_eval"]
    assert as_page([("python a", "out")], 1.0).startswith("```\n$ python a\nout\n```")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_command_of_the_quick_start_runs_and_both_deployments_agree(tmp_path, monkeypatch):
    checkout = Path(os.environ.get("PADDLESEG_DIR", ""))
    if not os.environ.get("PADDLESEG_DIR") or not (checkout / "docs/quick_start.md").is_file():
        pytest.skip("needs a checkout of PaddleSeg 2.8: set PADDLESEG_DIR")
    pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path / "cache"))
    provide_weights(checkout, tmp_path / "cache")
    folder = tmp_path / "PaddleSeg"
    folder.mkdir()
    found = dict(run_all(checkout, folder, iters=2, batch_size=1))
    assert [command.split()[1] for command in found] == [
        "tools/train.py", "tools/val.py", "tools/predict.py", "tools/export.py", "deploy/python/infer.py",
    ]  # fmt: skip
    assert (folder / "output/best/model.pdparams").is_file()
    assert (folder / "output/infer/H0002.png").is_file()
    assert inferred_alike(checkout, folder) == 1.0
