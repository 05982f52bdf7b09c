"""The stages: their steps, what each trains, and a resume between any two steps that changes no bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from mobileseg.config.build import build_dataset, build_losses, build_network
from mobileseg.config.components import check_components
from mobileseg.config.load import Config, load_config
from mobileseg.config.source import dump
from mobileseg.errors import ConfigError, DataError, TrainingError
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.seeding import seed_everything
from mobileseg.training.trainer import Trainer
from mobileseg.video.losses import FeatureMatching
from mobileseg.video.stages import stage_steps
from mobileseg.video.yolact_edge import KeyFrame
from tests.training.launching import launch
from tests.training.toy import equal, losses_of, weights_of
from tests.video.toy_video import toy_video_config, toy_video_data, toy_video_section

STEPS = {
    "base": ["stills", "frames"],
    "flow": ["train"],
    "joint": ["stills", "frames", "warp"],
    "transform": ["frames"],
}
TRAINED = {
    "base": {"backbone", "fpn", "proto_net", "prediction_layers", "semantic_seg_conv"},
    "flow": {"flow_net", "flow_net_pre_convs"},
    "joint": {"flow_net", "flow_net_pre_convs", "spa", "fpn", "proto_net", "prediction_layers", "semantic_seg_conv"},
    "transform": {"flow_net", "flow_net_pre_convs", "spa"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_video_data(tmp_path_factory.mktemp("videos"))


@pytest.fixture
def config_of(data: Path, tmp_path: Path) -> Callable[..., Config]:
    def made(stage: str, **options: Any) -> Config:
        return toy_video_config(tmp_path / f"{stage}.yml", data, stage, **options)

    return made


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Trainer, Path]]:
    """A finished run of a stage and its folder; each is trained once."""
    folder, made = tmp_path_factory.mktemp("whole"), {}

    def run(stage: str) -> tuple[Trainer, Path]:
        if stage not in made:
            config = toy_video_config(folder / f"{stage}.yml", data, stage)
            check_components(config)
            made[stage] = Trainer(config, folder / stage, do_eval=False)
            assert made[stage].fit().reason == "finished"
        return made[stage], folder / stage

    return run


@pytest.mark.both
@pytest.mark.parametrize("stage", STEPS)
def test_a_stage_trains_its_parts_alone(stage: str, whole: Callable[[str], tuple[Trainer, Path]]) -> None:
    """Weights and running statistics of all others are those of the start; all trained ones moved."""
    trainer, folder = whole(stage)
    assert [running.step.name for running in trainer.state.steps] == STEPS[stage]
    seed_everything(3, 0)
    start = build_network(trainer.config, load_pretrained=False).state_dict()
    trained = {name for group in trainer.state.groups for name in group.names}
    moved = {name for name, value in trainer.network.state_dict().items() if (value != start[name]).any()}
    # A norm's shift before a convolution and another norm changes nothing, so it has no gradient.
    assert {name for name in trained if not name.endswith(".bias")} <= moved
    assert {name.split(".")[0] for name in trained} == TRAINED[stage]
    assert {name.split(".")[0] for name in moved} == TRAINED[stage]
    lateral = {name for name in moved if name.startswith("fpn.lat_layers")}
    assert bool(lateral) == (stage == "base")
    assert all(np.isfinite(list(losses_of(folder).values())))


@pytest.mark.parametrize(("freeze", "trained"), [("published", False), ("paper", True)])
def test_laterals_are_frozen_as_published_or_trained_as_in_the_paper(
    config_of: Callable[..., Config], freeze: str, trained: bool
) -> None:
    config = config_of("joint", stills=False)
    config = config.changed({"video": config.video.model_copy(update={"freeze": freeze})})
    network = build_network(config, load_pretrained=False)
    dataset = build_dataset(config.to_dict()["train_dataset"])
    steps = stage_steps(network, build_losses(config), dataset, config.to_dict())
    assert [step.name for step in steps] == ["frames", "warp"]
    assert all(p.stop_gradient != trained for p in network.fpn.lat_layers.parameters())
    assert all(p.stop_gradient for p in network.backbone.parameters())
    network.train()
    steps[1].objective.train()
    assert network.training
    assert network.fpn.pred_layers.training
    assert not any(layer.training for layer in network.backbone.sublayers(include_self=True))


def stopped_after(config: Config, run: Path, iteration: int, number: int) -> Trainer:
    """A trainer that got a signal in a step (from 0) of an iteration (from 1)."""
    trainer = Trainer(config, run, do_eval=False)
    step = trainer._step

    def stopping(which: int) -> float:
        waited = step(which)
        if (trainer.iteration + 1, which) == (iteration, number):
            os.kill(os.getpid(), signal.SIGTERM)
        return waited

    trainer._step = stopping  # type: ignore[method-assign]
    assert trainer.fit().reason == "interrupted"
    return trainer


@pytest.mark.both
@pytest.mark.parametrize(
    ("stage", "iteration", "number"),
    [
        ("base", 1, 0),
        ("flow", 2, 0),
        ("joint", 1, 0),
        ("joint", 3, 1),
        ("transform", 2, 0),
        pytest.param("base", 3, 0, marks=pytest.mark.long),
        pytest.param("base", 2, 1, marks=pytest.mark.long),
        pytest.param("joint", 3, 0, marks=pytest.mark.long),
        pytest.param("joint", 2, 2, marks=pytest.mark.long),
    ],
)
def test_resume_is_exact_between_any_two_steps(
    stage: str,
    iteration: int,
    number: int,
    whole: Callable[[str], tuple[Trainer, Path]],
    config_of: Callable[..., Config],
    tmp_path: Path,
) -> None:
    first, folder = whole(stage)
    stopped_after(config_of(stage), tmp_path / "halves", iteration, number)
    saved = read_checkpoint(tmp_path / "halves" / "last")
    between = number + 1 < len(STEPS[stage])
    assert saved.state["between_steps"].get("step", 0) == (number + 1 if between else 0)
    seed_everything(99, 99)
    halves = Trainer(config_of(stage), tmp_path / "halves", do_eval=False)
    assert halves.fit("auto").reason == "finished"
    assert equal(weights_of(first), weights_of(halves))
    assert equal(first.extensions["ema"].average.arrays(), halves.extensions["ema"].average.arrays())
    one, other = (read_checkpoint(place / "last") for place in (folder, tmp_path / "halves"))
    assert equal(one.arrays["optimizer"], other.arrays["optimizer"])
    assert losses_of(folder) == losses_of(tmp_path / "halves")


@pytest.mark.both
def test_batches_that_are_accumulated_meet_their_own_maps(config_of: Callable[..., Config], tmp_path: Path) -> None:
    """Matching compares frame with frame; a resume between the steps of accumulated batches is exact too."""
    config = config_of("joint", stills=False).changed({"accumulate": 2, "iters": 2})
    trainer = Trainer(config, tmp_path / "whole", do_eval=False)
    seen: list[list[list[int]]] = [[], []]
    for running, noted in zip(trainer.state.steps, seen, strict=True):

        def noting(
            batch: dict[str, Any], forward: Any = running.step.objective.forward, noted: Any = noted
        ) -> dict[str, paddle.Tensor]:
            noted.append((batch.get("earlier", {}).get("frames") or batch)["index"].numpy().tolist())
            return forward(batch)

        running.step.objective.forward = noting
    trainer.fit()
    assert len(seen[0]) == 4
    assert seen[1] == seen[0]
    stopped_after(config, tmp_path / "halves", 2, 0)
    with pytest.raises(TrainingError, match="between two steps of an iteration of 2 batches each, and accumulate is 1"):
        Trainer(config.changed({"accumulate": 1}), tmp_path / "halves", do_eval=False).fit("auto")
    halves = Trainer(config, tmp_path / "halves", do_eval=False)
    assert halves.fit("auto").reason == "finished"
    assert equal(weights_of(trainer), weights_of(halves))


@pytest.mark.both
def test_the_warped_step_is_the_partial_transform_of_the_reference(config_of: Callable[..., Config]) -> None:
    """Losses of outputs and maps that the network's own methods give, and no gradient beyond the reference's maps."""
    config = config_of("joint", stills=False, network="YolactEdge")
    network = build_network(config, load_pretrained=False)
    criterion = build_losses(config)
    dataset = build_dataset(config.to_dict()["train_dataset"])
    frames, warp = stage_steps(network, criterion, dataset, config.to_dict())
    network.train()
    warp.objective.train()
    batch = {name: paddle.to_tensor(array[None]) for name, array in dataset[(0, 0)].items()}
    losses = frames.objective(batch)
    assert set(losses) == {"box", "class", "mask", "segm"}
    left = {name: value.detach() for name, value in frames.objective.results.items()}
    found = warp.objective({"earlier": {"frames": left}})
    with paddle.no_grad():
        lateral, maps = network.first_phase(batch["reference"])
        key = KeyFrame(network.flow_net_pre_convs(lateral), maps[1], maps[2])
        moved = network.non_key_frame(batch["image"], key)
        expected = criterion(network.predictions(moved, (64, 64)), batch)
        _, targets = network.first_phase(batch["image"])
        expected["matching"] = FeatureMatching(network.fpn)(moved[1:], targets[1:])
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {name: float(value) for name, value in expected.items()}, rel=1e-5
    )
    paddle.add_n(list(found.values())).backward()
    reached = {name for name, p in network.named_parameters() if p.grad is not None}
    assert {name.split(".")[0] for name in reached} >= {"flow_net", "flow_net_pre_convs", "spa", "fpn", "proto_net"}
    assert not [name for name in reached if name.startswith(("backbone", "fpn.lat_layers", "flow_net.pred1"))]


@pytest.mark.both
@pytest.mark.parametrize("network", ["MobileYolactEdge", "YolactEdge"])
def test_the_transform_is_learned_in_both_directions(config_of: Callable[..., Config], network: str) -> None:
    """Each frame from the other one, compared with what the network's own methods compute of it whole."""
    config = config_of("transform", network=network)
    model = build_network(config, load_pretrained=False)
    dataset = build_dataset(config.to_dict()["train_dataset"])
    (step,) = stage_steps(model, build_losses(config), dataset, config.to_dict())
    model.train()
    step.objective.train()
    samples = [dataset[(index, index)] for index in (0, 3)]
    batch = {name: paddle.to_tensor(np.stack([one[name] for one in samples])) for name in ("image", "reference")}
    trained = [part for part in (model.flow_net, model.flow_net_pre_convs, model.spa) if part is not None]
    for part in trained:
        part.eval()  # statistics of one batch differ from those of two
    losses = step.objective(batch)
    with paddle.no_grad():
        of = {name: model.first_phase(image) for name, image in batch.items()}
        direction = []
        for name, other in (("image", "reference"), ("reference", "image")):
            lateral, maps = of[other]
            key = KeyFrame(model.flow_net_pre_convs(lateral), maps[1], maps[2])
            moved = model.transform(of[name][0], model.flow_net_pre_convs(of[name][0]), key)
            predicted, wanted = model.fpn.predict(moved), model.fpn.predict(of[name][1])
            pairs = [*zip(moved[1:], of[name][1][1:], strict=True), *zip(predicted[1:3], wanted[1:3], strict=True)]
            for found, right in ((one.numpy(), two.numpy()) for one, two in pairs):
                lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(right, axis=1)
                direction.append(1 - ((found * right).sum(axis=1) / np.maximum(lengths, 1e-8)).mean())
    assert float(losses["direction"]) == pytest.approx(np.mean(direction), rel=1e-4)
    sum(losses.values()).backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert reached == {"flow_net", "flow_net_pre_convs", "spa"}


