"""The C++ core under AddressSanitizer and UndefinedBehaviorSanitizer, against fixtures of the Python implementation."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mobileseg.benchmarking.rows import load_rows, render_table
from mobileseg.data.io import IMAGE_SUFFIXES
from mobileseg.instance.drawing import instance_colours
from tests.deploy.lite_build import FUZZERS, SOURCE, Lite, environment

pytestmark = pytest.mark.timeout(1800)  # the first build takes about a minute, more on a busy machine


def artefact(lite: Lite, name: str) -> Path:
    return lite.fixtures / "artefacts" / name


def test_core(lite: Lite) -> None:
    done = lite.run("tests/mobileseg_tests")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    skipped = int(done.stdout.split("|")[-2].split()[0]) if "skipped" in done.stdout else 0
    assert skipped == 0, "tests of the adapter were left out"
    values = np.arange(37 * 23) * 7 % 256
    folder = lite.fixtures / "scratch" / "png"
    read = cv2.imread(str(folder / "palette.png"), cv2.IMREAD_COLOR)
    assert read.shape == (23, 37, 3)
    assert (read[values.reshape(23, 37) == 1] == (200, 0, 0)).all()
    pixels = (np.arange(19 * (41 * 3 + 2)) ** 2 % 256).astype(np.uint8).reshape(19, -1)[:, : 41 * 3].reshape(19, 41, 3)
    assert (cv2.imread(str(folder / "bgr.png")) == pixels).all()
    assert (cv2.imread(str(folder / "rgb.png"))[..., ::-1] == pixels).all()


@pytest.mark.parametrize("name", FUZZERS)
def test_fuzz(lite: Lite, name: str, tmp_path: Path) -> None:
    if not lite.fuzzers:
        pytest.skip("the readers were NOT fuzzed: no libFuzzer; Debian: apt-get install clang libclang-rt-dev")
    seeds = SOURCE / "tests" / "fuzz" / "seeds" / name
    assert any(seeds.iterdir())
    # The same inputs on every machine, some five seconds of them; for new ones name a time.
    seconds = os.environ.get("MOBILESEG_FUZZ_SECONDS")
    bound = [f"-max_total_time={seconds}"] if seconds else ["-seed=1", f"-runs={FUZZERS[name]}", "-max_total_time=60"]
    found = tmp_path / "found"
    found.mkdir()
    options = [*bound, "-timeout=60", "-rss_limit_mb=2048", "-max_len=8192"]
    done = lite.run(f"tests/fuzz_{name}", found, seeds, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]


def test_selftest_says_where_it_first_differs(program: Lite) -> None:
    for name in ("labels", "dynamic", "instance", "video_each", "decoder", "decoder_mixed"):
        done = program.run("mobileseg_lite", "selftest", artefact(program, name))
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count(" ok ") == 4
    done = program.run("mobileseg_lite", "selftest", artefact(program, "fault_values"))
    assert done.returncode == 6
    assert "inference    FAILED   image 0: output 'labels' differs in 1 of 1536 values" in done.stdout


def test_steep_probabilities_have_the_slack_that_export_grants(program: Lite) -> None:
    done = program.run("mobileseg_lite", "selftest", artefact(program, "softmax"))
    assert done.returncode == 0, done.stdout + done.stderr
    done = program.run("mobileseg_lite", "selftest", artefact(program, "softmax_bad"))
    assert done.returncode == 6
    assert "inference    FAILED   image 0: output 'probabilities' differs" in done.stdout


@pytest.mark.parametrize(
    ("good", "bad", "what"), [("int8", "int8_bad", "labels"), ("instance_coarse", "instance_coarse_bad", "detections")]
)
def test_graphs_of_lower_precision_agree_in_a_share(program: Lite, good: str, bad: str, what: str) -> None:
    done = program.run("mobileseg_lite", "selftest", artefact(program, good))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"inference    ok       \d+\.\d % of the {what}", done.stdout), done.stdout
    done = program.run("mobileseg_lite", "selftest", artefact(program, bad))
    assert done.returncode == 6
    assert f"% of the {what}" in done.stdout


def test_passes_to_count_instructions_of(lite: Lite) -> None:
    for name, seen in (("labels", "labels, 0 objects"), ("instance", "0 labels, ")):
        image = json.loads((artefact(lite, name) / "deploy.json").read_text())["mobileseg"]["image"]
        done = lite.run("tests/mobileseg_passes", artefact(lite, name), "3")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"3 passes at {image['width']}x{image['height']}, ")
        assert seen in done.stdout
        pixels = image["width"] * image["height"]
        assert (f"{pixels} labels" in done.stdout) == (name == "labels")
    assert lite.run("tests/mobileseg_passes", artefact(lite, "labels"), "0").returncode == 2
    assert lite.run("tests/mobileseg_passes", "nowhere", "1").returncode == 1


def test_images(program: Lite, tmp_path: Path) -> None:
    folder = artefact(program, "labels")
    with np.load(folder / "golden.npz") as golden:
        images = [golden[f"image.{index}"] for index in range(3)]
        labels = [golden[f"labels.{index}"] for index in range(3)]
    paths = [tmp_path / f"image{index}.png" for index in range(3)]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image[..., ::-1])
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    out = tmp_path / "out"
    done = program.run("mobileseg_lite", "image", folder, *paths, "--output", out)
    assert done.returncode == 0, done.stderr
    for path, image, expected in zip(paths, images, labels, strict=True):
        facts = json.loads((out / "json" / f"{path.stem}.json").read_text())
        assert (facts["height"], facts["width"]) == image.shape[:2]
        assert facts["classes"][0]["pixels"] == int((expected == facts["classes"][0]["index"]).sum())
        from PIL import Image

        with Image.open(out / "labels" / f"{path.stem}.png") as written:
            assert (np.asarray(written) == expected).all()
        assert cv2.imread(str(out / "overlay" / f"{path.stem}.png")).shape == image.shape
    inner = tmp_path / "b" / "a"
    inner.mkdir(parents=True)
    cv2.imwrite(str(inner / "deep.PGM"), images[0][..., 0])
    (inner / "up").symlink_to(tmp_path)
    (inner / "notes.txt").write_text("none")
    done = program.run("mobileseg_lite", "folder", folder, tmp_path / "b", "--output", tmp_path / "other")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 images" in done.stdout
    for made in (tmp_path / "b", tmp_path / "other", out):
        shutil.rmtree(made)
    done = program.run("mobileseg_lite", "folder", folder, tmp_path, "--output", out)
    assert done.returncode == 3
    assert "broken.jpg is truncated" in done.stderr
    assert "3 of 4 images" in done.stdout


def test_the_suffixes_are_those_of_python() -> None:
    source = (SOURCE / "app" / "pictures.cc").read_text(encoding="utf-8")
    table = re.search(r"kSuffixes\[\] = \{(.*?)\};", source, re.DOTALL)
    assert table is not None
    assert {f".{name}" for name in re.findall(r'"(\w+)"', table[1])} == IMAGE_SUFFIXES


def test_no_file_but_the_table_and_the_tasks_names_a_task() -> None:
    table, tasks = SOURCE / "src" / "tasks.cc", {"semantic", "instance", "video"}
    for folder in ("src", "app", "include"):
        named = tasks - ({"video"} if folder == "app" else set())  # which is a verb of the program, too
        words = re.compile("|".join(rf'"{name}"|k{name.capitalize()}\b' for name in sorted(named)))
        for path in (SOURCE / folder).rglob("*"):
            own = path == table or path.stem.split("_")[0] in tasks
            if path.suffix in {".cc", ".h"} and not own:
                code = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
                assert not words.search(code), path


def test_instances(program: Lite, tmp_path: Path) -> None:
    folder = artefact(program, "instance")
    with np.load(folder / "golden.npz") as golden:
        cv2.imwrite(str(tmp_path / "a.png"), golden["image.0"][..., ::-1])
        scores, masks = golden["result.0.scores"], golden["result.0.masks"]
    command = ("mobileseg_lite", "image", folder, tmp_path / "a.png", "--output", tmp_path)
    done = program.run(*command, "--min-score", "0")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "json" / "a.json").read_text())["results"]
    assert [item["score"] for item in found] == pytest.approx(scores, abs=1e-6)
    pixels = np.unpackbits(masks, axis=1).sum(axis=1)
    assert [mask_utils.area(item["segmentation"]) for item in found] == pytest.approx(pixels, rel=1e-3, abs=2)
    least = float(np.median(scores))
    assert program.run(*command, "--min-score", str(least)).returncode == 0
    left = json.loads((tmp_path / "json" / "a.json").read_text())["results"]
    assert len(left) == np.count_nonzero(scores >= np.float32(least))


def test_video(program: Lite, tmp_path: Path) -> None:
    video = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(video, cv2.VideoWriter_fourcc(*"MJPG"), 10, (48, 32))
    for value in range(5):
        writer.write(np.full((32, 48, 3), value * 40, np.uint8))
    writer.release()
    done = program.run(
        "mobileseg_lite", "video", artefact(program, "labels"), video, "--output", tmp_path, "--max-frames", "4"
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "json" / "clip.jsonl").read_text().splitlines()
    assert [json.loads(line)["source"] for line in lines] == [f"clip:{index}" for index in range(4)]
    reader = cv2.VideoCapture(str(tmp_path / "overlay" / "clip.mp4"))
    assert sum(1 for _ in iter(lambda: reader.read()[0], False)) == 4


@pytest.mark.parametrize("name", ["video", "video_each"])
def test_a_network_with_key_frames(program: Lite, tmp_path: Path, name: str) -> None:
    """The frames of a folder, as a stream: the pipelines and objects that Python chose and found."""
    folder, frames, out = artefact(program, name), tmp_path / "clip", tmp_path / "out"
    frames.mkdir()
    with np.load(folder / "golden.npz") as golden:
        first = [index for index in range(15) if golden[f"sequence.{index}"] == 0]
        expected = [str(golden[f"pipeline.{index}"]) for index in first]
        counts = [len(golden[f"result.{index}.scores"]) for index in first]
        for index in first:
            cv2.imwrite(str(frames / f"{index:05d}.png"), golden[f"image.{index}"][..., ::-1])
    done = program.run("mobileseg_lite", "video", folder, f"{frames}/", "--output", out, "--min-score", "0")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (out / "json" / "clip.jsonl").read_text().splitlines()]
    assert [line["pipeline"] for line in lines] == expected
    assert [len(line["results"]) for line in lines] == counts
    assert f"{expected.count('key')} key, {expected.count('nonkey')} nonkey" in done.stdout
    reader = cv2.VideoCapture(str(out / "overlay" / "clip.mp4"))
    assert sum(1 for _ in iter(lambda: reader.read()[0], False)) == len(expected)

    done = program.run("mobileseg_lite", "folder", folder, frames, "--output", out)
    assert done.returncode == 0, done.stderr  # pictures that have nothing to do with each other: all are key frames
    cv2.imwrite(str(frames / "00003.png"), np.zeros((40, 57, 3), np.uint8))
    done = program.run("mobileseg_lite", "video", folder, frames, "--output", tmp_path / "other")
    assert done.returncode == 7
    assert "a frame is 40x57 (height x width), those before it were 40x56" in done.stderr
    assert not list((tmp_path / "other" / "json").iterdir())


def test_times_of_a_network_with_key_frames(program: Lite, tmp_path: Path) -> None:
    path, folder = tmp_path / "rows.json", artefact(program, "video")
    with np.load(folder / "golden.npz") as golden:
        cv2.imwrite(str(tmp_path / "a.png"), golden["image.0"][..., ::-1])
    arguments = ["--image", tmp_path / "a.png", "--runs", "6", "--warmup", "3", "--output", path]
    done = program.run("mobileseg_lite", "benchmark", folder, *arguments)
    assert done.returncode == 0, done.stderr
    rows = load_rows(path)
    assert [(row["frame"], row["runs"]) for row in rows] == [("key", 2), ("nonkey", 4), ("stream", 6)]
    for row in rows:
        assert row["total"]["max_ms"] >= row["total"]["p95_ms"] >= row["total"]["median_ms"] > 0
    assert "mean_ms" in rows[2]["total"]
    assert "mean_ms" not in rows[0]["total"]
    assert "mean" in done.stdout
    assert "stream" in render_table(rows)


def test_ids_of_a_video_are_those_of_python(program: Lite, tmp_path: Path) -> None:
    expected = json.loads((program.fixtures / "tracking" / "tracked.json").read_text(encoding="ascii"))
    assert len({number for frame in expected for number, _ in frame}) >= 5
    video = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(video, cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for value in range(len(expected)):
        writer.write(np.full((64, 96, 3), value * 16, np.uint8))
    writer.release()
    done = program.run("mobileseg_lite", "video", artefact(program, "tracked"), video, "--track", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "json" / "clip.jsonl").read_text().splitlines()]
    found = [[[one["track_id"], one["category_id"] - 1] for one in line["results"]] for line in lines]
    assert found == expected
    done = program.run("mobileseg_lite", "video", artefact(program, "labels"), video, "--track", "--output", tmp_path)
    assert done.returncode == 2
    assert "no objects that could be tracked" in done.stderr
    for model, message in (("labels", "class scores were asked for"), ("tracked", "labels are not smoothed")):
        done = program.run("mobileseg_lite", "video", artefact(program, model), video, "--smooth", "0.5")
        assert done.returncode != 0
        assert message in done.stderr


def test_colours_of_tracks_are_those_of_python() -> None:
    source = (SOURCE / "src" / "track_colors.h").read_text(encoding="utf-8")
    rows = [tuple(map(int, row)) for row in re.findall(r"\{\{(\d+), (\d+), (\d+)\}\}", source)]
    np.testing.assert_array_equal(rows, instance_colours(np.zeros(64, int), np.zeros((1, 3)), np.arange(64)))


def test_benchmark_rows_are_those_of_python(program: Lite, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((32, 48, 3), np.uint8))
    arguments = ["--threads", "1", "2", "--power", "high", "low", "--runs", "3", "--warmup", "1", "--output", path]
    folder = artefact(program, "labels")
    with np.load(folder / "golden.npz") as golden:
        cv2.imwrite(str(tmp_path / "a.png"), golden["image.1"][..., ::-1])
    done = program.run("mobileseg_lite", "benchmark", folder, "--image", tmp_path / "a.png", *arguments)
    assert done.returncode == 0, done.stderr
    rows = load_rows(path)
    assert [(row["threads"], row["power"]) for row in rows] == [(1, "high"), (2, "high"), (1, "low"), (2, "low")]
    assert set(rows[0]["stages"]) == {"decode", "preprocess", "inference", "postprocess", "draw"}
    assert "frame" not in rows[0]
    assert rows[0]["total"]["max_ms"] >= rows[0]["total"]["p95_ms"] >= rows[0]["total"]["median_ms"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "seen"),
    [
        ([], 2, "nothing was asked for"),
        (["paint", "labels"], 2, "no verb 'paint'"),
        (["image", "labels"], 2, "needs an input"),
        (["image", "labels", "x.png", "--threads", "many"], 2, "--threads is 'many'"),
        (["image", "labels", "x.png", "--threads", "1", "2"], 2, "only benchmark"),
        (["image", "labels", "x.png", "--power", "max"], 2, "--power is 'max'"),
        (["image", "labels", "x.png", "--alpha"], 2, "needs a value"),
        (["image", "labels", "x.png", "--track"], 2, "--track is for video and camera"),
        (["image", "labels", "x.png", "--smooth", "0.5"], 2, "--smooth is for video and camera"),
        (["video", "labels", "x.mp4", "--smooth", "1.5"], 2, "--smooth is '1.5', expected a number from 0 to 1"),
        (["video", "labels", "none.mp4"], 3, "there is no file none.mp4"),
        (["camera", "labels", "front"], 2, "no number of a camera"),
        (["selftest", "nowhere"], 7, "no artefact folder"),
        (["selftest", "other_version"], 7, "--any-version"),
        (["selftest", "fault_crash"], 7, "the inference engine ended the program"),
        (["selftest", "fault_abort"], 7, "the inference engine ended the program"),
    ],
)
def test_mistakes_end_with_a_message_and_a_code(
    program: Lite, tmp_path: Path, arguments: list[str], code: int, seen: str
) -> None:
    words = [str(artefact(program, word)) if index == 1 else word for index, word in enumerate(arguments)]
    # AddressSanitizer would answer the signal before the program can.
    variables = environment(program) | {"ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:handle_abort=0"}
    command = [str(program.program), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables, cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert seen in done.stderr


def test_sources_are_formatted() -> None:
    formatter = shutil.which("clang-format-14") or shutil.which("clang-format")
    if formatter is None:
        pytest.skip("the format of the C++ sources was NOT tested: clang-format is missing")
    version = subprocess.run([formatter, "--version"], capture_output=True, text=True, check=False).stdout
    if "version 14." not in version:  # every version has its own idea of a line
        pytest.skip(f"the format of the C++ sources was NOT tested: that needs clang-format 14, not {version.strip()}")
    sources = [str(path) for path in SOURCE.rglob("*") if path.suffix in {".cc", ".h"}]
    done = subprocess.run([formatter, "--dry-run", "-Werror", *sources], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
