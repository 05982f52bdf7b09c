"""Whole artefact folders for the C++ tests, with golden.npz and .nb files for the stand-in runtime of ``standin/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from fixture_parts import (
    instance_settings,
    manifest,
    picture,
    raw_outputs,
    raw_specs,
    result_arrays,
    several_graphs,
    smooth,
)

from mobileseg.export.tolerance import LIMIT
from mobileseg.files import sha256_of
from mobileseg.instance.anchors import make_anchors
from mobileseg.instance.postprocess import DetectionOptions, instances_from_outputs
from mobileseg.names import MAIN
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.preprocess import Preprocessor
from mobileseg.runtime.specs import GraphFiles, GraphSpec, ImageSpec, OutputSpec, ResizeSpec, TensorSpec
from mobileseg.semantic.postprocess import labels_from_labels, labels_from_logits, resize_scores, softmax
from mobileseg.tasks import INSTANCE

LITE_VERSION = "v2.13-stand-in"


def nb_bytes(
    items: list[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]],
    *,
    version: str = LITE_VERSION,
    misbehave: str = "",
) -> bytes:
    """A .nb for the stand-in runtime: the real layout, with inputs and answers where the graph is, and no weights."""
    parts = []
    if misbehave:
        parts.append(f"misbehave {misbehave}\n".encode())
    for fed, outputs in items:
        parts.append(f"item {len(fed)} {len(outputs)}\n".encode())
        for name, value in (*fed.items(), *outputs.items()):
            shape = " ".join(map(str, value.shape))
            parts.append(f"{name} {value.dtype} {value.ndim} {shape}\n".encode())
            parts.append(np.ascontiguousarray(value).tobytes())
    graph = b"".join(parts)
    head = (2).to_bytes(2, "little") + version.encode().ljust(16, b"\0")[:16] + len(graph).to_bytes(8, "little")
    no_weights = b"".join(value.to_bytes(size, "little") for value, size in ((0, 2), (0, 2), (6, 2), (0, 2), (0, 4)))
    return head + graph + no_weights


def write_golden(folder: Path, spec: ImageSpec, items: list[dict[str, np.ndarray]]) -> None:
    """golden.npz; arrays 'whole.NAME' are answers of the stand-in, which are not stored."""
    folder.mkdir(parents=True, exist_ok=True)
    golden: dict[str, np.ndarray] = {"normalize": np.array([spec.mean, spec.std], np.float32)}
    for index, item in enumerate(items):
        for key, value in item.items():
            head, _, rest = key.partition(".")
            if head != "whole":
                golden[f"{head}.{index}.{rest}" if rest else f"{head}.{index}"] = value
    np.savez_compressed(folder / "golden.npz", **golden)


def write_artefact(folder: Path, found: Manifest, items: list[dict[str, np.ndarray]], **nb: str) -> None:
    """A folder of one graph, with golden.npz and a .nb for both processors."""
    write_golden(folder, found.image, items)
    fed = Preprocessor(found.image)
    names = [spec.name for spec in found.outputs_of()]
    answers = [({"x": fed(item["image"])}, {name: item[f"whole.{name}"] for name in names}) for item in items]
    write_graphs(folder, found, {MAIN: nb_bytes(answers, **nb)})  # type: ignore[arg-type]


def write_graphs(folder: Path, found: Manifest, contents: Mapping[str, bytes]) -> None:
    """The .nb of every graph, for both processors, and the manifest."""
    graphs = {}
    for name, content in contents.items():
        stem = "model" if name == MAIN else name
        for processor in ("x86", "arm"):
            (folder / f"{stem}.{processor}.nb").write_bytes(content)
        engines = {f"lite_{processor}": GraphFiles(model=f"{stem}.{processor}.nb") for processor in ("x86", "arm")}
        graphs[name] = replace(found.graphs[name], files=engines)
    files = {path.name: sha256_of(path) for path in folder.iterdir() if path.suffix in {".npz", ".nb", ".npy"}}
    replace(found, graphs=graphs, files=files, golden="golden.npz").write(folder)


def semantic_items(spec: ImageSpec, sizes: list[tuple[int, int]], seed: int) -> list[dict[str, np.ndarray]]:
    """Items of a graph that ends in labels."""
    rng = np.random.default_rng(seed)
    items = []
    for size in sizes:
        image = picture(rng, *size)
        fed = Preprocessor(spec)(image)
        logits = smooth(rng, (5, *fed.shape[2:]))
        labels = labels_from_logits(logits, fed.shape[2:]).astype(np.int32)
        top = np.sort(logits, axis=0)
        place = Preprocessor(spec).geometry(image)
        final = labels_from_labels(labels[: place.content[0], : place.content[1]], size)
        items.append(
            {
                "stride": np.array(2),
                "image": image,
                "input": fed[:, :, ::2, ::2],
                "close": top[-1] - top[-2] < 1e-3,
                "labels": final,
                "output.labels": labels[None],
                "whole.labels": labels[None],
            }
        )
    return items


def artefacts(root: Path) -> None:
    """Whole folders, well-behaved and not."""
    spec = ImageSpec("x", 32, 48)
    labels = OutputSpec("labels", "labels", "int32", (1, 32, 48), "labels-nearest")
    found = manifest("labels", spec, (labels,), 5)
    items = semantic_items(spec, [(40, 60), (32, 48), (90, 31)], 4)
    write_artefact(root / "labels", found, items)
    write_artefact(root / "other_version", found, items, version="v2.10")
    for fault in (
        "type",
        "shape",
        "no_output",
        "other_output",
        "other_input",
        "values",
        "null",
        "throw_load",
        "throw_run",
        "crash",
        "abort",
        "no_version",
    ):
        write_artefact(root / f"fault_{fault}", found, items, misbehave=fault)

    for name, least in (("int8", 0.99), ("int8_bad", 0.9999)):  # one of 1536 labels is another
        more = manifest("labels", spec, (labels,), 6, least_equal=least)  # the other one is the sixth class
        write_artefact(root / name, more, items, misbehave="values")

    decoder_artefacts(root, spec)
    for name, off in (("softmax", 0.9), ("softmax_bad", 30.0)):  # parts of what the logits may differ by
        softmax_artefact(root / name, spec, off)

    dynamic = ImageSpec("x", 32, 32, dynamic=True, multiple=16, resize=ResizeSpec("none"))
    open_labels = replace(labels, shape=(1, -1, -1))
    sizes = [(32, 32), (40, 60), (16, 100), (32, 32), (64, 20), (90, 31)]
    write_artefact(root / "dynamic", manifest("dynamic", dynamic, (open_labels,), 5), semantic_items(dynamic, sizes, 5))
    instance_artefact(root / "instance")
    counter_artefact(root / "counter")


def decoder_artefacts(root: Path, spec: ImageSpec) -> None:
    """Folders whose graph ends at the decoder: labels, probabilities, and a golden.npz with other labels."""
    rng = np.random.default_rng(8)
    whole = (spec.height, spec.width)
    for name, resize in (
        ("decoder", "labels-nearest"),
        ("decoder_mixed", "probabilities-bilinear"),
        ("decoder_bad", "labels-nearest"),
    ):
        items = []
        for size in ((40, 60), whole):
            image = picture(rng, *size)
            coarse = smooth(rng, (5, 4, 6))
            logits = resize_scores(coarse, whole)
            argmax = logits.argmax(axis=0).astype(np.uint8)
            labels = labels_from_labels(argmax, size)
            if resize != "labels-nearest":
                labels = labels_from_logits(softmax(logits), size)
            if name == "decoder_bad":
                labels[3, 7] = (labels[3, 7] + 1) % 5
            top = np.sort(logits, axis=0)
            items.append(
                {
                    "stride": np.array(3),
                    "image": image,
                    "input": Preprocessor(spec)(image)[:, :, ::3, ::3],
                    "argmax": argmax,
                    "close": top[-1] - top[-2] < 1e-3,
                    "labels": labels,
                    "output.logits": coarse[None],
                    "scale.logits": np.array(logits.std()),
                    "whole.logits": coarse[None],
                }
            )
        output = OutputSpec("logits", "logits", "float32", (1, 5, 4, 6), resize, whole)  # type: ignore[arg-type]
        write_artefact(root / name, manifest(name, spec, (output,), 5), items)


def softmax_artefact(folder: Path, spec: ImageSpec, off: float) -> None:
    """A folder whose graph gives steep probabilities; its answers come from logits that differ a little."""
    rng = np.random.default_rng(7)
    items = []
    for size in ((40, 60), (32, 48)):
        image = picture(rng, *size)
        logits = 10 * smooth(rng, (5, 32, 48))
        answered = logits + (off * LIMIT * logits.std() * rng.uniform(-1, 1, logits.shape)).astype(np.float32)
        expected, answer = softmax(logits)[None], softmax(answered)[None]
        items.append(
            {
                "stride": np.array(1),
                "image": image,
                "input": Preprocessor(spec)(image),
                "labels": labels_from_logits(expected[0], size),
                "output.probabilities": expected,
                "scale.probabilities": np.array(expected.std()),
                "scale.logits": np.array(logits.std()),
                "whole.probabilities": answer,
            }
        )
    output = OutputSpec("probabilities", "probabilities", "float32", (1, 5, 32, 48), "scores-bilinear")
    write_artefact(folder, manifest(folder.name, spec, (output,), 5), items)


def instance_artefact(folder: Path) -> None:
    """A folder whose graph detects; its golden.npz keeps some anchors, as export does."""
    rng = np.random.default_rng(6)
    spec = ImageSpec("x", 138, 138)
    anchors = make_anchors(((18, 18), (9, 9)), (138, 138), ((24,), (48,)), (1.0, 0.5, 2.0), square=True)
    options = DetectionOptions()
    folder.mkdir(parents=True)
    np.save(folder / "anchors.npy", anchors)
    items = []
    for size in ((120, 160), (75, 50)):
        image = picture(rng, *size)
        outputs = raw_outputs(rng, len(anchors), 4, 8, (35, 35), 12)
        result = instances_from_outputs(outputs, anchors, size, options)
        best = outputs["conf"][0, :, 1:].max(axis=1)
        rows = np.argsort(-best, kind="stable")[: int((best > options.score_threshold).sum()) + 20].astype(np.int32)
        arrays = {f"result.{k}": v for k, v in result_arrays(result).items() if k != "rle"}
        items.append(
            {
                "stride": np.array(3),
                "proto_stride": np.array(1),
                "complete": np.array(True),
                "rows": rows,
                "image": image,
                "input": Preprocessor(spec)(image)[:, :, ::3, ::3],
                **{f"output.{name}": value[:, rows] for name, value in outputs.items() if name != "proto"},
                "output.proto": outputs["proto"],
                **{f"scale.{name}": np.array(value.std()) for name, value in outputs.items()},
                **{f"whole.{name}": value for name, value in outputs.items()},
                **arrays,
            }
        )
    settings = instance_settings(options, "anchors.npy")
    files = {"anchors.npy": sha256_of(folder / "anchors.npy")}
    found = manifest("instance", spec, raw_specs(outputs), 4, task=INSTANCE, settings=settings, files=files)
    write_artefact(folder, found, items)
    for name, shift in (("coarse", 0.1), ("coarse_bad", 8.0)):  # parts of a tenth of the anchor
        answers = [{**item, "whole.loc": item["whole.loc"] + np.float32(shift)} for item in items]
        other = folder.with_name(f"{folder.name}_{name}")
        other.mkdir()
        np.save(other / "anchors.npy", anchors)
        write_artefact(other, replace(found, least_equal=0.9), answers)


def counter_artefact(folder: Path) -> None:
    """Two pipelines of two graphs each: 'start' or 'follow' makes features and counts, 'head' gives labels.

    The features, and so the labels, depend on the image and on the number of frames before it. golden.npz has two
    streams whose frames take turns, and an image that is a stream by itself.
    """
    rng = np.random.default_rng(11)
    spec = ImageSpec("x", 16, 24)
    count, features = TensorSpec("count", "float32", (1,)), TensorSpec("features", "float32", (1, 2, 16, 24))

    def output(tensor: TensorSpec, name: str | None = None, kind: str = "features") -> OutputSpec:
        return OutputSpec(name or tensor.name, kind, tensor.dtype, tensor.shape)

    labels = OutputSpec("labels", "labels", "int32", (1, 16, 24), "labels-nearest")
    graphs = {
        "start": GraphSpec((spec.tensor(),), (output(features), output(count))),
        "follow": GraphSpec((spec.tensor(), count), (output(features), output(count, "next_count"))),
        "head": GraphSpec((features,), (labels,)),
    }
    images = [picture(rng, 20, 30) for _ in range(2)]
    answers: dict[str, list[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]] = {name: [] for name in graphs}
    frames: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    for number, image in enumerate(images):
        fed = Preprocessor(spec)(image)
        for before in range(4):
            made = {
                "features": smooth(rng, (2, 16, 24))[None],
                "labels": rng.integers(0, 3, (1, 16, 24)).astype(np.int32),
                "next_count": np.array([before + 1], np.float32),
            }
            answers["head"].append(({"features": made["features"]}, {"labels": made["labels"]}))
            if before:
                taken = {"x": fed, "count": np.array([before], np.float32)}
                answers["follow"].append((taken, {name: made[name] for name in ("features", "next_count")}))
            else:
                made["count"] = made.pop("next_count")
                answers["start"].append(({"x": fed}, {name: made[name] for name in ("features", "count")}))
            frames[number, before] = {
                "stride": np.array(1),
                "image": image,
                "input": fed,
                "pipeline": np.array("nonkey" if before else "key"),
                "close": np.zeros((16, 24), bool),
                "labels": labels_from_labels(made["labels"][0], (20, 30)),
                **{f"output.{name}": value for name, value in made.items()},
            }
    # Frame k of stream 0 shows image 0, of stream 1 image 1; the last one belongs to none.
    order = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2), (0, 3)]
    items = [{**frames[key], "sequence": np.array(key[0])} for key in order] + [frames[1, 0]]
    write_golden(folder, spec, items)
    pipelines = {"key": ("start", "head"), "nonkey": ("follow", "head")}
    state = {"key": {"count": "count"}, "nonkey": {"count": "next_count"}}
    found = several_graphs("counter", spec, graphs, pipelines, 3, task="counter", state=state)
    write_graphs(folder, found, {name: nb_bytes(known) for name, known in answers.items()})  # type: ignore[arg-type]
