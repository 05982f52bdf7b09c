"""Learning curves: the law against numbers made by it, and `mobileseg train --fractions` on the toy data."""

import json

import numpy as np
import pytest

from mobileseg.cli import main
from mobileseg.errors import ConfigError
from mobileseg.training.learning_curve import PLOT, REPORT, Share, fit_power_law, table


def test_the_law_is_found_again_and_extrapolates():
    images = [10, 40, 160]
    law = fit_power_law(images, [1 - 2.0 * count**-0.5 for count in images])
    assert (law.factor, law.exponent) == pytest.approx((2.0, 0.5))
    assert law.score(320) == pytest.approx(1 - 2.0 * 320**-0.5)


def test_noise_is_averaged_in_logarithms():
    # By hand: log errors 0, -1, 0 at log images 0, 1, 2 have slope 0 and mean -1/3.
    law = fit_power_law(np.exp([0.0, 1.0, 2.0]), 1 - np.exp([0.0, -1.0, 0.0]))
    assert law.exponent == pytest.approx(0, abs=1e-12)
    assert law.factor == pytest.approx(np.exp(-1 / 3))


def test_a_perfect_score_has_no_law():
    assert fit_power_law([1, 2], [0.5, 1.0]) is None
    shares = [Share(0.5, 1, ("dog",)), Share(1, 2, ())]
    text = table(shares, [0.5, 1.0], "mIoU", None)
    assert "dog" in text
    assert "leaves nothing to gain" in text


def test_the_table_names_the_gain_of_twice_the_images():
    shares = [Share(0.25, 100, ()), Share(1, 400, ())]
    text = table(shares, [0.5, 0.75], "mIoU", fit_power_law([100, 400], [0.5, 0.75]))
    # The error halves with four times the images, so twice as many leave 0.25 / sqrt(2) of it.
    assert "twice the images (800): mIoU 0.8232 expected, +0.0732" in text
    text = table(shares, [0.5, 0.4], "mIoU", fit_power_law([100, 400], [0.5, 0.4]))
    assert "does not grow" in text


def test_a_curve_its_files_and_its_continuation(toy_file, tmp_path, capsys):
    folder = tmp_path / "curve"
    words = ["train", str(toy_file), "--save_dir", str(folder), "--device", "cpu", "--iters", "2"]
    words += ["--fractions", "1", "0.25"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "share 0.25: 4 images" in out
    assert (folder / PLOT).read_bytes().startswith(b"\x89PNG")
    report = json.loads((folder / REPORT).read_text())
    assert [point["images"] for point in report["points"]] == [4, 16]
    scores = [json.loads(line) for line in (folder / "share_1" / "log.jsonl").read_text().splitlines()]
    assert report["points"][1]["score"] == max(one["score"] for one in scores if one["event"] == "eval")
    assert main(words) == 5
    assert "holds the checkpoints of an earlier run" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    assert json.loads((folder / REPORT).read_text()) == report


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fractions", "0.5"], "two or more different shares"),
        (["--fractions", "0.5", "0.5"], "two or more different shares"),
        (["--fractions", "0", "1"], "no share"),
        (["--fractions", "0.5", "1.5"], "no share"),
        (["--fractions", "0.5", "nan"], "no share"),
        (["--fractions", "0.99", "1"], "the same 16 images"),
        (["--fractions", "0.5", "1", "--no_eval"], "--no_eval"),
        (["--fractions", "0.5", "1", "--resume", "somewhere"], "write --resume alone"),
        (["--fractions", "0.5", "1", "-o", "val_dataset=null"], "val_dataset"),
    ],
)
def test_what_gives_no_curve(toy_file, tmp_path, capsys, words, message):
    words = ["train", str(toy_file), "--save_dir", str(tmp_path / "curve"), "--device", "cpu", *words]
    assert main(words) == ConfigError.exit_code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "curve").exists()


def test_classes_that_a_share_lacks_are_said(instance_file, instance_data, tmp_path, capsys):
    words = ["train", str(instance_file), "--save_dir", str(tmp_path), "--device", "cpu", "--iters", "1"]
    assert main([*words, "--fractions", "0.1", "1"]) == 0
    points = json.loads((tmp_path / REPORT).read_text())["points"]
    assert points[1]["missing"] == []
    assert points[0]["missing"]
    assert f"no image of {points[0]['missing'][0]}" in capsys.readouterr().out
