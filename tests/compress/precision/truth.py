"""A dataset whose truth is what the float network says, so that its score in float32 is 1."""

from __future__ import annotations

import numpy as np

from mobileseg.data.sample import Sample
from tests.compress.precision.small import images, run

SETTINGS = {"test_config": None}


class OwnTruth:
    """`count` normalised images."""

    task, num_classes, ignore_index, classes = "semantic", 3, 255, ("a", "b", "c")

    def __init__(self, network, count=3):
        self.images = images(count)
        self.labels = [run(network, image).argmax(axis=0).astype(np.uint8) for image in self.images]

    def __len__(self):
        return len(self.images)

    def sequences(self):
        return [[index] for index in range(len(self))]

    def prepare(self, index):
        return Sample(np.ascontiguousarray(self.images[index].transpose(1, 2, 0)), self.labels[index], {})
