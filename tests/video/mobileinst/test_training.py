"""Training from a configuration: images, clips, still images beside clips, and a resume that changes no bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileseg.config.build import build_dataset, build_losses, build_network
from mobileseg.config.load import Config, load_config
from mobileseg.config.source import dump
from mobileseg.errors import ConfigError
from mobileseg.training.seeding import seed_everything
from mobileseg.training.trainer import Trainer
from mobileseg.video.training import steps
from tests.training.toy import equal, losses_of, weights_of
from tests.video.toy_video import toy_queries_section as section
from tests.video.toy_video import toy_video_data, toy_video_section


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_video_data(tmp_path_factory.mktemp("videos"))


def stills_of(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = toy_video_section(data, "base")["stills_dataset"]
    return found


def configuration(path: Path, document: dict[str, Any]) -> Config:
    path.write_text(dump(document), encoding="utf-8")
    return load_config(path)


def logged(folder: Path) -> str:
    return (folder / "log.jsonl").read_text(encoding="utf-8")


@pytest.mark.both
@pytest.mark.parametrize("clip", [None, 2])
def test_resume_is_exact(clip: int | None, data: Path, tmp_path: Path) -> None:
    config = configuration(tmp_path / "toy.yml", section(data, clip=clip))
    whole = Trainer(config, tmp_path / "whole", do_eval=False)
    assert whole.fit().reason == "finished"
    Trainer(config.changed({"iters": 2}), tmp_path / "halves", do_eval=False).fit()
    seed_everything(99, 99)
    halves = Trainer(config, tmp_path / "halves", do_eval=False)
    assert halves.fit("auto").reason == "finished"
    assert equal(weights_of(whole), weights_of(halves))
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "halves")
    assert all(np.isfinite(list(losses_of(tmp_path / "whole").values())))
    for name in ("passed", "reused"):
        assert (name in logged(tmp_path / "whole")) == (clip == 2)


def test_still_images_beside_clips(data: Path, tmp_path: Path) -> None:
    document = section(data, clip=2) | {"stills_dataset": stills_of(data)}
    trainer = Trainer(configuration(tmp_path / "toy.yml", document), tmp_path / "run", do_eval=False)
    assert [running.step.name for running in trainer.state.steps] == ["stills", "frames"]
    assert trainer.fit().reason == "finished"
    assert "frames.passed" in logged(tmp_path / "run")


def test_clips_of_stills_and_of_videos_in_one_batch(data: Path, tmp_path: Path) -> None:
    """Pseudo clips and generated ones have the same arrays."""
    still = {key: value for key, value in stills_of(data).items() if key != "transforms"}
    document = section(data, clip=2)
    pseudo = {"type": "PseudoClips", "stills": still}
    transforms = document["train_dataset"].pop("transforms")
    parts = [{"ratio": 1, "dataset": pseudo}, {"ratio": 2, "dataset": document["train_dataset"]}]
    document["train_dataset"] = {"type": "MixedClips", "parts": parts, "transforms": transforms}
    trainer = Trainer(configuration(tmp_path / "toy.yml", document), tmp_path / "run", do_eval=False)
    assert trainer.fit().reason == "finished"
    assert "passed" in logged(tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"video": {"stage": "joint"}}, "video.stage"),
        ({"train_dataset": {"reference": [1, 3]}}, "clip: 2 in place of reference"),
        ({"loss": {"types": [{"type": "YolactLoss"}]}}, "MobileInstLoss"),
    ],
)
def test_what_queries_do_not_learn_from(changes: dict[str, Any], words: str, data: Path, tmp_path: Path) -> None:
    document = section(data)
    for name, value in changes.items():
        document[name] = document[name] | value
    config = configuration(tmp_path / "toy.yml", document)
    network, dataset = build_network(config, load_pretrained=False), build_dataset(document["train_dataset"])
    with pytest.raises(ConfigError) as caught:
        steps(network, build_losses(config), dataset, config.to_dict())
    assert words in str(caught.value) + str(caught.value.remedy)
