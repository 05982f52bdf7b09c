"""Bad input of the C++ program: the table that Python has; no full disk, Ctrl-C or kill costs an earlier file."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.data.io import read_image
from mobileseg.files import sha256_of
from mobileseg.runtime.manifest import Manifest
from tests.deploy.lite_build import SOURCE, Lite, environment

sys.path.append(str(SOURCE / "tests"))
from fixture_pictures import REFUSED, write_pictures

pytestmark = [
    pytest.mark.timeout(1800),  # the first build takes about a minute, more on a busy machine
    pytest.mark.usefixtures("program"),
]


@pytest.fixture
def labels(lite: Lite) -> Path:
    return lite.fixtures / "artefacts" / "labels"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.avi", 6)


def write_clip(path: Path, frames: int, size: tuple[int, int] = (32, 48)) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, size[::-1])
    for value in range(frames):
        writer.write(np.full((*size, 3), value * 40 % 256, np.uint8))
    writer.release()
    return path


def frames_in(path: Path) -> int:
    reader = cv2.VideoCapture(str(path))
    return sum(1 for _ in iter(lambda: reader.read()[0], False))


def start(lite: Lite, *words: str | Path, limit: int | None = None) -> subprocess.Popen[str]:
    """The program, with a limit on the size of its files, which is what a full disk looks like to it."""

    def bounded() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit or 0, limit or 0))

    return subprocess.Popen(
        [str(lite.program), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(lite),
        preexec_fn=bounded if limit else None,
        restore_signals=False,
    )


def test_the_table_of_damaged_images(lite: Lite, labels: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in")
    for name in REFUSED:
        done = lite.run("mobileseg_lite", "image", labels, tmp_path / "in" / name, "--output", tmp_path / "out")
        assert done.returncode == 3, name + done.stdout + done.stderr
        assert name in done.stderr
        assert REFUSED[name] in done.stderr
        assert not list((tmp_path / "out").rglob("*.*")), name


def test_sound_images_are_seen_as_python_sees_them(lite: Lite, labels: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in")
    sound = sorted(path for path in (tmp_path / "in").iterdir() if path.name not in REFUSED)
    done = lite.run("mobileseg_lite", "image", labels, *sound, "--output", tmp_path / "out", "--alpha", "0")
    assert done.returncode == 0, done.stderr
    documents = {}
    for path in (tmp_path / "out" / "json").iterdir():
        document = json.loads(path.read_text(encoding="utf-8"))
        documents[document["source"]] = path.stem, (document["height"], document["width"])
    assert len(documents) == len(sound)
    for path in sound:
        image = read_image(path)
        name, size = documents[str(path)]
        assert size == image.shape[:2], path.name
        drawn = cv2.imread(str(tmp_path / "out" / "overlay" / f"{name}.png"))[..., ::-1]
        classes = cv2.imread(str(tmp_path / "out" / "labels" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        plain = np.ones(size, bool)  # pixels that are no border between classes show the image itself
        plain[:, :-1] &= (
            (classes[:, 1:] == classes[:, :-1]).all(axis=-1)
            if classes.ndim == 3
            else (classes[:, 1:] == classes[:, :-1])
        )
        plain[:-1] &= (classes[1:] == classes[:-1]).all(axis=-1) if classes.ndim == 3 else classes[1:] == classes[:-1]
        assert plain.mean() > 0.3
        assert np.abs(drawn.astype(int) - image)[plain].max() <= 3, path.name  # decoders of JPEG may differ


def test_names_are_those_of_predict(lite: Lite, labels: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("x", "y")]
    for folder in folders:
        folder.mkdir()
    places = ["x/a.png", "x/a.bmp", "x/a_2.png", "y/a.png", "y/b.png"]
    for index, place in enumerate(places):
        cv2.imwrite(str(tmp_path / place), np.full((10, 10 + index, 3), 99, np.uint8))
    (tmp_path / "x" / "a.jpg").write_bytes(b"")
    sources = [tmp_path / place for place in ["x/a.jpg", *places]]
    done = lite.run("mobileseg_lite", "image", labels, *sources, "--output", tmp_path / "out")
    assert done.returncode == 3
    widths = {path.stem: json.loads(path.read_text())["width"] for path in (tmp_path / "out" / "json").iterdir()}
    assert widths == {"a_2": 10, "a_3": 11, "a_2_2": 12, "a_4": 13, "b": 14}


@pytest.mark.parametrize(
    "words",
    [
        ["image", "MODEL", "a.png", "--output", ""],
        ["image", "MODEL", ""],
        ["image", "", "a.png"],
        ["benchmark", "MODEL", "--image", ""],
        ["benchmark", "MODEL", "--threads", "1", ""],
        ["image", "MODEL", "a.png", "--font", ""],
    ],
)
def test_empty_words_are_refused(lite: Lite, labels: Path, words: list[str], tmp_path: Path) -> None:
    done = lite.run("mobileseg_lite", *(str(labels) if word == "MODEL" else word for word in words), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "empty" in done.stderr or "needs the folder" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_earlier_video(lite: Lite, labels: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert lite.run("mobileseg_lite", "video", labels, clip, "--output", out).returncode == 0
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    assert len(before) == 2
    assert frames_in(out / "overlay" / "clip.mp4") == 6
    long = write_clip(tmp_path / "long.avi", 200).rename(clip)
    process = start(lite, "video", labels, long, "--output", out, limit=20_000)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 3, errors
    assert "check the" in errors
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_what_ends_a_video_early(
    lite: Lite, labels: Path, clip: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "out"
    assert lite.run("mobileseg_lite", "video", labels, clip, "--output", out).returncode == 0
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    long = write_clip(tmp_path / "long.avi", 4000).rename(clip)
    process = start(lite, "video", labels, long, "--output", out)
    deadline = time.monotonic() + 120
    while not (out / "overlay" / ".clip.partial.mp4").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(number)
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors
    if number == signal.SIGKILL:
        assert {path: path.read_bytes() for path in before} == before
        return
    assert "interrupted after" in printed
    lines = (out / "json" / "clip.jsonl").read_text().splitlines()
    assert 0 < len(lines) < 4000
    assert frames_in(out / "overlay" / "clip.mp4") == len(lines)
    assert not list(out.rglob(".*"))


@pytest.mark.parametrize("size", [(33, 47), (2, 3)])
def test_odd_frames(lite: Lite, labels: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    clip = write_clip(tmp_path / "odd.avi", 3, size)
    if frames_in(clip) != 3:
        pytest.skip(f"this OpenCV writes no source of {size}")
    done = lite.run("mobileseg_lite", "video", labels, clip, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert frames_in(tmp_path / "out" / "overlay" / "odd.mp4") == 3


def test_a_truncated_graph_is_refused(lite: Lite, labels: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(labels, folder)
    names = ("model.x86.nb", "model.arm.nb")
    for name in names:
        (folder / name).write_bytes((folder / name).read_bytes()[:-5])
    manifest = Manifest.read(folder)
    manifest.files.update({name: sha256_of(folder / name) for name in names})
    manifest.write(folder)
    done = lite.run("mobileseg_lite", "selftest", folder)
    assert done.returncode == 7
    assert "the lengths inside do not add up" in done.stderr


@pytest.mark.parametrize(
    ("place", "value", "seen"),
    [
        ((), [], "expected an object"),
        (("format",), 3, "is written in format 3, this program reads formats 1 and 2"),
        (("task",), "depth", "there is no task 'depth', this program has instance, semantic"),
        (("image", "channels"), 1, "it takes images of 1 channels, this program those of 3"),
        (("image", "range"), [0, 4095], "it takes pixels of 0 to 4095, this program those of 0 to 255"),
        (("image", "scale"), 0, "scale is not positive"),
        (("image", "scale"), 1e300, "make inputs beyond 1e9"),
        (("image", "height"), 1 << 40, "expected a whole number from 1 to 16384"),
        (("pipelines", "main"), ["main", "tail"], "pipelines.main names the graph 'tail', there is main"),
        (("graphs", "main", "inputs", 0, "name"), "y", "takes y, which nothing before it gives"),
        (("graphs", "main", "files"), {}, "file for graph 'main', it has none"),
        (("state",), {"key": {"a": "labels"}}, "state names the pipeline 'key'"),
        (("classes",), ["a"] * 300, "there are 300 classes, expected 1 to 255"),
        (("settings",), {"detection": {}}, "does not belong to a semantic segmentation model"),
        (("golden",), "../golden.npz", "lies outside the folder"),
    ],
)
def test_manifests_that_cannot_be_used(
    lite: Lite, labels: Path, tmp_path: Path, place: tuple[str | int, ...], value: object, seen: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(labels, folder)
    (folder / "deploy.yaml").unlink()
    document = json.loads((folder / "deploy.json").read_text(encoding="utf-8"))
    target, keys = document, ("mobileseg", *place)
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = value
    (folder / "deploy.json").write_text(json.dumps(document), encoding="utf-8")
    done = lite.run("mobileseg_lite", "selftest", folder)
    assert done.returncode == 7, done.stdout + done.stderr
    assert seen in done.stderr


def named(lite: Lite, folder: Path, *names: str) -> Path:
    """A copy of the instance folder with other names of classes, and an image of it."""
    shutil.copytree(lite.fixtures / "artefacts" / "instance", folder)
    manifest = Manifest.read(folder)
    replace(manifest, classes=tuple(names)).write(folder)
    with np.load(folder / "golden.npz") as golden:
        image = np.kron(golden["image.0"], np.ones((4, 4, 1), np.uint8))
    cv2.imwrite(str(folder / "image.png"), image[..., ::-1])
    return folder


def test_names_of_any_script(lite: Lite, tmp_path: Path) -> None:
    drawn, notes = {}, {}
    for key, names in {
        "plain": ("Baum",) * 4,
        "german": ("Bäum",) * 4,
        "russian": ("дом",) * 4,
        "chinese": ("道路",) * 4,
    }.items():
        folder = named(lite, tmp_path / key, *names)
        words = ("image", folder, folder / "image.png", "--output", folder / "out", "--min-score", "0")
        done = lite.run("mobileseg_lite", *words)
        assert done.returncode == 0, done.stderr
        drawn[key] = cv2.imread(str(folder / "out" / "overlay" / "image.png"))
        notes[key] = done.stderr
        written = json.loads((folder / "out" / "json" / "image.json").read_text(encoding="utf-8"))
        assert written["results"][0]["category"] == names[0]
    assert not notes["plain"]
    for key, name in (("german", "Bäum"), ("russian", "дом"), ("chinese", "道路")):
        assert not np.array_equal(drawn[key], drawn["plain"])
        if notes[key]:  # no module freetype, or no font of this script
            assert f"class 0 is {name}, class 1 is {name}" in notes[key]
            assert notes[key].count("note:") == 1


def test_a_font_that_is_none(lite: Lite, tmp_path: Path) -> None:
    folder = named(lite, tmp_path / "model", *"abcd")
    words = ("mobileseg_lite", "image", folder, folder / "image.png", "--output", tmp_path / "out", "--font")
    done = lite.run(*words, folder / "deploy.json")
    assert done.returncode in (3, 8), done.stderr
    assert "deploy.json is no font" in done.stderr or "freetype" in done.stderr
