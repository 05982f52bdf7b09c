"""Fixtures of the C++ tests, made by the Python implementation: ``python deploy/lite/tests/make_fixtures.py FOLDER``.

Every case is an artefact folder of its own (deploy.json by the one writer that there is) with ``case.npz``: what goes
in and what must come out. ``artefacts/`` holds whole folders with golden.npz and .nb files for the stand-in runtime of
``standin/``. `cases.txt` lists the cases of a group.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

import numpy as np
from benchmark_postprocess import predictions
from fixture_artefacts import artefacts
from fixture_faults import CLASSES, FAULTS, Fault, damaged
from fixture_parts import RAW, instance_settings, manifest, picture, raw_outputs, raw_specs, result_arrays, smooth
from fixture_pictures import REFUSED, write_pictures
from fixture_tracking import tracked_artefact, tracking_cases
from fixture_video import keyframe_cases, video_artefacts

from mobileseg.data.io import orientation
from mobileseg.files import sha256_of
from mobileseg.instance.anchors import make_anchors
from mobileseg.instance.postprocess import DetectionOptions, finish, instances_from_outputs, nms_detections
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.preprocess import Preprocessor
from mobileseg.runtime.specs import ImageSpec, OutputSpec, ResizeSpec
from mobileseg.semantic.postprocess import labels_from_labels, labels_from_logits, resize_scores
from mobileseg.semantic.runtime import SemanticPipeline
from mobileseg.tasks import INSTANCE


def write_case(folder: Path, found: Manifest, arrays: Mapping[str, np.ndarray]) -> None:
    """One case; the arrays' names are the test's business."""
    folder.mkdir(parents=True, exist_ok=True)
    found.write(folder)
    np.savez_compressed(folder / "case.npz", **arrays)
    with open(folder.parent / "cases.txt", "a", encoding="utf-8") as file:
        file.write(f"{folder.name}\n")


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SOURCE_SIZES = (
    *((480, 24), (24, 640), (360, 18), (18, 480), (375, 20), (20, 500), (333, 15), (17, 501), (224, 288), (97, 131)),
    *((64, 202), (7, 5), (1, 1), (1, 40), (90, 2)),
)
TARGET_SIZES = (
    *((352, 352), (224, 288), (288, 24), (24, 288), (256, 20), (20, 256), (192, 384), (16, 320), (512, 14), (14, 512)),
    *((550, 9), (9, 550), (138, 30), (97, 131), (65, 33), (33, 500), (3, 8), (1, 1), (1, 77), (240, 1)),
)
"""15 times 20 pairs of (height, width)."""

REFERENCE = Path(__file__).resolve().parents[3] / "tests" / "reference" / "artefacts"
"""Folders as the first version of the format was written."""

LABELS = OutputSpec("labels", "labels", "int32", (1, -1, -1), "labels-nearest")


def preprocess_cases(root: Path) -> None:
    """Every form of input, resized up, down and not at all."""
    rng = np.random.default_rng(1)
    plain = ImageSpec("x", 256, 256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    dynamic = ImageSpec("x", 64, 64, dynamic=True, multiple=32, resize=ResizeSpec("none"))
    cases = {
        "down": (plain, (480, 640)),
        "same": (plain, (256, 256)),
        "up_odd": (replace(plain, height=67, width=93), (37, 53)),
        "one_side": (replace(plain, height=64, width=101), (64, 202)),
        "pixel": (plain, (1, 1)),
        "column": (replace(plain, height=8, width=5), (30, 1)),
        "bgr": (replace(plain, color="BGR", height=65), (90, 120)),
        "nhwc": (replace(plain, layout="NHWC", height=48, width=63), (90, 120)),
        "in_graph": (replace(plain, normalized_in_graph=True, height=48, width=63), (90, 120)),
        "bytes": (replace(plain, normalized_in_graph=True, dtype="uint8", height=48, width=63), (90, 120)),
        "bytes_nhwc": (
            replace(plain, normalized_in_graph=True, dtype="uint8", layout="NHWC", color="BGR", height=48, width=63),
            (48, 63),
        ),
        "padded": (dynamic, (50, 70)),
        "padded_bytes": (
            replace(dynamic, dtype="uint8", normalized_in_graph=True, layout="NHWC", mean=(0.2, 0.5, 0.9)),
            (33, 64),
        ),
    }
    wide = ResizeSpec("keep-ratio")
    cases |= {
        "keep_ratio_wide": (replace(plain, height=64, width=96, resize=wide), (50, 130)),
        "keep_ratio_high": (replace(plain, height=64, width=96, resize=wide, color="BGR"), (77, 31)),
        "keep_ratio_fits": (replace(plain, height=40, width=60, resize=wide), (20, 30)),
        "keep_ratio_line": (replace(plain, height=40, width=60, resize=wide), (1, 700)),
        "keep_ratio_value": (
            replace(plain, height=40, width=60, resize=ResizeSpec("keep-ratio", padding=(114.0, 0.0, 255.0))),
            (90, 31),
        ),
        "padded_value": (replace(dynamic, resize=ResizeSpec("none", padding=(1.0, 2.0, 3.0))), (50, 70)),
        "keep_ratio_bytes": (
            replace(plain, height=40, width=60, dtype="uint8", normalized_in_graph=True, layout="NHWC", resize=wide),
            (33, 21),
        ),
    }
    for name, (spec, size) in cases.items():
        image = picture(rng, *size)
        arrays = {"image": image, "expected": Preprocessor(spec)(image)}
        write_case(root / name, manifest(name, spec, (LABELS,), 2), arrays)


def semantic_cases(root: Path) -> None:
    """Labels and scores, nearest and bilinear, up and down, with padding."""
    rng = np.random.default_rng(2)
    spec = ImageSpec("x", 64, 96)
    dynamic = ImageSpec("x", 64, 64, dynamic=True, multiple=32, resize=ResizeSpec("none"))

    def labels(name: str, dtype: str, stored: tuple[int, int], size: tuple[int, int]) -> None:
        values = rng.integers(0, 11, (1, *stored)).astype(dtype)
        found = manifest(name, spec, (OutputSpec("labels", "labels", dtype, (1, -1, -1), "labels-nearest"),), 11)
        answer = labels_from_labels(values[0], size)
        write_case(root / name, found, {"output": values, "size": np.array(size), "expected": answer})

    def scores(name: str, classes: int, stored: tuple[int, int], size: tuple[int, int], resize: Any) -> None:
        values = smooth(rng, (classes, *stored))
        output = OutputSpec("logits", "logits", "float32", (1, classes, -1, -1), resize)
        answer = labels_from_logits(values, size)
        if resize == "labels-nearest":
            answer = labels_from_labels(labels_from_logits(values, stored), size)
        found = manifest(name, spec, (output,), classes)
        write_case(root / name, found, {"output": values[None], "size": np.array(size), "expected": answer})

    labels("labels_up", "int32", (64, 96), (101, 203))
    labels("labels_down", "int64", (64, 96), (31, 17))
    labels("labels_same", "uint8", (64, 96), (64, 96))
    scores("scores_up", 11, (16, 24), (101, 203), "scores-bilinear")
    scores("scores_down", 19, (64, 96), (31, 17), "scores-bilinear")
    scores("scores_same", 11, (64, 96), (64, 96), "in-graph")
    scores("scores_rows", 3, (16, 96), (64, 96), "scores-bilinear")
    scores("scores_nearest", 5, (32, 48), (64, 97), "labels-nearest")
    scores("one_class", 1, (8, 8), (20, 20), "scores-bilinear")
    scores("many_classes", 255, (8, 9), (20, 31), "scores-bilinear")

    ties = rng.integers(0, 3, (1, 7, 20, 22)).astype(np.float32)
    output = OutputSpec("logits", "logits", "float32", (1, 7, -1, -1), "in-graph")
    arrays = {"output": ties, "size": np.array((20, 22)), "expected": ties[0].argmax(axis=0).astype(np.uint8)}
    write_case(root / "ties", manifest("ties", spec, (output,), 7), arrays)

    size, padded = (50, 70), (64, 96)
    values = rng.integers(0, 11, (1, *padded)).astype(np.int32)
    arrays = {"output": values, "size": np.array(size), "expected": values[0, :50, :70].astype(np.uint8)}
    write_case(root / "padded_labels", manifest("padded", dynamic, (LABELS,), 11), arrays)
    values = smooth(rng, (6, 16, 24))
    output = OutputSpec("logits", "logits", "float32", (1, 6, -1, -1), "scores-bilinear")
    answer = labels_from_logits(resize_scores(values, padded)[:, :50, :70], size)
    arrays = {"output": values[None], "size": np.array(size), "expected": answer}
    write_case(root / "padded_scores", manifest("padded", dynamic, (output,), 6), arrays)

    keep_ratio = ImageSpec("x", 64, 96, resize=ResizeSpec("keep-ratio"))
    for name, kind, size, upsample, resize in (
        ("keep_ratio_labels", "labels", (50, 130), None, "labels-nearest"),
        ("keep_ratio_scores", "logits", (101, 40), None, "scores-bilinear"),
        ("keep_ratio_nearest", "logits", (50, 130), (64, 96), "labels-nearest"),
        ("keep_ratio_upsampled", "logits", (130, 61), (64, 96), "scores-bilinear"),
    ):
        output = OutputSpec("out", kind, "float32", (1, 6, -1, -1), resize, upsample)  # type: ignore[arg-type]
        values = smooth(rng, (6, 16, 24))
        if kind == "labels":
            output = replace(output, dtype="int32", shape=(1, -1, -1))
            values = rng.integers(0, 6, (64, 96)).astype(np.int32)
        answer = python_labels(manifest(name, keep_ratio, (output,), 6), values, size)
        arrays = {"output": values[None], "size": np.array(size), "expected": answer}
        write_case(root / name, manifest(name, keep_ratio, (output,), 6), arrays)
    output = OutputSpec("out", "logits", "float32", (1, 6, -1, -1), "scores-bilinear", (40, 60))
    values, size = smooth(rng, (6, 16, 24)), (101, 203)
    answer = python_labels(manifest("upsampled", spec, (output,), 6), values, size)
    arrays = {"output": values[None], "size": np.array(size), "expected": answer}
    write_case(root / "upsampled", manifest("upsampled", spec, (output,), 6), arrays)
    decoder_cases(root, rng)


def decoder_cases(root: Path, rng: np.random.Generator) -> None:
    """Graphs that end at the decoder: odd sizes, one and many classes, one pixel, ties, labels and probabilities."""
    nearest, mixed = "labels-nearest", "probabilities-bilinear"
    for name, classes, stored, own, size, resize in (
        ("decoder_same", 19, (8, 12), (64, 96), (64, 96), nearest),
        ("decoder_up", 11, (16, 24), (64, 96), (101, 203), nearest),
        ("decoder_down", 11, (16, 24), (64, 96), (31, 17), nearest),
        ("decoder_odd", 7, (5, 7), (37, 53), (37, 53), nearest),
        ("decoder_one_class", 1, (5, 7), (37, 53), (20, 61), nearest),
        ("decoder_many_classes", 255, (5, 7), (37, 53), (37, 53), nearest),
        ("decoder_one_score", 3, (1, 1), (8, 5), (8, 5), nearest),
        ("decoder_one_pixel", 5, (4, 6), (32, 48), (1, 1), nearest),
        ("decoder_column", 4, (9, 1), (72, 3), (72, 3), nearest),
        ("decoder_rows", 4, (8, 96), (64, 96), (64, 96), nearest),
        ("decoder_ties", 7, (10, 12), (20, 24), (20, 24), nearest),
        ("decoder_probabilities", 6, (8, 12), (64, 96), (101, 203), mixed),
        ("decoder_probabilities_same", 6, (8, 12), (61, 93), (61, 93), mixed),
    ):
        spec = ImageSpec("x", *own)
        values = smooth(rng, (classes, *stored))
        if name == "decoder_ties":  # shares of a quarter are exact: both sides see the same ties
            values = rng.integers(0, 3, values.shape).astype(np.float32)
        output = OutputSpec("logits", "logits", "float32", (1, classes, *stored), resize, own)  # type: ignore[arg-type]
        found = manifest(name, spec, (output,), classes)
        arrays = {"output": values[None], "size": np.array(size), "expected": python_labels(found, values, size)}
        write_case(root / name, found, arrays)


def smoothing_cases(root: Path) -> None:
    """Clips of semantic models with smoothing: image.k and output.k go in, expected.k comes out."""
    rng = np.random.default_rng(33)
    stretched = ImageSpec("x", 64, 96)
    padded = ImageSpec("x", 64, 96, resize=ResizeSpec("keep-ratio"))
    cases = {
        "logits": (stretched, OutputSpec("out", "logits", "float32", (1, 4, -1, -1), "scores-bilinear")),
        "probabilities": (padded, OutputSpec("out", "probabilities", "float32", (1, 4, -1, -1), "labels-nearest")),
        "upsampled": (padded, OutputSpec("out", "logits", "float32", (1, 4, -1, -1), "scores-bilinear", (32, 48))),
    }
    for name, (spec, output) in cases.items():
        found = manifest(name, spec, (output,), 4)
        pipeline = SemanticPipeline(found, found.outputs_of()).for_stream({"smooth": 0.6})
        stored = (64, 96) if output.resize == "labels-nearest" else (16, 24)
        scene, memory = picture(rng, 160, 300), {}
        arrays: dict[str, np.ndarray] = {"weight": np.array(0.6)}
        for frame in range(4):
            image = np.ascontiguousarray(scene[10 + 4 * frame : 110 + 4 * frame, 60 - 8 * frame : 210 - 8 * frame])
            values = 4 * smooth(rng, (4, *stored))
            if output.kind == "probabilities":
                values = np.exp(values) / np.exp(values).sum(axis=0)
            pipeline.next(memory, image)
            place = Preprocessor(spec).geometry(image)
            result = pipeline.finish({"out": values[None].astype(np.float32)}, place, memory)
            arrays |= {f"image.{frame}": image, f"output.{frame}": values[None].astype(np.float32)}
            arrays[f"expected.{frame}"] = result.labels
        write_case(root / name, found, arrays)


def python_labels(found: Manifest, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What Python makes of an output [K, h, w] or [h, w]."""
    outputs = found.outputs_of()
    place = Preprocessor(found.image).geometry(np.zeros((*size, 3), np.uint8))
    return SemanticPipeline(found, outputs).finish({outputs[0].name: values[None]}, place, {}).labels


