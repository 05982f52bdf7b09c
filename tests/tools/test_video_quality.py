"""Flicker and IoU of results that are the truth, and of results that are not."""

import numpy as np
import pytest

from mobileseg.data.formats.youtube_vis import YouTubeVIS
from mobileseg.data.synthetic.scene import CLASSES
from mobileseg.data.synthetic.video import generate_clips
from mobileseg.structures import InstanceMasks, InstanceResult
from tools.video_quality import Watched


class Truth:
    """Gives what is annotated; nothing at every second frame of a clip where it is asked to blink."""

    def __init__(self, blinks=False):
        self.blinks = blinks

    def begin(self):
        self.count = 0

    def __call__(self, sample):
        self.count += 1
        objects = sample.instances
        shown = [] if self.blinks and self.count % 2 == 0 else range(len(objects))
        masks = InstanceMasks.from_array(objects.masks[list(shown)].reshape(-1, *objects.size))
        count = len(masks)
        scores = np.linspace(0.9, 0.8, count).astype(np.float32)
        return InstanceResult(objects.boxes[:count], scores, objects.classes[:count], masks)


@pytest.fixture(params=[True, False], ids=["exact flow", "estimated flow"])
def dataset(request, tmp_path):
    generate_clips(tmp_path, seed=5, train=0, val=2, length=6, size=(96, 128), flow=request.param)
    return YouTubeVIS(str(tmp_path), mode="val", classes=list(CLASSES[1:]))


def watched(dataset, predict):
    found = Watched(predict, dataset, every=3)
    kinds = []
    for sequence in dataset.sequences():
        found.begin()
        kinds.append([found(dataset.load(index)).pipeline for index in sequence])
    assert kinds == [["key", "nonkey", "nonkey"] * 2] * 2
    return found.changed / found.compared, found.shared / found.joined


def test_the_truth_hardly_flickers(dataset):
    flicker, iou = watched(dataset, Truth())
    assert flicker < 0.06
    assert iou == 1.0


def test_what_blinks_flickers_and_covers_half(dataset):
    still, _ = watched(dataset, Truth())
    flicker, iou = watched(dataset, Truth(blinks=True))
    assert flicker > still + 0.1
    assert 0.35 < iou < 0.65
