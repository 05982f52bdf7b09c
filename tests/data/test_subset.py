from pathlib import Path

from mobileseg.data.base import Item
from mobileseg.data.datasets import YouTubeVIS
from mobileseg.data.subset import ImageSubset, subset_of
from tests.data.video_folder import VideoFolder, moving


class Numbers:
    """Image i is the number i."""

    task, classes, category_ids = "instance", ("a",), (1,)
    items = tuple(Item(index, None) for index in range(10))

    def __len__(self):
        return 10

    def load(self, index):
        return index

    def prepare(self, index):
        return -index

    def image_id(self, index):
        return 100 + index

    def file_name(self, index):
        return f"{index}.jpg"

    def coco_ground_truth(self):
        return {
            "images": [{"id": 100 + index} for index in range(10)],
            "annotations": [{"image_id": 100 + index // 2} for index in range(20)],
            "categories": [{"id": 1}],
        }


def test_images_are_evenly_spaced_and_keep_their_names():
    part = ImageSubset(Numbers(), 3)
    assert len(part) == 3
    assert [part.load(index) for index in range(3)] == [0, 3, 6]
    assert part.prepare(1) == -3
    assert (part.image_id(2), part.file_name(2)) == (106, "6.jpg")
    assert [item.image for item in part.items] == [0, 3, 6]
    assert part.classes == ("a",)


def test_images_that_are_left_out():
    assert ImageSubset(Numbers(), None, without={0, 3, 9}).indices == [1, 2, 4, 5, 6, 7, 8]
    assert ImageSubset(Numbers(), 3, without={0, 3, 9}).indices == [1, 4, 6]
    assert ImageSubset(Numbers(), 3, without=range(10)).indices == []


def test_truth_of_other_images_does_not_count():
    truth = ImageSubset(Numbers(), 2).coco_ground_truth()
    assert [image["id"] for image in truth["images"]] == [100, 105]
    assert [entry["image_id"] for entry in truth["annotations"]] == [100, 100, 105, 105]
    assert truth["categories"] == [{"id": 1}]


def test_all_images_are_the_whole():
    assert len(ImageSubset(Numbers(), None)) == len(ImageSubset(Numbers(), 99)) == 10


def test_runs_of_frames_of_videos(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path)
    for _ in range(4):
        folder.track(folder.video(range(20)), moving(20, 1))
    data = YouTubeVIS(folder.write(), keep_empty=True)
    some = subset_of(data, 35)
    assert [(video.name, video.frames) for video in some.videos] == [("v100", range(17)), ("v102", range(17, 34))]
    assert [list(frames) for frames in some.sequences()] == [list(range(17)), list(range(17, 34))]
    assert some.indices[17] == 40
    assert some.annotated(20)
    assert some.objects(17).ids.tolist() == [3]
    assert some.file_name(17) == "v102/00000.png"
    truth = some.video_ground_truth()
    assert [len(entry["segmentations"]) for entry in truth["annotations"]] == [17, 17]
    assert len(some.coco_ground_truth()["images"]) == 34
    assert len(subset_of(data, None)) == len(subset_of(data, 1000)) == 80
    assert len(subset_of(data, 5)) == 5
    held_out = subset_of(data, None, without={3, 41})
    assert [video.name for video in held_out.videos] == ["v101", "v103"]
    assert held_out.indices == [*range(20, 40), *range(60, 80)]
    assert [list(frames) for frames in held_out.sequences()] == [list(range(20)), list(range(20, 40))]
