"""Frames that come at a rate: which are worked on, and how old their results are."""

import time

import numpy as np

from tools.stream_latency import FILE, WARM, Passage, drawn, passage, row


class Slow:
    """A model that takes its time."""

    def __init__(self, seconds):
        self.seconds = seconds

    def stream(self):
        return self

    def reset(self):
        pass

    def step(self, frame):
        time.sleep(self.seconds)


def test_a_slow_model_drops_frames_or_falls_behind():
    frames = [np.zeros((2, 2, 3), np.uint8) for _ in range(40)]
    model = Slow(0.02)
    drop, queue, file = (passage(model, frames, policy, 200.0) for policy in ("drop", "queue", FILE))
    assert len(drop.steps) + drop.dropped == 40
    assert drop.dropped > 10
    assert (len(queue.steps), queue.dropped) == (40, 0)
    assert (len(file.steps), file.dropped) == (40, 0)
    assert np.median(queue.ages) > 3 * np.median(drop.ages)
    assert min(drop.ages + queue.ages) >= 20
    assert file.ages == file.steps


def test_a_fast_model_works_on_all():
    found = passage(Slow(0.0), [np.zeros((2, 2, 3), np.uint8) for _ in range(WARM)], "queue", 500.0)
    assert (len(found.steps), found.dropped) == (WARM, 0)


def test_frames_are_objects_of_their_own():
    frames = drawn(32, (32, 48))
    assert len({id(frame) for frame in frames}) == 32
    assert {frame.shape for frame in frames} == {(32, 48, 3)}
    assert (frames[30] == frames[0]).all()


def test_a_row():
    text = row("a", "drop", 30, Passage([1.0, 3.0], [2.0, 4.0], 5))
    assert text == "| a | drop | 30 | 2 | 5 | 2.0, 2.9, 3.0 | 3.0, 3.9, 4.0 |"
