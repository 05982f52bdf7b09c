import argparse

import pytest

from mobileseg.data.synthetic.datasets import generate
from tools.compare_cpu_training import VARIANTS, medians, trained


@pytest.mark.parametrize("variant", ["neither", "both"])
def test_a_short_training(variant, tmp_path):
    generate(tmp_path, train=4, val=1, size=(64, 64), clips=0, val_clips=0)
    found = trained("MobileSeg", variant, tmp_path, argparse.Namespace(iters=3, batch=2, threads=1))
    assert len(found["seconds"]) == 3
    assert all(processor > 0 for processor, _ in found["seconds"])
    assert found["mib"] > 50


def test_variants_differ_in_what_they_say():
    assert {name: sum(variant) for name, variant in VARIANTS.items()} == {
        "neither": 0,
        "kernels": 1,
        "memory": 1,
        "both": 2,
    }
    assert VARIANTS["kernels"] != VARIANTS["memory"]


def test_medians_are_of_each_clock():
    assert medians([(1.0, 9.0), (3.0, 5.0), (2.0, 7.0)]) == (2.0, 7.0)
