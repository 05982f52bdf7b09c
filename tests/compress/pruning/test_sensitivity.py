"""What a group of layers is worth: against pruning for real; the table grows and is kept."""

import json

import numpy as np
import pytest

from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.pruning.score import norm_scores
from mobileseg.compress.pruning.sensitivity import SensitivityTable, analyse, groups_to_judge, ignored, least, render
from mobileseg.compress.pruning.surgery import prune
from mobileseg.errors import CompressionError
from tests.compress.networks import build, image, outputs

KEY = {"source": "abc"}


@pytest.fixture(scope="module")
def case():
    network = build("MobileNetV2_x0_5")
    groups = find_groups(network)
    return network, groups, norm_scores(network, groups)


@pytest.mark.parametrize("number", [0, -1])
def test_ignoring_is_what_pruning_computes(case, number):
    network, groups, scores = case
    before = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    units = least(groups_to_judge(groups, scores)[number], scores, 0.5)
    with ignored(network, groups, units):
        ours = outputs(network, image())["logits"]
    assert all(np.array_equal(before[name], tensor.numpy()) for name, tensor in network.state_dict().items())
    pruned = build("MobileNetV2_x0_5")
    prune(pruned, groups, units, fold=False)
    theirs = outputs(pruned, image())["logits"]
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
    assert np.abs(ours - outputs(network, image())["logits"]).max() > 1e-3 * np.abs(theirs).max()


def test_the_least_important_go_and_one_remains(case):
    _, groups, scores = case
    group = groups_to_judge(groups, scores)[2]
    units = group.channels.units
    half = least(group, scores, 0.5)
    assert len(half) == round(0.5 * len(units))
    assert max(scores[unit] for unit in half) <= min(scores[unit] for unit in set(units) - half)
    assert len(least(group, scores, 0.999)) == len(units) - 1
    assert len(least(group, scores, 0.001)) == 1
    for ratio in (0.0, 1.0):
        with pytest.raises(CompressionError, match="empty or as it is"):
            least(group, scores, ratio)


def test_an_interrupted_analysis_goes_on(case, tmp_path):
    network, groups, scores = case
    calls, lines = [], []

    def evaluate(layer):
        if len(calls) == 4:
            raise KeyboardInterrupt
        calls.append(1)
        return {"mIoU": float(outputs(layer, image())["logits"].mean()), "accuracy": 0.0}

    table = SensitivityTable(tmp_path / "s.json", KEY)
    with pytest.raises(KeyboardInterrupt):
        analyse(network, groups, scores, [0.5], evaluate, table, lines.append)
    known = json.loads((tmp_path / "s.json").read_text())["scores"]
    assert len(known) == len(lines) == 3
    calls.clear()
    again = SensitivityTable(tmp_path / "s.json", KEY)
    judged = groups_to_judge(groups, scores)
    names = [group.name for group in judged]

    def evaluate_rest(layer):
        calls.append(1)
        return {"mIoU": float(outputs(layer, image())["logits"].mean()), "accuracy": 0.0}

    assert [group.name for group in analyse(network, groups, scores, [0.5], evaluate_rest, again, print)] == names
    assert len(calls) == len(names) - 3
    assert {name: again.scores[name] for name in known} == known
    text = render(again, judged, [0.5])
    assert text.count("\n|") == len(names) + 2
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert sorted(rows[1:]) == sorted(names)


def test_other_settings_and_other_files_are_refused(tmp_path):
    SensitivityTable(tmp_path / "s.json", KEY).set_baseline({"mIoU": 0.5})
    assert SensitivityTable(tmp_path / "s.json", KEY).baseline == {"mIoU": 0.5}
    with pytest.raises(CompressionError, match=r"other settings \(source\)"):
        SensitivityTable(tmp_path / "s.json", {"source": "xyz"})
    (tmp_path / "t.json").write_text("[]")
    with pytest.raises(CompressionError, match="is no table of sensitivities"):
        SensitivityTable(tmp_path / "t.json", KEY)