def instance_cases(root: Path) -> None:
    """The three forms of suppression, their switches, empty results, odd sizes; and a graph that suppresses itself."""
    rng = np.random.default_rng(3)
    sizes = ((18, 18), (9, 9), (5, 5))
    default = DetectionOptions(max_detections=100)
    cases = {
        "fast": (default, 80, 32, (35, 35), (480, 640), 40),
        "published": (
            replace(default, threshold_after_nms=False, truncate_boxes=True),
            80,
            32,
            (35, 35),
            (333, 500),
            30,
        ),
        "short_list": (
            replace(default, top_k=3, max_detections=10, threshold_after_nms=False),
            5,
            8,
            (35, 34),
            (97, 61),
            60,
        ),
        "cross_class": (replace(default, nms="cross_class", top_k=60), 20, 16, (20, 30), (120, 90), 50),
        "traditional": (replace(default, nms="traditional", iou_threshold=0.3), 20, 16, (35, 35), (200, 300), 60),
        "inclusive": (replace(default, nms="traditional", inclusive_pixels=True), 20, 16, (35, 35), (200, 300), 60),
        "high_threshold": (replace(default, score_threshold=0.5, mask_threshold=0.8), 10, 16, (35, 35), (64, 64), 40),
        "nothing": (replace(default, score_threshold=0.999), 10, 16, (35, 35), (64, 64), 0),
        "one_class": (default, 1, 4, (9, 9), (40, 30), 20),
        "small_image": (default, 3, 4, (35, 35), (7, 5), 20),
        "one_prototype": (default, 3, 1, (8, 13), (50, 50), 20),
        "full_size": (default, 80, 32, (138, 138), (480, 640), 0),
    }
    for name, (options, classes, kinds, grid, size, objects) in cases.items():
        spec = ImageSpec("x", 138, 138)
        anchors = make_anchors(sizes, (138, 138), ((24,), (48,), (96,)), (1.0, 0.5, 2.0), square=True)
        outputs = raw_outputs(rng, len(anchors), classes, kinds, grid, objects)
        if name == "full_size":  # what Python's postprocess is timed with
            spec, made = ImageSpec("x", 550, 550), predictions("mix")
            outputs, anchors = made["outputs"], made["anchors"]
        if name == "fast":  # equal scores: the anchor of the lower number comes first
            outputs["conf"][0, 100:104] = outputs["conf"][0, 100]
        result = instances_from_outputs(outputs, anchors, size, options, input_size=(spec.height, spec.width))
        assert (len(result) == 0) == (name == "nothing"), f"{name} has {len(result)} instances"
        folder = root / name
        folder.mkdir(parents=True)
        np.save(folder / "anchors.npy", anchors)
        settings = instance_settings(options, "anchors.npy")
        found = manifest(name, spec, raw_specs(outputs), classes, task=INSTANCE, settings=settings)
        found = replace(found, files={"anchors.npy": sha256_of(folder / "anchors.npy")})
        write_case(folder, found, {**outputs, "size": np.array(size), **result_arrays(result)})

    corners = rng.uniform(-0.1, 1.1, (30, 4)).astype(np.float32)
    rows = np.concatenate([rng.integers(-1, 4, (30, 1)), np.sort(rng.random((30, 1)))[::-1], corners], axis=1)
    outputs = {
        "rows": rows.astype(np.float32),
        "mask": np.tanh(rng.normal(0, 1, (30, 8))).astype(np.float32),
        "proto": np.maximum(smooth(rng, (8, 20, 20)), 0)[None],
    }
    specs = (
        OutputSpec("rows", "detections", "float32", (-1, 6)),
        OutputSpec("mask", "coefficients", "float32", (-1, 8)),
        OutputSpec("proto", "prototypes", "float32", (1, 8, 20, 20)),
    )
    options = replace(default, max_detections=12)
    result = finish(nms_detections(outputs["rows"], outputs["mask"], options), outputs["proto"][0], (60, 80), options)
    found = manifest("suppressed", spec, specs, 4, task=INSTANCE, settings=instance_settings(options))
    write_case(root / "suppressed", found, {**outputs, "size": np.array((60, 80)), **result_arrays(result)})


