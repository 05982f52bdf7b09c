"""Fixtures of video networks with queries: tracks of kernels, masks of queries, and folders of two graphs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fixture_artefacts import nb_bytes, write_golden, write_graphs
from fixture_parts import picture, result_arrays, several_graphs, smooth
from fixture_video import Answer, item_of

from mobileseg.runtime.preprocess import Preprocessor
from mobileseg.runtime.specs import GraphSpec, ImageSpec, OutputSpec, TensorSpec
from mobileseg.tasks import VIDEO
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.association import KernelTracks, associate, permutation
from mobileseg.video.mobileinst.names import ANSWERS, FEATURES, INSTANCES, MAPS, MASK_FEATURES
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions
from mobileseg.video.mobileinst.postprocess import Answers, finish
from mobileseg.video.mobileinst.runtime import QueryObjects
from mobileseg.video.mobileinst.settings import QuerySettings
from mobileseg.video.names import KEY, NONKEY
from mobileseg.video.runtime import VideoPipeline

LENGTH, QUERIES, CLASSES, KERNEL, GRID, TOKENS = 10, 9, 3, 20, (5, 7), (2, 3)
"""Frames, queries, classes, length of a kernel, cells of the mask features and of the maps that queries look at."""

SIZE, INPUT = (50, 61), (40, 56)
"""Height and width of the frames and of the network's input, whose stride is 8."""

RULES: dict[str, tuple[KeyframeOptions, KernelOptions, QueryOptions]] = {
    "queries": (KeyframeOptions(every=3), KernelOptions(), QueryOptions(score_threshold=0.3)),
    "queries_all": (KeyframeOptions(every=1), KernelOptions(birth_score=0.5, momentum=0.5), QueryOptions()),
    "queries_sure": (KeyframeOptions(every=100), KernelOptions(rekey_below=0.97), QueryOptions(max_detections=5)),
    "queries_lost": (
        KeyframeOptions(every=100, lost_objects=0.1),
        KernelOptions(lost_keyframes=0),
        QueryOptions(rescore=False),
    ),
    "queries_twice": (
        KeyframeOptions(every=4, scene_cut=0.2),
        KernelOptions(class_penalty=0.0, similarity=0.9),
        QueryOptions(resize_twice=True, mask_threshold=0.6),
    ),
}
"""Folder -> its options."""


def kernel_cases(root: Path) -> None:
    """Objects of key frames and their ids, for several options; permutations of all queries."""
    rng = np.random.default_rng(31)
    root.mkdir(parents=True)
    arrays: dict[str, np.ndarray] = {}
    options = (
        KernelOptions(),
        KernelOptions(similarity=0.2, lost_keyframes=1, birth_score=0.6),
        KernelOptions(class_penalty=2.0, momentum=0.8, lost_keyframes=0),
        KernelOptions(similarity=-1.0, class_penalty=0.0),
    )
    for case, one in enumerate(options):
        arrays[f"options.{case}"] = np.array(
            [one.birth_score, one.similarity, one.class_penalty, one.lost_keyframes, one.momentum]
        )
        things = rng.normal(0, 1, (8, 6)).astype(np.float32)
        kinds = rng.integers(0, 3, 8)
        tracks = KernelTracks.none(6)
        for frame in range(12):
            chosen = rng.permutation(8)[: rng.integers(0, 9)]
            kernels = things[chosen] + rng.normal(0, 0.4, (len(chosen), 6)).astype(np.float32)
            if frame == 5 and len(chosen):
                kernels[0] = 0
            labels = np.where(rng.random(len(chosen)) < 0.2, 2 - kinds[chosen], kinds[chosen])
            scores = rng.random(len(chosen)).astype(np.float32)
            tracks, ids = associate(tracks, kernels, labels, scores, one)
            for name, value in (("kernels", kernels), ("labels", labels), ("scores", scores), ("ids", ids)):
                arrays[f"{name}.{case}.{frame}"] = value
    for case, (count, length) in enumerate(((1, 3), (6, 2), (40, 8), (100, 32))):
        previous, current = rng.normal(0, 1, (2, count, length)).astype(np.float32)
        arrays[f"previous.{case}"], arrays[f"current.{case}"] = previous, current
        arrays[f"order.{case}"] = permutation(previous, current)
    np.savez(root / "kernels.npz", **arrays)


def mask_cases(root: Path) -> None:
    """Kernels and mask features, and the objects that they make, by both ways of enlarging."""
    rng = np.random.default_rng(32)
    root.mkdir(parents=True)
    arrays: dict[str, np.ndarray] = {}
    cases = (
        ((24, 32), 8, (192, 256), (120, 200), QueryOptions()),
        ((24, 32), 8, (192, 256), (192, 256), QueryOptions(mask_threshold=0.8)),
        ((5, 7), 8, (40, 56), (333, 97), QueryOptions(mask_threshold=0.0)),
        ((1, 1), 16, (16, 16), (9, 4), QueryOptions()),
        ((5, 7), 8, (37, 53), (60, 61), QueryOptions()),  # the grid reaches further than the input
        ((12, 20), 16, (192, 320), (97, 131), QueryOptions(resize_twice=True)),
        ((12, 20), 16, (192, 320), (192, 320), QueryOptions(resize_twice=True, mask_threshold=0.7)),
    )
    for case, (grid, stride, given, size, options) in enumerate(cases):
        features = smooth(rng, (6, *grid))
        kernels = rng.normal(0, 1, (8, 6)).astype(np.float32)
        kernels[3] = 0  # half of everything
        features[0] = 1
        kernels[5] = [-60, 0, 0, 0, 0, 0]  # nothing
        kernels[6:, 0] = -4  # little
        answers = Answers(kernels, np.arange(8, dtype=np.float32)[:, None] / 8, np.zeros(8, np.float32))
        result, rows, sure = finish(answers, np.arange(8), features, stride, given, size, options)
        arrays |= {
            f"numbers.{case}": np.array([stride, *given, *size, options.mask_threshold, options.resize_twice]),
            f"features.{case}": features,
            f"kernels.{case}": kernels,
            f"rows.{case}": rows,
            f"sure.{case}": sure,
            **{f"{name}.{case}": value for name, value in result_arrays(result).items() if name != "rle"},
        }
    np.savez(root / "masks.npz", **arrays)


