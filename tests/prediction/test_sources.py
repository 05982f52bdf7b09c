from pathlib import Path

import pytest

from mobileseg.errors import ConfigError, DataError
from mobileseg.prediction.sources import Source, distinct_names, find_sources


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_single_files_and_cameras(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "clip.MP4", "odd.xyz")
    paths = [str(tmp_path / name) for name in ("a.jpg", "clip.MP4", "odd.xyz")]
    assert list(find_sources([*paths, "camera:1"])) == [
        Source("image", paths[0], "a"),
        Source("video", paths[1], "clip"),
        Source("image", paths[2], "odd"),  # decoding decides, not the suffix of a file that was named
        Source("camera", "1", "camera_1"),
    ]


def test_folders_are_searched_in_order_and_keep_their_tree(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.png", "b/1.jpg", "a/1.jpg", "notes.md", "z.mp4")
    found = list(find_sources([str(tmp_path)]))
    assert [source.name for source in found] == ["z", "a/1", "b/1", "b/2"]
    assert [source.kind for source in found] == ["video", "image", "image", "image"]


def test_folders_of_frames_are_videos(tmp_path: Path) -> None:
    touch(tmp_path / "all", "2.png", "1.png", "b/2.png", "a/deep/1.jpg", "a/clip.mp4", "empty/notes.md", "out/1.png")
    found = list(find_sources([str(tmp_path / "all")], tmp_path / "all/out", as_video=True))
    assert [(source.kind, source.name) for source in found] == [
        ("frames", "all"),
        ("video", "a/clip"),
        ("frames", "a/deep"),
        ("frames", "b"),
    ]
    assert found[2].where == str(tmp_path / "all/a/deep")
    (single,) = find_sources([str(tmp_path / "all/b/2.png")], as_video=True)
    assert single.kind == "image"
    with pytest.raises(DataError, match="has no image and no video"):
        list(find_sources([str(tmp_path / "all/empty")], as_video=True))


def test_results_below_a_folder_are_no_inputs_and_never_the_folder_itself(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "out/overlay/1.png", "deep/out/2.png")
    found = list(find_sources([str(tmp_path)], tmp_path / "out"))
    assert [source.name for source in found] == ["1", "deep/out/2"]
    with pytest.raises(ConfigError, match="written into the input"):
        list(find_sources([str(tmp_path)], tmp_path / "deep/.."))


def test_lists_name_files_relative_to_themselves_and_may_carry_labels(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "with blank.jpg")
    (tmp_path / "val.txt").write_text("images/a.jpg labels/a.png\n\nwith blank.jpg\n../other.jpg\n")
    found = list(find_sources([str(tmp_path / "val.txt")]))
    assert [source.name for source in found] == ["images/a", "with blank", "other"]
    assert found[0].where == str(tmp_path / "images/a.jpg")


def test_lists_with_a_byte_order_mark_and_backslashes(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg")
    (tmp_path / "val.txt").write_bytes(b"\xef\xbb\xbfimages\\a.jpg\r\n")
    (found,) = find_sources([str(tmp_path / "val.txt")])
    assert found == Source("image", str(tmp_path / "images/a.jpg"), "images/a")


def test_images_that_are_not_read_are_said(tmp_path: Path, caplog) -> None:
    touch(tmp_path, "a.jfif", "b.heic", "c.HEIC", "d.jp2", "notes.md")
    assert [source.name for source in find_sources([str(tmp_path)])] == ["a"]
    (record,) = caplog.records
    assert "2 of .heic, 1 of .jp2" in record.getMessage()
    (tmp_path / "a.jfif").unlink()
    with pytest.raises(DataError, match=r"that can be read \(2 of \.heic, 1 of \.jp2\)") as caught:
        list(find_sources([str(tmp_path)]))
    assert caught.value.remedy == "convert them to JPEG or PNG"


@pytest.mark.parametrize("text", ["camera:", "camera:front", "camera:-1"])
def test_cameras_are_numbers(text: str) -> None:
    with pytest.raises(DataError, match="names no camera"):
        list(find_sources([text]))


def test_what_holds_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        list(find_sources([str(tmp_path / "nothing.jpg")]))
    with pytest.raises(DataError, match="has no image and no video"):
        list(find_sources([str(tmp_path)]))
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(DataError, match="is empty"):
        list(find_sources([str(tmp_path / "empty.txt")]))
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match=r"cannot be read: .* can't decode"):
        list(find_sources([str(tmp_path / "binary.txt")]))


def test_results_of_equal_names_do_not_hide_each_other(tmp_path: Path) -> None:
    sources = [Source("image", where, "a") for where in ("x/a.jpg", "y/a.jpg", "z/a.jpg")]
    assert [source.name for source in distinct_names(sources)] == ["a", "a_2", "a_3"]
    assert [source.where for source in distinct_names(sources)] == ["x/a.jpg", "y/a.jpg", "z/a.jpg"]


def test_images_that_cannot_be_decoded_are_not_skipped_in_silence(tmp_path: Path, caplog) -> None:
    touch(tmp_path, "a.jfif", "b.jp2", "c.HEIC", "sub/d.heic", "e.avif", "notes.md")
    assert [source.name for source in find_sources([str(tmp_path)])] == ["a"]
    assert "2 of .heic" in caplog.text
    assert "1 of .avif" in caplog.text
    assert "1 of .jp2" in caplog.text
    assert ".md" not in caplog.text


def test_a_byte_order_mark_is_no_part_of_the_first_path(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "val.txt").write_text("a.jpg\n", encoding="utf-8-sig")
    assert [source.where for source in find_sources([str(tmp_path / "val.txt")])] == [str(tmp_path / "a.jpg")]
