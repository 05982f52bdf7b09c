"""What runs in a data worker."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from mobileseg.config import plugins
from mobileseg.data.datasets import CocoInstances, Dataset, LabelmeInstances, YouTubeVIS
from mobileseg.data.loading.batching import SampleOrder
from mobileseg.data.loading.workers import batches_from_workers
from mobileseg.errors import TrainingError
from mobileseg.registry import DATASETS
from tests.data.numbers import ModulesOf, Talkative, expected, values
from tests.data.video_folder import VideoFolder, moving, noise

pytestmark = pytest.mark.both

REPOSITORY = Path(__file__).parents[3]
ORDER = SampleOrder(16, 4, seed=0)
PLUGIN = """
from mobileseg.registry import DATASETS
from tests.data.numbers import Numbers

class Doubled:
    def __init__(self, factor):
        self.factor = factor

@DATASETS.add_component
class DoubledNumbers(Numbers):
    def __init__(self):
        super().__init__()
        self.step = Doubled(2)

    def __getitem__(self, key):
        sample = super().__getitem__(key)
        return sample | {"image": sample["image"] * self.step.factor}
"""


@pytest.fixture
def plugin(tmp_path):
    DATASETS.load()
    before, file = dict(DATASETS._components), tmp_path / "doubled.py"
    file.write_text(PLUGIN)
    assert plugins.load_file(file) == ""
    yield file
    DATASETS._components = before
    del sys.modules[plugins.module_name(file)]


def test_a_dataset_of_a_plugin(plugin):
    found = list(batches_from_workers(DATASETS.get("DoubledNumbers")(), ORDER, 0, 4, 2))
    assert [values(batch) for batch in found] == [[2 * v for v in batch] for batch in expected(ORDER, range(4))]


def test_a_plugin_that_fails_in_the_worker(plugin):
    dataset = DATASETS.get("DoubledNumbers")()
    plugin.write_text("raise RuntimeError('no licence')")
    with pytest.raises(
        TrainingError, match=r"cannot rebuild the dataset .*doubled.py failed: RuntimeError: no licence"
    ):
        next(batches_from_workers(dataset, ORDER, 0, 4, 1))


def test_prints_of_the_dataset_do_not_disturb_the_batches(capfd):
    found = list(batches_from_workers(Talkative(), ORDER, 0, 4, 2))
    assert [values(batch) for batch in found] == expected(ORDER, range(4))
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.count("from a C library") == captured.err.count("sample (0, ") == 16


STEPS = [{"type": "RandomHorizontalFlip"}, {"type": "Resize", "target_size": [16, 16]}, {"type": "Normalize"}]


def test_workers_of_real_datasets_import_no_paddle(tmp_path):
    """Paddle takes seconds to import: the first batch would come that much later, and memory be taken per worker."""
    video, images = VideoFolder(tmp_path / "video"), tmp_path / "images"
    video.track(video.video([0, 1, 2]), moving(3))
    images.mkdir()
    Image.fromarray(noise(0, (40, 60))).save(images / "a.png")
    Image.fromarray(noise(1, (40, 60))[..., 0] % 2).save(images / "b.png")
    (images / "train.txt").write_text("a.png b.png\n")
    shape = {"label": "nut", "points": [[1, 1], [30, 1], [30, 30]]}
    document = {"shapes": [shape], "imagePath": "../../a.png", "imageHeight": 40, "imageWidth": 60}
    (images / "drawn" / "train").mkdir(parents=True)
    (images / "drawn" / "train" / "a.json").write_text(json.dumps(document))
    polygons = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 29, 29], "segmentation": [[1, 1, 30, 1, 9, 9]]}
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [polygons],
        "categories": [{"id": 1, "name": "nut"}],
    }
    (images / "instances_train.json").write_text(json.dumps(coco))
    datasets = [
        YouTubeVIS(video.write(), STEPS, reference=[1, 2]),
        CocoInstances(str(images), STEPS),
        LabelmeInstances(str(images / "drawn"), STEPS),
        Dataset(str(images), STEPS, train_path="train.txt", num_classes=2),
    ]
    for dataset in datasets:
        batch = next(batches_from_workers(ModulesOf(dataset), ORDER, 0, 1, 1))
        assert not batch["heavy"].any(), type(dataset).__name__


WORKER = "from mobileseg.data.loading.worker import main; main({}, range(4))"


def test_a_worker_without_a_job_ends():
    """The parent may go at any moment, also before it has sent the job."""
    for content in (b"", b"\x05\0\0", b"\x05\0\0\0\0\0\0\0abc"):
        done = subprocess.run([sys.executable, "-c", WORKER], cwd=REPOSITORY, input=content, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_two_streams_at_a_time_in_two_threads():
    found = {}

    def take(number):
        found[number] = [values(batch) for batch in batches_from_workers(Talkative(), ORDER, number, 8, 2)]

    threads = [threading.Thread(target=take, args=[number]) for number in (0, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: expected(ORDER, range(number, 8)) for number in (0, 3)}
