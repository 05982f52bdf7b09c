"""Video networks: streams of every engine, and damage to any of the four graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import paddle
import pytest
from onnx import numpy_helper

from mobileseg import Segmenter
from mobileseg.errors import ExportError, RuntimeEngineError
from mobileseg.export.exporter import ExportResult, export_network
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.options import TARGETS, ExportOptions
from mobileseg.export.verify import replay
from mobileseg.files import sha256_of
from mobileseg.runtime.engines.registry import unavailable
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.streams import StreamState
from mobileseg.runtime.task import StepPlan
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.recording import thinned, window
from tests.export.detectors import detector, subject
from tests.manifests import rewritten

SIZE = (96, 128)
ENGINES = ("onnxruntime", "paddle", "lite", "ncnn")


def moving(count: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """A window of the size that wanders over a drawn scene, two columns and one row a frame."""
    scene = synthetic_images((size[0] + count, size[1] + 2 * count), 1)[0]
    return [scene[i : i + size[0], 2 * i : 2 * i + size[1]] for i in range(count)]


@pytest.fixture(scope="module")
def network() -> paddle.nn.Layer:
    return detector(network="MobileYolactEdge", size=SIZE)


@pytest.fixture(scope="module")
def exported(network: paddle.nn.Layer, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    folder = tmp_path_factory.mktemp("video") / "artefact"
    described = subject(settings={"keyframes": {"every": 4, "scene_cut": 0.2}})
    return export_network(network, folder, ExportOptions(*SIZE), described, synthetic_images((120, 150), 5))


def test_every_engine_agrees(exported: ExportResult) -> None:
    assert [row.target for row in exported.rows] == list(TARGETS)
    assert {row.status for row in exported.rows if row.target != "lite_arm"} == {"ok"}
    manifest = Manifest.read(exported.folder)
    assert manifest.pipelines == {"key": ("stem", "deep", "heads"), "nonkey": ("stem", "flow", "heads")}
    assert manifest.settings is not None
    assert manifest.settings["keyframes"] == {"every": 4, "scene_cut": 0.2}


def test_reference_holds_streams_and_the_tensors_between_graphs(exported: ExportResult) -> None:
    with np.load(exported.folder / "golden.npz") as archive:
        assert [str(archive[f"pipeline.{index}"]) for index in range(6)] == ["key", "nonkey", "nonkey"] * 2
        assert {int(archive[f"sequence.{index}"]) for index in range(6)} == {0, 1}
        assert archive["output.1.level4"].size <= 16 * 12 * 12
        assert not np.array_equal(archive["image.0"], archive["image.1"])


def test_no_weight_is_in_two_graphs(exported: ExportResult, network: paddle.nn.Layer) -> None:
    counted = 0
    for name in ("stem", "deep", "flow", "heads"):
        model = onnx.load(exported.folder / f"{name}.onnx")
        counted += sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer if len(tensor.dims) == 4)
    # Norms are folded; training alone has the finest level of the flow network and the semantic head.
    idle = "semantic_seg_conv"
    kernels = [
        int(parameter.size)
        for name, parameter in network.named_parameters()
        if len(parameter.shape) == 4 and not name.startswith(idle)
    ]
    coordinates = 2 * (6 * 8 + 3 * 4)  # of the pixels of the two warped maps
    assert counted == sum(kernels) + coordinates


@pytest.mark.parametrize("engine", ENGINES)
def test_errors_do_not_grow_over_fifty_frames(exported: ExportResult, network: paddle.nn.Layer, engine: str) -> None:
    """Levels of frame t from a key frame of long ago, against the network in Paddle."""
    if unavailable(engine):
        pytest.skip(unavailable(engine))
    segmenter = Segmenter(exported.folder, engine=engine)
    stream = segmenter.stream()
    segmenter.pipeline._rule = KeyframeOptions(every=1000)
    kept, errors = None, []
    with paddle.no_grad():
        for frame in moving(50):
            image, fed, times = segmenter.prepare(frame)
            stream.finish(image, fed, times)
            x = paddle.to_tensor(fed)
            if kept is None:
                _, kept = network.key_frame(x)
            level = network.non_key_frame(x, kept)[1].numpy() if len(errors) else kept.level4.numpy()
            outputs = segmenter.engine.run("stem", {"x": fed})
            tensors = {**stream._tensors.kept, **outputs}
            if errors:
                wanted = {spec.name: tensors[spec.name] for spec in segmenter.engine.inputs("flow")}
                found = segmenter.engine.run("flow", wanted)["level4"]
            else:
                found = stream._tensors.kept["key_level4"]
            errors.append(float(np.abs(found - level).max() / level.std()))
    assert stream.pipeline == "nonkey"
    assert max(errors) < 1e-3
    assert max(errors[25:]) < 3 * max(errors[:25]) + 1e-5


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_streams_of_all_engines_are_equal(exported: ExportResult, engine: str) -> None:
    if unavailable(engine):
        pytest.skip(unavailable(engine))
    first, second = (Segmenter(exported.folder, engine=name).stream() for name in ("onnxruntime", engine))
    for frame in moving(9):
        one, two = first.step(frame), second.step(frame)
        assert first.pipeline == second.pipeline
        assert len(one) == len(two)
        np.testing.assert_array_equal(one.classes, two.classes)
        np.testing.assert_allclose(one.boxes, two.boxes, atol=0.05)


def kinds(segmenter: Segmenter, frames: list[np.ndarray]) -> list[str]:
    stream = segmenter.stream()
    found = []
    for frame in frames:
        stream.step(frame)
        found.append(str(stream.pipeline))
    return found


@pytest.fixture(scope="module")
def segmenter(exported: ExportResult) -> Segmenter:
    return Segmenter(exported.folder, engine="onnxruntime")


def test_key_frames_by_count_and_by_cut(segmenter: Segmenter) -> None:
    still, black = moving(1)[0], np.zeros((*SIZE, 3), np.uint8)
    assert kinds(segmenter, [still] * 6) == ["key", "nonkey", "nonkey", "nonkey", "key", "nonkey"]
    assert kinds(segmenter, [still, still, black, black, black]) == ["key", "nonkey", "key", "nonkey", "nonkey"]


def test_a_still_image_is_a_key_frame(segmenter: Segmenter) -> None:
    frame = moving(1)[0]
    stream = segmenter.stream()
    found, expected = segmenter(frame), stream.step(frame)
    assert stream.pipeline == "key"
    np.testing.assert_array_equal(found.boxes, expected.boxes)


def test_frames_of_another_size(segmenter: Segmenter) -> None:
    stream = segmenter.stream()
    stream.step(moving(1)[0])
    with pytest.raises(RuntimeEngineError, match="those before it were 96x128"):
        stream.step(np.zeros((50, 60, 3), np.uint8))
    stream.reset()
    stream.step(np.zeros((50, 60, 3), np.uint8))
    assert stream.pipeline == "key"


def test_state_goes_on_elsewhere_and_belongs_to_one_artefact(segmenter: Segmenter) -> None:
    frames = moving(6)
    whole, first = segmenter.stream(), segmenter.stream()
    expected = [whole.step(frame) for frame in frames]
    for frame in frames[:3]:
        first.step(frame)
    state = first.state()
    second = segmenter.stream(state)
    for frame, wanted in zip(frames[3:], expected[3:], strict=True):
        np.testing.assert_array_equal(second.step(frame).boxes, wanted.boxes)
    foreign = StreamState("another", state.size, state.tensors, state.memory)
    with pytest.raises(RuntimeEngineError, match="another artefact"):
        segmenter.stream(foreign)


def by_hand(segmenter: Segmenter, frames: list[np.ndarray], sources: list[int]) -> list[np.ndarray]:
    """Scores of every frame whose key frame is ``sources[t]``."""
    engine, found, kept = segmenter.engine, [], {}
    for index, (frame, source) in enumerate(zip(frames, sources, strict=True)):
        _, fed, _ = segmenter.prepare(frame)
        known = {"x": fed, **engine.run("stem", {"x": fed})}
        deep = engine.run("deep", {name: known[name] for name in ("feature", "lateral")})
        kept[index] = {"key_reduced": known["reduced"], "key_level4": deep["level4"], "key_level5": deep["level5"]}
        known |= deep
        if source != index:
            known |= kept[source]
            known |= engine.run("flow", {spec.name: known[spec.name] for spec in engine.inputs("flow")})
        levels = {spec.name: known[spec.name] for spec in engine.inputs("heads")}
        found.append(engine.run("heads", levels)["conf"])
    return found


@pytest.mark.parametrize(
    ("rule", "sources"),
    [
        ({"every": 4}, [0, 0, 0, 0, 4, 4, 4, 4, 8, 8]),
        ({"every": 4, "delay": 1}, [0, 0, 0, 0, 0, 4, 4, 4, 4, 8]),
        ({"every": 4, "delay": 3}, [0, 0, 0, 0, 0, 0, 0, 4, 4, 4]),
        ({"every": 4, "delay": 2, "scene_cut": 0.2}, [0, 0, 0, 0, 0, 5, 5, 5, 5, 5]),
    ],
)
def test_key_frames_in_the_background(exported: ExportResult, rule: dict[str, Any], sources: list[int]) -> None:
    """A delayed key frame comes into use so many frames later, whenever it is ready; one after a cut at once."""
    segmenter = Segmenter(exported.folder, engine="onnxruntime")
    segmenter.pipeline._rule = KeyframeOptions(**rule)
    frames = moving(10)
    if "scene_cut" in rule:  # while a key frame is on its way
        frames[5:] = [255 - frame // 4 for frame in frames[5:]]
    stream, found = segmenter.stream(), []
    run = stream._tensors.step
    stream._tensors.step = lambda plan, fed: found.append(made := run(plan, fed)) or made
    for frame in frames:
        stream.step(frame)
    for index, (one, two) in enumerate(
        zip((made["conf"] for made in found), by_hand(segmenter, frames, sources), strict=True)
    ):
        np.testing.assert_array_equal(one, two, err_msg=f"frame {index}")


@pytest.mark.parametrize("delay", [0, 2])
def test_after_an_engine_failed_in_a_key_frame(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch, delay: int
) -> None:
    """The frame that would use what failed says so; the next ones are a key frame, or go on with the old one."""
    segmenter.pipeline._rule = KeyframeOptions(every=4, delay=delay)
    stream, frames, run = segmenter.stream(), moving(8), segmenter.engine.run

    def failing(graph: str, inputs: Any) -> Any:
        if graph == "deep":
            raise RuntimeEngineError("as the test asked")
        return run(graph, inputs)

    with monkeypatch.context() as patched:
        patched.setattr(segmenter.engine, "run", failing)
        with pytest.raises(RuntimeEngineError, match="as the test asked"):
            stream.step(frames[0])
    assert stream.step(frames[0]).pipeline == "key"
    for frame in frames[1:4]:
        assert stream.step(frame).pipeline == "nonkey"
    with monkeypatch.context() as patched:
        patched.setattr(segmenter.engine, "run", failing)
        for frame in frames[4 : 4 + delay]:
            stream.step(frame)
        with pytest.raises(RuntimeEngineError, match="as the test asked"):
            stream.step(frames[4 + delay])
    assert stream.step(frames[5 + delay]).pipeline == ("nonkey" if delay else "key")


def test_a_graph_that_is_fed_before_any_key_frame(segmenter: Segmenter) -> None:
    stream = segmenter.stream()
    _, fed, _ = segmenter.prepare(moving(1)[0])
    with pytest.raises(RuntimeEngineError, match="of an earlier frame, and there was none"):
        stream._tensors.step(StepPlan("nonkey"), fed)


@pytest.fixture
def folder(exported: ExportResult, tmp_path: Path) -> Path:
    """A copy of the manifest, the reference, the anchors and the ONNX graphs."""
    copy = tmp_path / "artefact"
    copy.mkdir()
    names = [
        "deploy.yaml",
        "golden.npz",
        "anchors.npy",
        *(f"{name}.onnx" for name in ("stem", "deep", "flow", "heads")),
    ]
    for name in names:
        (copy / name).write_bytes((exported.folder / name).read_bytes())
    manifest = Manifest.read(copy)
    graphs = {
        name: type(spec)(spec.inputs, spec.outputs, {"onnx": spec.files["onnx"]})
        for name, spec in manifest.graphs.items()
    }
    files = {name: value for name, value in manifest.files.items() if (copy / name).is_file()}
    rewritten(copy, manifest, graphs=graphs, files=files, verification=())
    return copy


def damage(folder: Path, graph: str, change: Any) -> None:
    """Change the kernels of a graph, and its hash with them: a file that only its answers give away."""
    path = folder / f"{graph}.onnx"
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 4:
            tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))
            break
    onnx.save(model, path)
    manifest = Manifest.read(folder)
    rewritten(folder, manifest, files=manifest.files | {path.name: sha256_of(path)})


def test_replay_of_what_was_exported(folder: Path) -> None:
    rows, problems = replay(folder, ["onnxruntime"])
    assert [row.status for row in rows] == ["ok"]
    assert not problems


@pytest.mark.parametrize(
    ("graph", "seen"), [("stem", "'feature'"), ("deep", "'level"), ("flow", "'level"), ("heads", "'loc'")]
)
def test_replay_names_a_tensor_of_the_damaged_graph(folder: Path, graph: str, seen: str) -> None:
    damage(folder, graph, lambda kernel: (kernel * 1.2).astype(kernel.dtype))
    _, problems = replay(folder, ["onnxruntime"])
    assert problems
    assert any(seen in problem for problem in problems), problems[:4]


def test_options_that_a_video_network_does_not_have(network: paddle.nn.Layer, tmp_path: Path) -> None:
    for options in (ExportOptions(*SIZE, nms_in_graph=True), ExportOptions(*SIZE, dynamic=True)):
        with pytest.raises(ExportError):
            export_network(network, tmp_path / "a", options, subject(), synthetic_images((120, 150), 5))


@pytest.mark.parametrize("change", [{"every": 0}, {"often": 1}])
def test_a_rule_that_cannot_be(folder: Path, change: dict[str, int]) -> None:
    manifest = Manifest.read(folder)
    rewritten(folder, manifest, settings={**(manifest.settings or {}), "keyframes": change})
    with pytest.raises(RuntimeEngineError, match=r"settings\.keyframes"):
        Manifest.read(folder)


def test_a_pipeline_that_is_missing(folder: Path) -> None:
    manifest = Manifest.read(folder)
    rewritten(folder, manifest, pipelines={"key": manifest.pipelines["key"]})
    with pytest.raises(RuntimeEngineError, match="pipelines has no 'nonkey'"):
        Manifest.read(folder)


def test_windows_move_and_keep_their_size() -> None:
    image = synthetic_images((100, 150), 1)[0]
    parts = [window(image, index) for index in range(3)]
    assert {part.shape for part in parts} == {(96, 144, 3)}
    np.testing.assert_array_equal(parts[0][2:, 3:], parts[1][:-2, :-3])
    tiny = [window(np.zeros((1, 2, 3), np.uint8), index) for index in range(3)]
    assert all(part.size for part in tiny)


def test_thinned() -> None:
    assert thinned(np.zeros((1, 256, 69, 35))).shape == (1, 16, 12, 6)
    assert thinned(np.zeros((1, 3, 5, 7))).shape == (1, 3, 5, 7)
