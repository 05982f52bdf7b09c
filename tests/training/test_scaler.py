"""The loss scaler against float16 arithmetic of NumPy."""

import json

import numpy as np
import pytest

from mobileseg.errors import TrainingError
from mobileseg.training.scaler import LossScaler

pytestmark = pytest.mark.both


def test_growth_needs_good_steps_in_a_row():
    scaler = LossScaler(scale=8, growth_interval=3)
    scales = []
    for finite in [True, True, False, True, True, True, True]:
        assert scaler.update(finite) is finite
        scales.append(scaler.scale)
    assert scales == [8, 8, 4, 4, 4, 8, 8]


def test_it_finds_a_scale_at_which_float16_gradients_survive():
    """A descent on (w - 1)^2 * 1e-6 whose float16 gradients vanish unscaled and overflow at the first scale."""
    scaler = LossScaler(scale=2.0**60, growth_interval=5)
    scale_of_step = scaler.scale
    weight, skipped = 0.0, 0
    for _ in range(120):
        with np.errstate(over="ignore"):
            gradient = np.float16(2e-8 * (weight - 1) * scaler.scale)  # 2e-8 alone is zero in float16
        if scaler.update(bool(np.isfinite(gradient))):
            weight -= 5e6 * float(gradient) / scale_of_step
        else:
            skipped += 1
        scale_of_step = scaler.scale
    assert np.float16(2e-8) == 0
    assert skipped > 10
    assert weight == pytest.approx(1.0, abs=1e-2)


def test_state_continues_exactly():
    pattern = np.random.default_rng(0).random(200) > 0.1
    whole, first = LossScaler(growth_interval=4), LossScaler(growth_interval=4)
    for finite in pattern:
        whole.update(bool(finite))
    for finite in pattern[:77]:
        first.update(bool(finite))
    second = LossScaler(growth_interval=4)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for finite in pattern[77:]:
        second.update(bool(finite))
    assert second.state_dict() == whole.state_dict()


def test_divergence_is_an_error_and_not_an_endless_loop():
    scaler = LossScaler(max_skips=3)
    scaler.update(False)
    scaler.update(True)
    scaler.update(False)
    scaler.update(False)
    with pytest.raises(TrainingError, match="3 steps in a row"):
        scaler.update(False)


def test_disabled_scaler_never_skips():
    scaler = LossScaler(enabled=False)
    assert scaler.update(False)
    assert scaler.scale == 1.0
    scaler.load_state_dict({"scale": 64.0, "good_steps": 1, "skipped": 0})
    assert scaler.scale == 1.0


@pytest.mark.parametrize("wrong", [{"scale": 0}, {"growth": 1.0}, {"backoff": 1.0}, {"growth_interval": 0}])
def test_impossible_settings(wrong):
    with pytest.raises(ValueError, match="impossible loss scaling"):
        LossScaler(**wrong)
