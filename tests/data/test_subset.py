from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileseg.data.datasets import CocoInstances, Concat, MixedClips, YouTubeVIS
from mobileseg.data.items import Item
from mobileseg.data.subset import ImageSubset, share_of, subset_of
from mobileseg.data.synthetic.datasets import generate
from mobileseg.errors import ConfigError, DataError
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


def drawn_of(data: Any) -> set[int]:
    """The images that training meets."""
    return {int(data.prepare((epoch, index)).meta["index"]) for epoch in range(3) for index in range(len(data))}


def test_shares_are_nested_and_draw_nothing_else(tmp_path: Path) -> None:
    generate(tmp_path, train=10, val=1, size=(32, 32), clips=0, val_clips=0)
    # Crops of a few pixels often hold no object, and then another image is drawn.
    crop = [{"type": "RandomPaddingCrop", "crop_size": [6, 6]}]
    data = CocoInstances(str(tmp_path), transforms=crop)
    assert drawn_of(data) == set(range(10))
    before: set[int] = set()
    for fraction, count in ((0.01, 1), (0.3, 3), (0.5, 5), (1, 10)):
        part, indices = share_of(data, fraction, seed=1)
        assert (len(indices), len(part)) == (count, 10)
        assert before < set(indices.tolist()) == drawn_of(part)
        before = set(indices.tolist())
    assert drawn_of(data) == set(range(10)), "the dataset itself is as it was"
    assert share_of(data, 0.5, seed=2)[1].tolist() != share_of(data, 0.5, seed=1)[1].tolist()


def test_an_image_that_comes_again_is_augmented_anew(tmp_path: Path) -> None:
    generate(tmp_path, train=4, val=1, size=(32, 32), clips=0, val_clips=0)
    crop = [{"type": "RandomPaddingCrop", "crop_size": [16, 16]}]
    part, _ = share_of(CocoInstances(str(tmp_path), transforms=crop, keep_empty=True), 0.25, seed=0)
    images = [part[(0, index)]["image"] for index in range(4)]
    assert len({image.tobytes() for image in images}) > 1


def test_shares_of_videos_are_whole_videos(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path)
    for _ in range(4):
        folder.track(folder.video(range(5)), moving(5, 1))
    data = YouTubeVIS(folder.write(), clip=2)
    part, indices = share_of(data, 0.5, seed=0)
    videos = {data.video_of(index) for index in indices.tolist()}
    assert (len(videos), len(indices)) == (2, 10)
    assert {data.video_of(index) for index in drawn_of(part)} == videos


def test_shares_of_mixed_clips_keep_to_their_parts(tmp_path: Path) -> None:
    sections = []
    for name in ("a", "b"):
        folder = VideoFolder(tmp_path / name)
        for _ in range(3):
            folder.track(folder.video(range(4)), moving(4, 1))
        sections.append({"ratio": 1, "dataset": {"type": "YouTubeVIS", "dataset_root": folder.write(), "clip": 2}})
    part, indices = share_of(MixedClips(sections), 0.7, seed=0)
    assert drawn_of(part) == {index for index in indices.tolist() if index % 4 < 3}


@pytest.mark.parametrize("ratio", [{}, {"ratio": 1}])
@pytest.mark.parametrize("fraction", [0.2, 0.7])
def test_shares_of_joined_datasets_keep_to_their_parts(tmp_path: Path, ratio: dict[str, int], fraction: float) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        generate(tmp_path / name, train=4, val=1, size=(32, 32), clips=0, val_clips=0, seed=seed)
    sections = [{"type": "CocoInstances", "dataset_root": str(tmp_path / name), "keep_empty": True} for name in "ab"]
    data = Concat([{"dataset": section} | ratio for section in sections])
    for seed in range(3):
        part, indices = share_of(data, fraction, seed)
        chosen = set(indices.tolist())
        assert drawn_of(part) <= chosen if ratio else drawn_of(part) == chosen
        assert [len(one) for one in part.parts] == [4, 4]
    assert ratio or drawn_of(data) == set(range(8))


def test_what_has_no_shares(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Numbers has no shares"):
        share_of(Numbers(), 0.5, seed=0)
    folder = VideoFolder(tmp_path)
    for length in (1, 1, 1, 6):
        folder.track(folder.video(range(length)), moving(length, 1))
    data = YouTubeVIS(folder.write(), clip=2)
    with pytest.raises(DataError, match="none of the 1 chosen items"):
        data.drawing_from(np.array([0]))
