"""FlyingChairs: the reader of the original, its list, and broken pairs."""

from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.datasets import FlyingChairs
from mobileseg.data.flow import write_flow
from mobileseg.errors import ConfigError, DataError
from tests.data.video_folder import noise, save

NORMALIZE = {  # of YOLACT
    "type": "Normalize",
    "mean": [123.68 / 255, 116.78 / 255, 103.94 / 255],
    "std": [58.40 / 255, 57.12 / 255, 57.38 / 255],
}


def pair(root: Path, number: int, size: tuple[int, int] = (24, 32), seed: int = 0) -> None:
    save(root / f"{number:05d}_img1.ppm", noise(seed, size))
    save(root / f"{number:05d}_img2.ppm", noise(seed + 1, size))
    write_flow(root / f"{number:05d}_flow.flo", np.full((*size, 2), (4.0, -3.0), np.float32))


def test_the_arrays_of_the_original(tmp_path: Path, reference: Path) -> None:
    golden = np.load(reference / "golden" / "flying_chairs.npz")
    for number in (1, 2):
        save(tmp_path / f"00001_img{number}.ppm", golden[f"img{number}_bgr"][..., ::-1])
    (tmp_path / "00001_flow.flo").write_bytes(golden["flo_file"].tobytes())
    data = FlyingChairs(str(tmp_path), [NORMALIZE], size=[550, 550])
    np.testing.assert_array_equal(data.flow(0), golden["flow_px"])
    item = data[0]
    for ours, theirs in (("image", "out1"), ("reference", "out2"), ("flow", "target")):
        assert item[ours].dtype == np.float32
        np.testing.assert_allclose(item[ours][:, ::11, ::11], golden[theirs], atol=2e-6)
    assert data.task == "video"


def test_the_list_says_what_is_for_training(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        pair(tmp_path, number)
    (tmp_path / "FlyingChairs_train_val.txt").write_text("1\n2\n1\n")
    data = FlyingChairs(str(tmp_path))
    assert [item.image.name for item in data.items] == ["00001_img1.ppm", "00003_img1.ppm"]
    assert [item.image.name for item in FlyingChairs(str(tmp_path), mode="val").items] == ["00002_img1.ppm"]
    item = data[0]
    assert item["flow"][:, 0, 0] == pytest.approx([4 * 2 / 32 * 8, -3 * 2 / 24 * 8])
    assert set(item) == {"image", "reference", "flow", "index"}
    (tmp_path / "FlyingChairs_train_val.txt").write_text("1\n3\n")
    with pytest.raises(DataError, match=":2: the line is '3'"):
        FlyingChairs(str(tmp_path))
    (tmp_path / "FlyingChairs_train_val.txt").write_text("1\n" * 5)
    with pytest.raises(DataError, match=r"6 of 15 files .* the first is 00004_img1.ppm"):
        FlyingChairs(str(tmp_path))


def test_both_images_see_the_same_colours(tmp_path: Path) -> None:
    pair(tmp_path, 1)
    save(tmp_path / "00001_img2.ppm", noise(0, (24, 32)))
    data = FlyingChairs(str(tmp_path), [{"type": "PhotometricDistort", "prob": 1}, NORMALIZE])
    one, other = data[(0, 0)], data[(1, 0)]
    np.testing.assert_array_equal(one["image"], one["reference"])
    assert not np.array_equal(one["image"], other["image"])


def test_transforms_that_move_pixels_are_refused(tmp_path: Path) -> None:
    pair(tmp_path, 1)
    with pytest.raises(ConfigError, match="RandomHorizontalFlip moves pixels"):
        FlyingChairs(str(tmp_path), [{"type": "RandomHorizontalFlip"}])
    with pytest.raises(DataError, match="changes the size"):
        FlyingChairs(str(tmp_path), [{"type": "Resize", "target_size": [16, 16]}])[0]


def test_pairs_that_cannot_be_used(tmp_path: Path) -> None:
    pair(tmp_path, 1)
    write_flow(tmp_path / "00001_flow.flo", np.zeros((20, 32, 2), np.float32))
    with pytest.raises(DataError, match="a flow of 32x20"):
        FlyingChairs(str(tmp_path))[0]
    write_flow(tmp_path / "00001_flow.flo", np.full((24, 32, 2), 1.7e9, np.float32))
    with pytest.raises(DataError, match="not known"):
        FlyingChairs(str(tmp_path))[0]
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="the dataset is empty"):
        FlyingChairs(str(tmp_path / "none"))


def test_real_pairs(photos: Path) -> None:
    data = FlyingChairs(str(photos / "flying_chairs"), [NORMALIZE], size=[320, 320])
    assert len(data) == 5
    item = data[2]
    assert item["image"].shape == item["reference"].shape == (3, 320, 320)
    flow = data.flow(2)
    assert flow.shape == (384, 512, 2)
    assert item["flow"][0].mean() == pytest.approx(flow[..., 0].mean() * 16 / 512, abs=1e-4)