YOLACT_LOSS, FLOW_LOSS = ({"types": [{"type": kind}], "coef": None} for kind in ("YolactLoss", "FlowLoss"))


@pytest.mark.parametrize(
    ("stage", "changes", "message"),
    [
        ("flow", {"loss": YOLACT_LOSS}, "the stage flow .* by YolactLoss"),
        ("base", {"loss": FLOW_LOSS}, "the stage base .* by FlowLoss"),
        ("transform", {"loss": YOLACT_LOSS}, "the stage transform .* by YolactLoss"),
        ("joint", {"video": {"stage": "transform"}}, "by YolactLoss"),
        ("base", {"video": {"stage": "joint"}}, "needs an earlier frame"),
        ("joint", {"video": {"stage": "base"}}, "does not use the reference frames"),
        ("flow", {"video": {"stage": "base"}, "loss": YOLACT_LOSS}, "and train_da"),
        ("base", {"video": {"stage": "flow"}, "loss": FLOW_LOSS}, "pairs of images"),
    ],
)
def test_what_does_not_go_together_is_refused(
    config_of: Callable[..., Config], stage: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        Trainer(config_of(stage).changed(changes), tmp_path / "run", do_eval=False)
    assert not (tmp_path / "run").exists()


def test_pairs_with_flow_are_not_evaluated(config_of: Callable[..., Config], tmp_path: Path) -> None:
    config = config_of("flow")
    config = config.changed({"val_dataset": config.to_dict()["train_dataset"] | {"mode": "val"}})
    with pytest.raises(DataError, match="no videos with objects"):
        Trainer(config, tmp_path / "run")


def test_still_images_have_the_classes_of_the_frames(config_of: Callable[..., Config], tmp_path: Path) -> None:
    config = config_of("base")
    section = config.to_dict()["stills_dataset"] | {"classes": ["checks", "stripes", "dots", "rings"]}
    with pytest.raises(ConfigError, match="train_dataset and stills_dataset do not have the same classes"):
        Trainer(config.changed({"stills_dataset": section}), tmp_path / "run")


def test_a_network_learns_from_still_images_alone(config_of: Callable[..., Config], tmp_path: Path) -> None:
    config = config_of("base", stills=False)
    stills = config_of("base").to_dict()["stills_dataset"]
    changed = config.changed({"train_dataset": stills, "iters": 1})
    check_components(changed)
    assert Trainer(changed, tmp_path / "run").fit().reason == "finished"


@pytest.mark.both
@pytest.mark.long
def test_two_processes_train_as_one_with_the_whole_batch(data: Path, tmp_path: Path) -> None:
    """Steps that leave parameters out still average the gradients of the others, and once."""
    section = toy_video_section(data, "joint") | {"freeze": ["norm:*"], "batch_size": 2}
    (tmp_path / "one.yml").write_text(dump(section))
    (tmp_path / "two.yml").write_text(dump(section | {"batch_size": 1}))
    one = Trainer(load_config(tmp_path / "one.yml"), tmp_path / "one", do_eval=False)
    start = weights_of(one)
    one.fit()
    words = ["--config", str(tmp_path / "two.yml"), "--save_dir", str(tmp_path / "two"), "--device", "cpu", "--no_eval"]
    launch(words, tmp_path / "logs")
    found = read_checkpoint(tmp_path / "two" / "last").weights
    for name, value in weights_of(one).items():
        moved = np.abs(value - start[name]).max()
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-6 + 2e-3 * moved, err_msg=name)
