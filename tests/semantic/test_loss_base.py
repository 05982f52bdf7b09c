"""What losses share: the normaliser of several processes."""

import os
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from mobileseg.errors import DataError
from mobileseg.registry import LOSSES
from tests.processes import run_alone
from tests.semantic.half_batches import LOCAL_FREE, batch, gradients

pytestmark = pytest.mark.both


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """Gradients and losses of two processes, each with one half of the batch, averaged as DataParallel does."""
    folder = tmp_path_factory.mktemp("halves")
    script = Path(__file__).with_name("half_batches.py")
    launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", str(folder)]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "PADDLE_DISTRI_BACKEND": "gloo"}
    done = run_alone([*launch, str(script), str(folder / "result.npz")], env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with np.load(folder / "result.npz") as result:
        return dict(result)


@pytest.mark.parametrize("name", sorted(LOCAL_FREE))
def test_two_half_batches_give_the_gradient_and_loss_of_the_whole(averaged, name):
    whole = gradients(slice(0, 4))[name]
    np.testing.assert_allclose(averaged[name], whole, rtol=1e-5, atol=1e-7)
    # Without the common normaliser each half would count the same, whatever it ignores:
    halves = (gradients(slice(0, 2))[name] + gradients(slice(2, 4))[name]) / 2
    assert np.abs(halves - whole).max() > 1e-3


def test_the_halves_ignore_unequally():
    _, label = batch()
    assert (label[:2] != 255).sum() > 4 * (label[2:] != 255).sum() > 0


def losses_of_label_maps():
    return sorted(name for name in LOSSES if LOSSES.get(name).__module__.startswith("mobileseg.semantic."))


@pytest.mark.parametrize("name", losses_of_label_maps())
@pytest.mark.parametrize("value", [-1, 5, 7, 254, 2**31, -(2**40), 2**62])
def test_no_label_drives_a_loss_out_of_range(name, value):
    """The kernels index with labels; a value that is no class was a segmentation fault."""
    parts = {"losses": [LOSSES.get("CrossEntropyLoss")()], "coef": [1.0]} if name == "MixedLoss" else {}
    loss = LOSSES.get(name)(**parts)
    logits = paddle.zeros([1, 5, 8, 8])
    label = np.zeros([1, 8, 8], np.int64)
    label[0, 3, 4] = value
    with pytest.raises(DataError, match=rf"the label has the value {value}, which is neither one of the 5 classes"):
        loss(logits, paddle.to_tensor(label))
    label[0, 3, 4] = 255
    assert np.isfinite(float(loss(logits, paddle.to_tensor(label))))
