"""A video network of four graphs: calibrated, simulated and written graph by graph."""

import numpy as np
import onnx
import paddle
import pytest

from mobileseg.compress.fold import fold_norms
from mobileseg.compress.precision.artefact import write_int8
from mobileseg.compress.precision.prepare import calibrate, trace, wanted_layers
from mobileseg.compress.precision.simulate import simulated
from mobileseg.compress.precision.streams import read_streams, record_inputs, run_stream
from mobileseg.data.io import write_png
from mobileseg.data.pixel_format import PHOTOGRAPH
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.options import ExportOptions
from mobileseg.nn.components import component_paths
from mobileseg.runtime.manifest import Manifest
from mobileseg.video.recording import window
from tests.export.detectors import detector, subject

SIZE = (96, 128)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    network = detector(network="MobileYolactEdge", size=SIZE)
    fold_norms(network, SIZE)
    work = tmp_path_factory.mktemp("video")
    return trace(network, ExportOptions(height=SIZE[0], width=SIZE[1]), subject(), work)


@pytest.fixture(scope="module")
def streams(video):
    return [video.task.frames(image) for image in synthetic_images(SIZE, 4)]


@pytest.fixture(scope="module")
def ranges(video, streams):
    return calibrate(video, streams[:2], "avg")


class Frames:
    """Videos of four frames and of one."""

    pixels = PHOTOGRAPH

    def __init__(self, folder, images):
        for index, image in images.items():
            write_png(folder / f"{index}.png", image)
        self.items = [type("Item", (), {"image": folder / f"{index}.png"}) for index in range(5)]

    def sequences(self):
        return [range(4), range(4, 5)]


def test_streams_are_frames_of_a_video_or_made_of_an_image(video, tmp_path):
    images = dict(enumerate(synthetic_images((40, 60), 5)))
    dataset = Frames(tmp_path, images)
    first, late, alone = read_streams(dataset, [1, 2, 4], video.task)
    assert [np.array_equal(frame, images[index]) for frame, index in zip(first, (1, 2, 3), strict=True)] == [True] * 3
    for stream, index in ((late, 2), (alone, 4)):
        for place, frame in enumerate(stream):
            np.testing.assert_array_equal(frame, window(images[index], place))


def test_graphs_are_fed_with_what_the_frames_before_left(video, streams, tmp_path):
    files = record_inputs(video, streams[:2], tmp_path)
    assert {name: len(found) for name, found in files.items()} == {"stem": 6, "deep": 2, "flow": 4, "heads": 6}
    with np.load(files["stem"][3]) as key, np.load(files["flow"][3]) as last:
        with paddle.no_grad():
            _, kept = video.network.key_frame(paddle.to_tensor(key["x"]))
        assert set(last.files) == {"lateral", "reduced", "key_reduced", "key_level4", "key_level5"}
        for name, value in kept._asdict().items():
            np.testing.assert_allclose(last[f"key_{name}"], value.numpy(), rtol=1e-4, atol=1e-4)


def test_every_layer_has_the_ranges_of_its_own_graph(video, ranges):
    assert ranges.layers == video.layers
    assert set(ranges.graphs) == {"stem", "deep", "flow", "heads"}
    inside = component_paths(video.network)
    assert inside["lateral"] == ("fpn.lat_layers.2",)
    assert inside["fpn1"] == ("fpn.lat_layers.0", "fpn.lat_layers.1")
    assert set(wanted_layers(video, list(inside), [])) == set(video.layers)
    flow = wanted_layers(video, ["flow"], [])
    assert {name for name, graph in ranges.graphs.items() if set(flow) & set(graph.calls)} == {"stem", "flow"}


def test_a_use_of_a_layer_has_its_own_range_in_every_frame(video, ranges, streams):
    """A head that all levels share runs once per level and frame: the third frame reads the same ranges."""
    shared = next(layer for layer in ranges.layers if len(ranges.inputs_of(layer)) > 1)
    limits = {layer: ranges.inputs_of(layer) for layer in ranges.layers}
    seen = []
    with simulated(video.network, limits, {shared: "int8"}) as simulation:
        original = simulation._limit
        simulation._limit = lambda path, use, x: seen.append(original(path, use, x)) or seen[-1]
        for _ in run_stream(video, streams[0]):
            pass
    assert seen == list(ranges.inputs_of(shared)) * 3


@pytest.fixture(scope="module")
def written(video, ranges, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8") / "model"
    layers = wanted_layers(video, ["backbone", "protonet", "flow"], [])
    found = write_int8(
        video,
        ranges,
        layers,
        folder,
        synthetic_images(SIZE, 4),
        "drawn scenes",
        agreement=0.3,
        targets=["paddle", "onnx"],
    )
    return folder, layers, found


def test_int8_graphs_are_verified_as_streams(written, video):
    folder, layers, found = written
    assert [(row.target, row.status) for row in found.rows] == [("paddle", "ok"), ("onnx", "ok")]
    manifest = Manifest.read(folder)
    assert manifest.least_equal == 0.3
    assert manifest.pipelines == {"key": ("stem", "deep", "heads"), "nonkey": ("stem", "flow", "heads")}
    assert set(manifest.notes["float_layers"].split()) == set(video.layers) - set(layers)


def test_the_wanted_components_alone_have_int8_weights(written, video):
    folder, layers, found = written
    rounded = 0
    for graph in video.graphs:
        model = onnx.load(str(folder / f"{graph.name}.onnx")).graph
        names = {tensor.name for tensor in model.initializer if tensor.data_type == onnx.TensorProto.INT8}
        wanted = {graph.calls[layer][0].weight for layer in layers if layer in graph.calls}
        assert {name.removesuffix(".int8") for name in names if name.endswith(".int8")} == wanted
        rounded += sum(len(graph.calls[layer]) for layer in layers if layer in graph.calls)
    assert found.kernels == rounded


def test_a_graph_without_int8_is_written_in_float(video, ranges, tmp_path):
    layers = wanted_layers(video, ["protonet"], [])
    write_int8(
        video,
        ranges,
        layers,
        tmp_path / "out",
        synthetic_images(SIZE, 4),
        "drawn scenes",
        agreement=0.3,
        targets=["onnx"],
    )
    files = {name: graph.files["onnx"].precision for name, graph in Manifest.read(tmp_path / "out").graphs.items()}
    assert files == {"stem": None, "deep": None, "flow": None, "heads": "int8"}