def frame_outputs(rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
    """What the two graphs give for every frame of a clip, all of them as for key frames.

    Objects move over the mask features; from the sixth frame on two have gone, and masks fade by and by.
    """
    things = rng.normal(0, 1, (QUERIES, KERNEL)).astype(np.float32)
    logits = rng.normal(-3, 1, (QUERIES, CLASSES)).astype(np.float32)
    logits[np.arange(5), rng.integers(0, CLASSES, 5)] = (4, 3, 2, 0.5, -0.4)
    base = smooth(rng, (KERNEL, GRID[0], GRID[1] + LENGTH))
    found = []
    for frame in range(LENGTH):
        order = rng.permutation(QUERIES)
        classes = logits.copy()
        if frame >= 5:
            classes[:2] = -6
        features = base[:, :, frame : frame + GRID[1]] * np.float32(1 - 0.07 * frame)
        found.append(
            {
                MASK_FEATURES: np.ascontiguousarray(features[None]),
                MAPS[0]: smooth(rng, (17, *TOKENS))[None],
                MAPS[1]: smooth(rng, (17, *TOKENS))[None],
                "kernels": (things + rng.normal(0, 0.1, things.shape).astype(np.float32))[order][None],
                "logits": (classes + rng.normal(0, 0.1, logits.shape).astype(np.float32))[order][None],
                "objectness": rng.normal(2, 0.2, (1, QUERIES, 1)).astype(np.float32),
            }
        )
    return found


def graphs_of(image: ImageSpec, outputs: Mapping[str, np.ndarray]) -> dict[str, GraphSpec]:
    def given(names: tuple[str, ...], kind: str = "") -> tuple[OutputSpec, ...]:
        return tuple(OutputSpec(name, kind or name, "float32", outputs[name].shape) for name in names)  # type: ignore[arg-type]

    maps = tuple(TensorSpec(name, "float32", outputs[name].shape) for name in MAPS)
    return {
        FEATURES: GraphSpec((image.tensor(),), (*given((MASK_FEATURES,)), *given(MAPS, "features"))),
        INSTANCES: GraphSpec(maps, given(ANSWERS)),
    }


def query_artefact(
    folder: Path, rule: KeyframeOptions, kernels: KernelOptions, queries: QueryOptions, *, track: bool
) -> None:
    """A folder whose golden.npz has a clip, and its latter half as a stream of its own; `ids` are what a stream with
    tracking gives."""
    rng = np.random.default_rng(33)
    spec = ImageSpec("x", *INPUT)
    folder.mkdir(parents=True)
    view = picture(rng, SIZE[0], SIZE[1] + LENGTH)
    clip = frame_outputs(rng)
    settings = QuerySettings(queries, 8, kernels, rule)
    graphs = graphs_of(spec, clip[0])
    found = several_graphs(
        folder.name,
        spec,
        graphs,
        {KEY: (FEATURES, INSTANCES), NONKEY: (FEATURES,)},
        CLASSES,
        task=VIDEO,
        settings=settings.to_dict(),
    )
    answers: dict[str, dict[int, Answer]] = {FEATURES: {}, INSTANCES: {}}
    items = []
    for sequence, frames in enumerate((range(LENGTH), range(LENGTH // 2, LENGTH))):
        pipeline = VideoPipeline(found, rule, QueryObjects(found, settings)).for_stream({"track": track})
        memory: dict[str, Any] = {}
        for frame in frames:
            image = np.ascontiguousarray(view[:, frame : frame + SIZE[1]])
            if frame >= 7:
                image = image // 4
            fed, name = Preprocessor(spec)(image), pipeline.next(memory, image).pipeline
            made = {key: clip[frame][key] for key in (MASK_FEATURES, *MAPS)}
            said = {key: clip[frame][key] for key in ANSWERS}
            answers[FEATURES][frame] = {"x": fed}, made
            answers[INSTANCES][frame] = {key: made[key] for key in MAPS}, said
            outputs = {**made, **(said if name == KEY else {})}
            result = pipeline.finish(outputs, Preprocessor(spec).geometry(image), memory)
            items.append(item_of(image, fed, made, said if name == KEY else {}, name, sequence))
            items[-1] |= {f"result.{part}": value for part, value in result_arrays(result).items() if part != "rle"}
            if result.track_ids is not None:
                items[-1]["result.ids"] = result.track_ids
    write_golden(folder, spec, items)
    write_graphs(folder, found, {name: nb_bytes(list(known.values())) for name, known in answers.items()})


def query_artefacts(root: Path) -> None:
    """A folder for every set of options, without ids and with them."""
    for name, (rule, kernels, queries) in RULES.items():
        for track in (False, True):
            query_artefact(root / f"{name}{'_tracked' if track else ''}", rule, kernels, queries, track=track)