def fault_cases(root: Path) -> None:
    """Answers that must be refused; `words` is what the message must contain, empty for a sound answer."""
    sound = {graph: Fault(graph, "mask", lambda array: None, "") for graph in ("raw", "suppressed")}
    for name, fault in {**sound, **FAULTS}.items():
        outputs, anchors = damaged(fault)
        folder = root / name
        folder.mkdir(parents=True)
        np.save(folder / "anchors.npy", anchors)
        kinds = RAW | {"rows": "detections"}
        specs = tuple(OutputSpec(n, kinds[n], "float32", v.shape) for n, v in outputs.items())  # type: ignore[arg-type]
        settings = instance_settings(DetectionOptions(), "anchors.npy" if "loc" in outputs else None)
        found = manifest(name, ImageSpec("x", 64, 64), specs, CLASSES, task=INSTANCE, settings=settings)
        found = replace(found, files={"anchors.npy": sha256_of(folder / "anchors.npy")})
        write_case(folder, found, {**outputs, "words": np.frombuffer(fault.words.encode() + b"\n", np.uint8)})


def size_cases(root: Path) -> None:
    """Preprocessing from many sizes to many, sampled: `input.S.T` at the places `places.S.T` of the flat input."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(9)
    arrays: dict[str, np.ndarray] = {"targets": np.array(TARGET_SIZES)}
    for source, size in enumerate(SOURCE_SIZES):
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        arrays[f"image.{source}"] = image
        for target, (height, width) in enumerate(TARGET_SIZES):
            fed = Preprocessor(ImageSpec("x", height, width, mean=MEAN, std=STD))(image).ravel()
            places = rng.integers(0, fed.size, min(fed.size, 2000))
            arrays[f"places.{source}.{target}"] = places.astype(np.int32)
            arrays[f"input.{source}.{target}"] = fed[places]
    np.savez(root / "sizes.npz", **arrays)


def picture_cases(root: Path) -> None:
    """Encoded images; a line per file: its name, whether it is complete, its orientation as Pillow reads it."""
    write_pictures(root)
    lines = []
    for path in sorted(root.iterdir()):
        complete = path.name not in REFUSED or REFUSED[path.name] != "truncated"
        lines.append(f"{path.name} {int(complete)} {orientation(path.read_bytes()) if path.suffix != '.tif' else 1}\n")
    (root / "cases.txt").write_text("".join(lines), encoding="ascii")


def main(root: Path) -> None:
    """Write everything."""
    fault_cases(root / "faults")
    size_cases(root / "sizes")
    picture_cases(root / "pictures")
    preprocess_cases(root / "preprocess")
    semantic_cases(root / "semantic")
    smoothing_cases(root / "smoothing")
    instance_cases(root / "instance")
    artefacts(root / "artefacts")
    keyframe_cases(root / "keyframes")
    video_artefacts(root / "artefacts")
    tracking_cases(root / "tracking")
    tracked_artefact(root / "artefacts" / "tracked", root / "tracking" / "tracked.json")
    shutil.copytree(REFERENCE, root / "format1")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
