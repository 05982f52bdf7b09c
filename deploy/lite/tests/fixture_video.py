"""Fixtures of video networks: the rule of key frames, and folders of four graphs whose frames follow each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fixture_artefacts import nb_bytes, write_golden, write_graphs
from fixture_parts import RAW, picture, raw_outputs, result_arrays, several_graphs, smooth

from mobileseg.files import sha256_of
from mobileseg.instance.anchors import make_anchors
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.runtime import InstancePipeline
from mobileseg.instance.settings import DetectionSpec
from mobileseg.runtime.preprocess import Preprocessor
from mobileseg.runtime.specs import GraphSpec, ImageSpec, OutputSpec, TensorSpec
from mobileseg.tasks import VIDEO
from mobileseg.video.export import thinned
from mobileseg.video.keyframes import KeyframeOptions, is_key, lost_share, thumbnail, thumbnail_difference
from mobileseg.video.names import DEEP, FLOW, HEADS, KEY, NONKEY, STEM
from mobileseg.video.runtime import VideoPipeline
from mobileseg.video.settings import VideoSettings

Answer = tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]
"""Inputs and outputs of a graph for a frame."""

RULES = {
    "video": KeyframeOptions(every=3),
    "video_all": KeyframeOptions(every=1),
    "video_cut": KeyframeOptions(every=100, scene_cut=0.12),
    "video_lost": KeyframeOptions(every=100, lost_objects=0.5),
    "video_each": KeyframeOptions(every=4, scene_cut=0.12, lost_objects=0.3),
    "video_delay": KeyframeOptions(every=3, delay=2),
    "video_late": KeyframeOptions(every=3, scene_cut=0.12, delay=1),
}
"""Folder -> when its frames are key frames."""

LENGTH, CUT, LEAVING, EMPTY = 10, 6, 3, 8
"""Frames of a clip; another scene begins at CUT, most objects are elsewhere from LEAVING on, and EMPTY has none."""

SIZE = 40, 56
"""Height and width of the frames."""


def keyframe_cases(root: Path) -> None:
    """Small pictures, their differences, lost objects, and decisions, in one file."""
    rng = np.random.default_rng(21)
    root.mkdir(parents=True)
    arrays: dict[str, np.ndarray] = {}
    sizes = ((1, 1), (7, 5), (12, 16), (95, 127), (97, 131), (200, 300))
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    images += [np.zeros((20, 30, 3), np.uint8), np.full((20, 30, 3), 255, np.uint8)]
    small = [thumbnail(image) for image in images]
    for index, (image, one) in enumerate(zip(images, small, strict=True)):
        arrays[f"image.{index}"], arrays[f"picture.{index}"] = image, one
    arrays["differences"] = np.array([[thumbnail_difference(a, b) for b in small] for a in small])

    lost = []
    for case in range(60):
        counts = rng.integers(0, 6, 2) if case else np.zeros(2, np.int64)
        scale = 8 if case % 2 else 1000  # of a few pixels: an IoU of exactly one half is not rare
        corners = [np.sort(rng.integers(0, scale, (count, 2, 2)), axis=1).reshape(count, 4) for count in counts]
        boxes = [one.astype(np.float32) / (1 if case % 2 else 7) for one in corners]
        if case % 3 == 1:
            boxes[1] = np.concatenate([boxes[1], boxes[0]])
        classes = [rng.integers(0, 2, len(one)) for one in boxes]
        for name, box, kind in zip(("key", "later"), boxes, classes, strict=True):
            arrays[f"{name}.boxes.{case}"], arrays[f"{name}.classes.{case}"] = box, kind
        lost.append(lost_share(boxes[0], classes[0], boxes[1], classes[1]))
    arrays["lost"] = np.array(lost)

    rows = []
    shares = (None, 0.12, 0.5, 1.0)
    for age in (None, 1, 2, 4, 5, 6):
        for every in (1, 2, 5):
            for scene_cut in shares:
                for lost_objects in shares:
                    rule = KeyframeOptions(every, scene_cut, lost_objects)
                    for seen in (0.0, 0.12, 0.5, 1.0):
                        for gone in (0.0, 0.25, 0.5):
                            known = (age or 0, every, scene_cut or 0, lost_objects or 0, seen, gone)
                            rows.append((*known, is_key(age, rule, seen, gone)))
    arrays["decisions"] = np.array(rows, np.float64)
    np.savez(root / "keyframes.npz", **arrays)


@dataclass(frozen=True)
class Scene:
    """What graphs answer for a clip.

    Attributes:
        images: uint8 [H, W, 3].
        outputs: of the heads, for every frame as a key frame and as another one.
    """

    images: list[np.ndarray]
    outputs: list[dict[str, dict[str, np.ndarray]]]


def scene(rng: np.random.Generator, anchors: int) -> Scene:
    """A clip with a cut, whose objects leave."""
    views = [picture(rng, SIZE[0], SIZE[1] + LENGTH) for _ in range(2)]
    views[1] = 255 - views[0][:, ::-1] // 2
    first, later = (raw_outputs(rng, anchors, 3, 4, (12, 12), 5) for _ in range(2))
    images, outputs = [], []
    for frame in range(LENGTH):
        images.append(np.ascontiguousarray(views[frame >= CUT][:, frame : frame + SIZE[1]]))
        made = {}
        for pipeline in (KEY, NONKEY):
            base = later if frame >= LEAVING else first
            moved = {name: value.copy() for name, value in base.items()}
            moved["loc"] += rng.normal(0, 0.05, moved["loc"].shape).astype(np.float32)
            if frame == EMPTY:
                moved["conf"] = np.zeros_like(moved["conf"]) + np.float32([1, 0, 0, 0])
            made[pipeline] = moved
        outputs.append(made)
    return Scene(images, outputs)


def tensor(name: str, shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(name, "float32", (1, *shape))


SHAPES = {
    "feature": (3, 10, 10),
    "reduced": (17, 13, 14),  # thinned in channels, rows and columns
    "level3": (4, 12, 12),
    "level4": (18, 6, 6),
}


def graphs_of(image: ImageSpec, heads: tuple[OutputSpec, ...]) -> dict[str, GraphSpec]:
    """The four graphs, with fewer tensors between them than real ones."""

    def given(*names: str) -> tuple[OutputSpec, ...]:
        return tuple(OutputSpec(name, "features", "float32", (1, *SHAPES[name])) for name in names)

    kept = tensor("key_reduced", SHAPES["reduced"]), tensor("key_level4", SHAPES["level4"])
    levels = tensor("level3", SHAPES["level3"]), tensor("level4", SHAPES["level4"])
    return {
        STEM: GraphSpec((image.tensor(),), given("feature", "reduced")),
        DEEP: GraphSpec((tensor("feature", SHAPES["feature"]),), given("level3", "level4")),
        FLOW: GraphSpec((tensor("reduced", SHAPES["reduced"]), *kept), given("level3", "level4")),
        HEADS: GraphSpec(levels, heads),
    }


def video_artefact(folder: Path, rule: KeyframeOptions) -> None:
    """A folder whose golden.npz has a clip, and its latter half as a stream of its own.

    The stand-in knows the answers of the frames as Python decides on them; another decision has no answer of its own,
    and gets one of another frame.
    """
    rng = np.random.default_rng(22)
    spec = ImageSpec("x", 24, 24)
    anchors = make_anchors(((6, 6), (3, 3)), (24, 24), ((6,), (12,)), (1.0, 0.5, 2.0), square=True)
    folder.mkdir(parents=True)
    np.save(folder / "anchors.npy", anchors)
    clip = scene(rng, len(anchors))
    heads = tuple(
        OutputSpec(name, RAW[name], "float32", value.shape)  # type: ignore[arg-type]
        for name, value in clip.outputs[0][KEY].items()
    )
    options = DetectionOptions(score_threshold=0.1, max_detections=30)
    settings = VideoSettings(DetectionSpec(anchors="anchors.npy", **vars(options)), keyframes=rule)
    graphs = graphs_of(spec, heads)
    found = several_graphs(
        folder.name,
        spec,
        graphs,
        {KEY: (STEM, DEEP, HEADS), NONKEY: (STEM, FLOW, HEADS)},
        3,
        task=VIDEO,
        settings=settings.to_dict(),
        state={KEY: {"key_reduced": "reduced", "key_level4": "level4"}},
        files={"anchors.npy": sha256_of(folder / "anchors.npy")},
    )
    # By frame, and where a frame builds on a key frame, by that one too.
    answers: dict[str, dict[tuple[int, int], Answer]] = {name: {} for name in graphs}
    answers[FLOW][0, 0] = flow_answer(0, 0)  # never asked for; but a graph without answers cannot be loaded
    items = []
    for sequence, frames in enumerate((range(LENGTH), range(LENGTH // 2, LENGTH))):
        pipeline = VideoPipeline(found, rule, InstancePipeline(folder, found, heads, settings))
        memory: dict[str, Any] = {}
        key = -1  # the key frame in use
        coming: dict[int, int] = {}  # frame from which on -> key frame that is in use
        for frame in frames:
            image = clip.images[frame]
            fed, plan = Preprocessor(spec)(image), pipeline.next(memory, image)
            name = plan.pipeline
            if name == KEY:
                key, coming = frame, {}
            key = coming.pop(frame, key)
            stem, levels = features(frame, frame, "feature", "reduced"), features(frame, key, "level3", "level4")
            answers[STEM][frame, frame] = {"x": fed}, stem
            if KEY in (name, plan.ahead):
                own = features(frame, frame, "level3", "level4")
                answers[DEEP][frame, frame] = {"feature": stem["feature"]}, own
            if plan.ahead == KEY:
                coming = {frame + plan.delay: frame}
            if name == NONKEY:
                answers[FLOW][frame, key] = flow_answer(frame, key)
            outputs = clip.outputs[frame][name]
            answers[HEADS][frame, key] = levels, outputs
            result = pipeline.finish(outputs, Preprocessor(spec).geometry(image), memory)
            items.append(item_of(image, fed, {**stem, **levels}, outputs, name, sequence))
            items[-1] |= {f"result.{part}": value for part, value in result_arrays(result).items() if part != "rle"}
    write_golden(folder, spec, items)
    write_graphs(folder, found, {name: nb_bytes(list(known.values())) for name, known in answers.items()})


def flow_answer(frame: int, key: int) -> Answer:
    """What the flow graph takes and gives for a frame that builds on the key frame ``key``."""
    kept = {f"key_{name}": value for name, value in features(key, key, "reduced", "level4").items()}
    return features(frame, frame, "reduced") | kept, features(frame, key, "level3", "level4")


def features(frame: int, key: int, *names: str) -> dict[str, np.ndarray]:
    """Tensors between graphs, of a frame that builds on the key frame ``key``; its own when it is one."""
    return {name: smooth(np.random.default_rng((frame, key, SHAPES[name][0])), SHAPES[name])[None] for name in names}


def item_of(
    image: np.ndarray,
    fed: np.ndarray,
    made: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    pipeline: str,
    sequence: int,
) -> dict[str, np.ndarray]:
    """Arrays of a frame in golden.npz."""
    stored = {name: thinned(value) for name, value in made.items()}
    return {
        "stride": np.array(1),
        "proto_stride": np.array(1),
        "image": image,
        "input": fed,
        "pipeline": np.array(pipeline),
        "sequence": np.array(sequence),
        **{f"output.{name}": value for name, value in (stored | dict(outputs)).items()},
        **{f"scale.{name}": np.array(value.std()) for name, value in ({**made, **outputs}).items()},
    }


def video_artefacts(root: Path) -> None:
    """A folder for every rule."""
    for name, rule in RULES.items():
        video_artefact(root / name, rule)
