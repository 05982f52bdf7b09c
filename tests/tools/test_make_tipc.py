"""test_tipc/configs against the configurations that it is made from."""

import argparse
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from mobileseg.config.load import load_config
from tools.make_tipc import MODES, ROOT, SERVED, chains, differing, files

CHAINS = chains()
every_chain = pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)


def network(config):
    """Types of network and backbone."""
    model = config.to_dict()["model"]
    return model["type"], model["backbone"]["type"]


def test_the_files_are_up_to_date() -> None:
    assert differing() == [], "run `python tools/make_tipc.py`"


def test_a_changed_and_a_superfluous_file_are_noticed(tmp_path: Path, monkeypatch) -> None:
    import tools.make_tipc as module

    wanted = files()
    for path, text in wanted.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "files", lambda: wanted)
    assert differing() == []
    first, second, *_ = wanted
    (tmp_path / first).write_text("x", encoding="utf-8")
    (tmp_path / second).unlink()
    (tmp_path / first).with_name("old.txt").write_text("x", encoding="utf-8")
    expected = {first, second, first.with_name("old.txt")}
    assert differing() == sorted(path.as_posix() for path in expected)


WITHOUT_CHAIN = {"YolactEdge"}
"""Trained, exported to every engine and quantised by tests/video and tests/compress instead."""

ONE_BACKBONE = {"PPMobileSeg", "TopFormer", "MobileInst"}
"""One backbone has a chain: the others differ in width alone, or have no trained weights (MobileInst)."""


def test_every_network_and_backbone_has_a_chain() -> None:
    shipped = {network(load_config(path)) for path in (ROOT / "configs").glob("[a-z]*/*.yml")}
    chained = {network(chain.config) for chain in CHAINS}
    assert chained <= shipped
    assert {pair for pair in shipped if pair[0] not in WITHOUT_CHAIN | ONE_BACKBONE} <= chained
    assert {kind for kind, _ in chained} >= ONE_BACKBONE
    assert len({chain.name for chain in CHAINS}) == len(CHAINS)


@every_chain
@pytest.mark.parametrize("mode", MODES)
def test_the_network_is_that_of_the_configuration(chain, mode: str) -> None:
    """Only what data decides may differ: classes and size."""
    made = load_config(ROOT / "test_tipc/configs" / chain.name / f"{mode}.yml").to_dict()
    source = chain.config.to_dict()
    assert made["loss"] == source["loss"]
    for model in (made["model"], source["model"]):
        for key in ("num_classes", "input_size", "pretrained", "anchor_scales"):
            model.pop(key, None)
        model["backbone"].pop("pretrained")
    assert made["model"] == source["model"]


@every_chain
@pytest.mark.parametrize("variant", ["train_infer_python", *SERVED])
def test_commands_use_flags_that_exist(chain, variant: str) -> None:
    lines = (ROOT / "test_tipc/configs" / chain.name / f"{variant}.txt").read_text(encoding="utf-8").splitlines()
    found = set()
    for line in lines:
        words = shlex.split(line.partition(":")[2])
        if not words or not words[0].startswith("tools/"):
            continue
        verb = Path(words[0]).stem
        parser = argparse.ArgumentParser(exit_on_error=False)
        import_module(f"mobileseg.commands.{verb}").add_arguments(parser)
        parser.parse_args(words[1:])
        found.add(verb)
    assert found == {"export", "predict"} | ({"train", "val"} if variant == "train_infer_python" else set())
