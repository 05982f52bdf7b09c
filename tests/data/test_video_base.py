"""What datasets of videos promise: the order of frames, references, clips, the same draws for all frames."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.datasets import Video, YouTubeVIS
from mobileseg.data.loading.batching import load_batch
from mobileseg.data.video_base import file_numbers
from mobileseg.errors import ConfigError, DataError
from tests.data.video_folder import VideoFolder, box_mask, moving, save

TRAIN = [
    {"type": "PhotometricDistort"},
    {"type": "RandomExpand", "max_ratio": 2},
    {"type": "RandomInstanceCrop"},
    {"type": "RandomRotation"},
    {"type": "Resize", "target_size": [40, 32]},
    {"type": "RandomHorizontalFlip"},
    {"type": "RandomNoise", "prob": 1},
    {"type": "Normalize"},
]


@pytest.fixture
def folder(tmp_path: Path) -> VideoFolder:
    """v100 has frames 0, 5, 10, 15 and between them 7 and 8; v101 has frames 0..3; v102 none that is annotated."""
    made = VideoFolder(tmp_path)
    first = made.video([0, 5, 10, 15], extra=[7, 8])
    made.track(first, moving(4))
    made.track(first, [None, box_mask(40, 10, 60, 40), None, box_mask(30, 10, 50, 40)], 20)
    second = made.video([0, 1, 2, 3])
    made.track(second, [None, box_mask(5, 5, 30, 30), None, box_mask(6, 5, 31, 30)])
    made.video([0, 1])
    return made


def test_videos_and_frames(folder: VideoFolder) -> None:
    data = YouTubeVIS(folder.write())
    assert len(data) == 12
    assert [list(frames) for frames in data.sequences()] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9], [10, 11]]
    assert data.videos[0] == Video("v100", range(6), (0, 5, 7, 8, 10, 15), 100)
    assert [data.annotated(index) for index in range(12)] == [True, True, False, False, *[True] * 6, False, False]
    assert [data.video_of(index) for index in (0, 5, 6, 11)] == [0, 0, 1, 2]
    assert data.objects(1).ids.tolist() == [1, 2]
    assert data.objects(4).ids.tolist() == [1]
    assert data.task == "video"


def test_evaluation_gives_every_frame(folder: VideoFolder) -> None:
    root = folder.write()
    (Path(root) / "train.json").rename(Path(root) / "val.json")
    data = YouTubeVIS(root, [{"type": "Resize", "target_size": [32, 32]}], mode="val")
    samples = [data.prepare(index) for index in range(len(data))]
    assert [sample.meta["index"] for sample in samples] == list(range(12))
    assert [sample.instances is None for sample in samples] == [not data.annotated(i) for i in range(12)]
    assert len(samples[6].instances) == 0
    assert samples[1].instances.size == (48, 64)
    assert data[2]["masks"].shape == (0, 32, 32)
    assert "reference" not in data[1]


def test_training_draws_annotated_frames_with_objects_equally_often(folder: VideoFolder) -> None:
    data = YouTubeVIS(folder.write())
    drawn = [int(data[(0, index)]["index"]) for index in range(12)]
    assert sorted(set(drawn)) == [0, 1, 4, 5, 7, 9]
    assert {drawn.count(index) for index in set(drawn)} == {2}
    kept = YouTubeVIS(folder.write(), keep_empty=True)
    assert {int(kept[(0, index)]["index"]) for index in range(12)} == {0, 1, 4, 5, 6, 7, 8, 9}


def test_references_lie_before_the_frame(folder: VideoFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    data = YouTubeVIS(folder.write(), reference=[2, 5])
    loaded: list[int] = []
    load = data.load
    monkeypatch.setattr(data, "load", lambda index: loaded.append(index) or load(index))
    pairs = set()
    for epoch in range(20):
        for index in range(len(data)):
            loaded.clear()
            item = data[(epoch, index)]
            assert item["reference"].shape == item["image"].shape == (3, 48, 64)
            assert item["reference"].dtype == np.float32
            pairs.add(tuple(loaded))
    # 5 <- 0; 10 <- 5, 7, 8; 15 <- 10; in v101 the first annotated frame, with nothing in it, is never drawn
    assert pairs == {(1, 0), (4, 1), (4, 2), (4, 3), (5, 4), (9, 6), (9, 7)}


def test_the_first_annotated_frame_has_no_reference(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path)
    video = folder.video([0, 10], extra=[8])
    folder.track(video, moving(2))
    data = YouTubeVIS(folder.write(), reference=[1, 9])
    assert {int(data[(0, index)]["index"]) for index in range(3)} == {2}
    with pytest.raises(DataError, match="no video is long enough for a reference 1 to 9 frames before"):
        YouTubeVIS(folder.write(), reference=[1, 9], all_frames=False)


def test_equal_frames_stay_equal_through_all_transforms(tmp_path: Path) -> None:
    """Frames of the same pixels with other objects: crops that look at objects must cut them alike."""
    folder = VideoFolder(tmp_path)
    for _ in range(3):
        video = folder.video(range(4), still=True)
        folder.track(video, [box_mask(2, 2, 20, 20), box_mask(40, 20, 60, 44), box_mask(2, 30, 12, 46), None])
        folder.track(video, [None, box_mask(20, 2, 62, 12), box_mask(30, 2, 62, 12), box_mask(30, 20, 50, 40)], 20)
        folder.track(video, [box_mask(0, 0, 64, 24)] * 4, 20, iscrowd=1)
    root = folder.write()
    pairs = YouTubeVIS(root, TRAIN, reference=[1, 3])
    triples = YouTubeVIS(root, TRAIN, clip=3)
    crops = set()
    for index in range(12):
        item = pairs[(1, index)]
        np.testing.assert_array_equal(item["reference"], item["image"])
        crops.add(item["image"].tobytes())
        frames = triples[(1, index)]["frames"]
        for time in (1, 2):
            np.testing.assert_array_equal(frames[time], frames[0])
    assert len(crops) == 12


def test_masks_follow_their_pixels_in_a_clip(tmp_path: Path) -> None:
    """Every frame shows its object alone, white on black: after the transforms the mask must still be the white."""
    folder = VideoFolder(tmp_path)
    video = folder.video(range(3))
    masks = [box_mask(8, 8, 40, 40), box_mask(20, 10, 52, 42), box_mask(30, 4, 60, 36)]
    for time, mask in enumerate(masks):
        save(tmp_path / "train" / "JPEGImages" / f"v100/{time:05d}.png", np.repeat(mask[..., None] * 255, 3, axis=2))
    folder.track(video, masks)
    steps = [
        {"type": "RandomInstanceCrop", "min_overlaps": [0.3]},
        {"type": "Resize", "target_size": [96, 96]},
        {"type": "RandomHorizontalFlip"},
    ]
    data = YouTubeVIS(folder.write(), steps, clip=2, gap=[1, 2])
    for epoch in range(8):
        item = data[(epoch, 0)]
        for time in range(2):
            white = item["frames"][time].mean(axis=0) > 127.5
            mask = item["frame_masks"][:, time].any(axis=0) if len(item["classes"]) else np.zeros_like(white)
            assert (white == mask).mean() > 0.97 or not mask.any()  # an object whose centre was cut off is dropped


def test_arrays_of_a_clip(folder: VideoFolder) -> None:
    data = YouTubeVIS(folder.write(), clip=2, gap=[1, 1])
    item = next(item for item in (data[index] for index in range(12)) if item["index"] == 0)
    assert item["frames"].shape == (2, 3, 48, 64)
    assert item["track_ids"].tolist() == [1, 2]
    assert item["classes"].tolist() == [0, 1]
    assert item["crowd"].tolist() == [0, 0]
    assert item["frame_present"].tolist() == [[1, 1], [0, 1]]
    np.testing.assert_allclose(item["frame_boxes"][0, 0], [4 / 64, 8 / 48, 24 / 64, 32 / 48], rtol=1e-6)
    assert not item["frame_boxes"][1, 0].any()
    np.testing.assert_array_equal(item["frame_masks"][0, 1], moving(4)[1])
    assert {key: item[key].dtype.name for key in item} == {
        "frames": "float32", "classes": "int64", "crowd": "uint8", "track_ids": "int64", "frame_present": "uint8",
        "frame_boxes": "float32", "frame_masks": "uint8", "index": "int64",
    }  # fmt: skip
    batch = load_batch(data, [(0, index) for index in range(6)])
    assert batch["frame_masks"].shape == (6, 2, 2, 48, 64)
    assert -1 in batch["track_ids"]
    assert ((batch["track_ids"] == -1) == (batch["classes"] == -1)).all()


def test_gaps_of_a_clip_stay_in_the_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = VideoFolder(tmp_path)
    video = folder.video(range(0, 35, 5))
    folder.track(video, moving(7))
    data = YouTubeVIS(folder.write(), clip=3, gap=[2, 4])
    loaded: list[int] = []
    load = data.load
    monkeypatch.setattr(data, "load", lambda index: loaded.append(index) or load(index))
    seen = set()
    for key in [(epoch, index) for epoch in range(30) for index in range(7)]:
        loaded.clear()
        data[key]
        seen.add(tuple(loaded))
    expected = {(a, b, c) for a in range(7) for b in range(7) for c in range(7) if 2 <= b - a <= 4 and 2 <= c - b <= 4}
    assert seen == expected


def test_the_same_key_gives_the_same_arrays_in_any_process(folder: VideoFolder) -> None:
    data = YouTubeVIS(folder.write(), TRAIN, clip=2, gap=[1, 3])
    again = pickle.loads(pickle.dumps(data))
    for key in [(0, 0), (3, 7), (0, 0)]:
        one, other = data[key], again[key]
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert not np.array_equal(data[(0, 0)]["frames"], data[(1, 0)]["frames"])


def test_ground_truth_of_the_annotated_frames(folder: VideoFolder) -> None:
    data = YouTubeVIS(folder.write())
    stills = data.coco_ground_truth()
    assert [image["file_name"] for image in stills["images"]][:3] == [f"v100/{n:05d}.png" for n in (0, 5, 10)]
    assert len({entry["id"] for entry in stills["annotations"]}) == len(stills["annotations"]) == 8
    clips = data.video_ground_truth()
    assert [video["length"] for video in clips["videos"]] == [4, 4]
    for entry, written in zip(clips["annotations"], folder.annotations, strict=True):
        assert entry["category_id"] == written["category_id"]
        assert entry["segmentations"] == written["segmentations"]
        assert entry["bboxes"] == written["bboxes"]


def test_frames_of_one_video_that_differ_in_size(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path)
    video = folder.video([0, 5], extra=[3])
    folder.track(video, moving(2))
    save(tmp_path / "train" / "JPEGImages" / "v100" / "00003.png", np.zeros((40, 64, 3), np.uint8))
    data = YouTubeVIS(folder.write(), reference=[1, 2])
    with pytest.raises(DataError, match=r"00003.png is 64x40 \(width x height\), an earlier one of the clip 64x48"):
        data[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reference": [0, 5]}, r"reference is .*expected \[lowest, highest\]"),
        ({"reference": [5, 2]}, "reference is"),
        ({"reference": "2-5"}, "reference is"),
        ({"clip": 1}, "clip is 1"),
        ({"clip": 2.0}, "clip is 2.0"),
        ({"clip": 10**6}, "expected 2 to 32 frames"),
        ({"gap": [1, 2]}, "clip is not set"),
        ({"clip": 2, "gap": [True, 2]}, "gap is"),
        ({"clip": 2, "reference": [2, 5]}, "reference and clip are both set"),
    ],
)
def test_options_that_cannot_be_used(folder: VideoFolder, arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        YouTubeVIS(folder.write(), **arguments)


def test_reference_and_clip_are_for_training(folder: VideoFolder) -> None:
    root = Path(folder.write())
    (root / "train.json").rename(root / "val.json")
    with pytest.raises(ConfigError, match="reference is for training"):
        YouTubeVIS(str(root), mode="val", reference=[2, 5])


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path)
    folder.track(folder.video([7]), moving(1))
    data = YouTubeVIS(folder.write())
    assert data.videos[0].numbers == (7,)
    assert data[(0, 0)]["classes"].tolist() == [0]
    with pytest.raises(DataError, match="no video is long enough for a clip of 2 frames"):
        YouTubeVIS(folder.write(), clip=2)


def test_no_object_to_train_on(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path)
    folder.track(folder.video([0, 1]), [box_mask(0, 0, 9, 9)] * 2, iscrowd=1)
    with pytest.raises(DataError, match="1 videos with 2 frames, 2 of them annotated, none with an object"):
        YouTubeVIS(folder.write())


def test_file_numbers() -> None:
    assert file_numbers(["v/00000.jpg", "v/00005.jpg"]) == (0, 5)
    assert file_numbers(["img-8.png", "img-9.png", "img-10.png"]) == (8, 9, 10)
    assert file_numbers(["t003_left.tif", "t004_left.tif"]) == (3, 4)
    assert file_numbers(["5.jpg", "4.jpg"]) == (0, 1)
    assert file_numbers(["a.jpg", "b.jpg", "c.jpg"]) == (0, 1, 2)
    assert file_numbers(["1.jpg", "x.jpg"]) == (0, 1)
    assert file_numbers(["9" * 40 + ".jpg"]) == (int("9" * 18),)
