"""Batches made by other processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.loading.batching import SampleOrder
from mobileseg.data.loading.workers import batches_from_workers
from mobileseg.errors import DataError, TrainingError
from tests.data.numbers import Boxes, Modules, Numbers, expected, values
from tests.processes import alive

pytestmark = pytest.mark.both

ORDER = SampleOrder(16, 4, seed=0)
REPOSITORY = Path(__file__).parents[3]


def end_within(processes, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while any(map(alive, processes)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(alive, processes))


@pytest.mark.parametrize("workers", [1, 2, 3, 9])
def test_batches_come_in_order_from_any_position(workers):
    found = list(batches_from_workers(Numbers(), ORDER, 3, 9, workers))
    assert [values(batch) for batch in found] == expected(ORDER, range(3, 9))
    processes = {int(batch["process"][0]) for batch in found}
    assert len(processes) == min(workers, 6)
    assert os.getpid() not in processes


def test_nothing_to_do():
    assert list(batches_from_workers(Numbers(), ORDER, 3, 3, 2)) == []


def test_padded_batches():
    batch = next(batches_from_workers(Boxes(), ORDER, 0, 1, 1))
    assert batch["boxes"].shape == (4, max(index for _, index in ORDER.batch(0)), 4)


def test_errors_of_the_dataset_arrive():
    with pytest.raises(DataError) as caught:
        list(batches_from_workers(Numbers(broken=7), ORDER, 0, 4, 2))
    assert (caught.value.message, caught.value.remedy) == ("image.png is truncated", "copy it again")
    with pytest.raises(DataError, match="the dataset raised KeyError: 'palette'") as caught:
        list(batches_from_workers(Numbers(odd=7), ORDER, 0, 4, 2))
    assert 'raise KeyError("palette")' in str(caught.value.__cause__)
    with pytest.raises(DataError, match="differ in size"):
        list(batches_from_workers(Numbers(differing=2), ORDER, 0, 4, 1))


@pytest.mark.parametrize(("dataset", "how"), [(Numbers(deadly=2), "exit code 3"), (Numbers(killed=2), "signal 9")])
def test_a_worker_that_dies_is_reported(dataset, how):
    position = next(number for number in range(4) if 2 in [index for _, index in ORDER.batch(number)])
    stream = batches_from_workers(dataset, ORDER, 0, 4, 2)
    assert [values(next(stream)) for _ in range(position)] == expected(ORDER, range(position))
    with pytest.raises(TrainingError, match=rf"a data worker died \({how}"):
        next(stream)


def test_a_worker_killed_from_outside_is_reported():
    with closing(batches_from_workers(Numbers(), ORDER, 0, 100_000, 2)) as stream:
        os.kill(int(next(stream)["process"][0]), signal.SIGKILL)
        with pytest.raises(TrainingError, match="signal 9"):
            list(stream)


def test_threads_of_this_process_do_not_matter():
    """A copy of this process could keep a lock for ever that another thread held when it was copied."""
    lock, stop = threading.Lock(), threading.Event()

    def busy():
        while not stop.is_set():
            with lock:
                np.ones((64, 64)) @ np.ones((64, 64))

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            stream = batches_from_workers(Numbers(), ORDER, 0, 6, 2)
            assert [values(batch) for batch in stream] == expected(ORDER, range(6))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("end", ["close", "forget", "error"])
def test_workers_end_with_the_stream(end):
    broken = ORDER.batch(2)[0][1] if end == "error" else None
    stream = batches_from_workers(Numbers(broken=broken), ORDER, 0, 100_000, 2)
    processes = {int(next(stream)["process"][0]) for _ in range(2)}
    assert len(processes) == 2
    if end == "close":
        assert all(map(alive, processes))
        stream.close()
    elif end == "error":
        with pytest.raises(DataError):
            next(stream)
    del stream
    assert not any(map(alive, processes))  # at once


def test_a_busy_worker_ends_at_once_too():
    stream = batches_from_workers(Numbers(seconds=0.05), ORDER, 0, 100_000, 2)
    process = int(next(stream)["process"][0])
    stream.close()
    assert not alive(process)
    slow = batches_from_workers(Numbers(seconds=60), ORDER, 0, 100_000, 1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    threading.Timer(1.0, signal.pthread_kill, [threading.get_ident(), signal.SIGINT]).start()
    try:
        with pytest.raises(KeyboardInterrupt):  # a wait can be broken off
            next(slow)
    finally:
        signal.signal(signal.SIGINT, before)


PARENT = """
import sys, time
from mobileseg.data.loading.batching import SampleOrder
from mobileseg.data.loading.workers import batches_from_workers
from tests.data.numbers import Numbers
stream = batches_from_workers(Numbers(seconds=float(sys.argv[1])), SampleOrder(16, 1, 0), 0, 100_000, 2)
print(*(int(next(stream)["process"][0]) for _ in range(2)), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("seconds", ["0", "0.5"])
def test_no_worker_outlives_a_parent_that_was_killed(seconds):
    command = [sys.executable, "-c", PARENT, seconds]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        processes = [int(word) for word in parent.stdout.readline().split()]
        assert len(set(processes)) == 2
        assert all(map(alive, processes))
        parent.kill()
    assert end_within(processes, 5.0)


def test_a_script_needs_no_guard(tmp_path):
    """Workers do not run the script again; and they cannot know a class that only the script defines."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; print('script runs')\n"
        "from mobileseg.data.loading.batching import SampleOrder\n"
        "from mobileseg.data.loading.workers import batches_from_workers\n"
        "from tests.data.numbers import Numbers\n"
        "class Own(Numbers): pass\n"
        "dataset = {'Own': Own, 'Numbers': Numbers}[sys.argv[1]]()\n"
        "print(len(list(batches_from_workers(dataset, SampleOrder(16, 4, 0), 0, 4, 2))), 'batches')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    call = {"env": environment, "capture_output": True, "text": True, "check": False, "timeout": 60}
    good = subprocess.run([sys.executable, str(script), "Numbers"], **call)
    assert good.stdout.splitlines() == ["script runs", "4 batches"]
    own = subprocess.run([sys.executable, str(script), "Own"], **call)
    assert "a data worker cannot rebuild the dataset (AttributeError: Can't get attribute 'Own'" in own.stderr
    assert "define its class in a module or a plugin" in own.stderr


def test_a_dataset_that_cannot_be_pickled():
    dataset = Numbers()
    dataset.file = threading.Lock()
    with pytest.raises(TrainingError, match="cannot be sent to a data worker") as caught:
        next(batches_from_workers(dataset, ORDER, 0, 4, 2))
    assert "num_workers 0" in caught.value.remedy


def test_a_worker_is_light_and_leaves_signals_to_its_parent():
    batch = next(batches_from_workers(Modules(), ORDER, 0, 1, 1))
    assert not batch["heavy"].any()
    assert batch["ignored"].all()
