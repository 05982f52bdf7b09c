import copy
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mobileseg.errors import RuntimeEngineError
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.settings import InstanceSettings
from mobileseg.runtime.deploy_yaml import DEPLOY_FILE
from mobileseg.runtime.manifest import Manifest, is_artefact, verified_path
from mobileseg.runtime.specs import GraphFiles, VerificationRow
from tests.runtime.artefacts import artefact
from tests.runtime.instance_artefacts import instance_artefact


def edit(folder: Path, change) -> None:
    """Change deploy.yaml the way a person with an editor would."""
    path = folder / DEPLOY_FILE
    document = yaml.safe_load(path.read_text())
    change(document["mobileseg"], document)
    path.write_text(yaml.safe_dump(document))


def test_manifest_survives_writing_and_reading(tmp_path: Path) -> None:
    manifest = replace(
        artefact(tmp_path),
        versions={"mobileseg": "0.1.0"},
        verification=(VerificationRow("onnx", "ok", max_diff=1e-6, equal=1.0),),
        deploy={"model": "model.pdmodel", "transforms": [{"type": "Resize", "target_size": [24, 16]}]},
    )
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest
    assert is_artefact(tmp_path)
    assert not (tmp_path / "deploy.yaml.partial").exists()


def test_deploy_block_stands_beside_ours_as_paddleseg_reads_it(tmp_path: Path) -> None:
    transforms = [{"type": "Normalize", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}]
    deploy = {"model": "model.pdmodel", "params": "model.pdiparams", "transforms": transforms}
    replace(artefact(tmp_path), deploy=deploy).write(tmp_path)
    document = yaml.safe_load((tmp_path / DEPLOY_FILE).read_text())
    assert document["Deploy"] == deploy
    assert document["mobileseg"]["format"] == 2
    assert document["mobileseg"]["graphs"]["main"]["files"] == {"onnx": {"model": "model.onnx"}}


def test_missing_folder_and_missing_manifest_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RuntimeEngineError, match="there is no exported model"):
        Manifest.read(tmp_path / "nowhere")
    with pytest.raises(RuntimeEngineError, match=r"is no exported model: it has no deploy\.yaml"):
        Manifest.read(tmp_path)
    assert not is_artefact(tmp_path)


def test_a_deploy_yaml_of_paddleseg_without_its_graph_is_named(tmp_path: Path) -> None:
    (tmp_path / DEPLOY_FILE).write_text("Deploy: {model: model.pdmodel, params: model.pdiparams, transforms: []}\n")
    with pytest.raises(RuntimeEngineError, match=r"has no file 'model\.pdmodel'") as caught:
        Manifest.read(tmp_path)
    assert "mobileseg export" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a: [1", "not valid YAML"),
        ("- 1\n- 2\n", "list, expected a mapping"),
        ("other: 1\n", "no 'mobileseg' block"),
        ("mobileseg: {format: 99}\n", "format 99, this version of mobileseg reads formats 1 and 2"),
        ("mobileseg: {format: true}\n", "format True"),
        ("mobileseg: {format: 1, components: 5}\n", "its block of format 1 is damaged"),
        ("a: &a [1]\nb: [*a, *a]\n", "aliases are not allowed"),
        ("[" * 3000, "nested too deeply"),
        (f"a: {'9' * 5000}\n", "not valid YAML"),
        ("mobileseg: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
    ],
)
def test_unusable_text_is_refused_with_its_reason(tmp_path: Path, text: str, seen: str) -> None:
    (tmp_path / DEPLOY_FILE).write_text(text)
    with pytest.raises(RuntimeEngineError, match=seen):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda m, d: m.pop("image"), r"mobileseg\.image: "),
        (lambda m, d: m["image"].update(colour="RGB"), r"mobileseg\.image\.colour: "),
        (lambda m, d: m["image"].update(height="tall"), r"mobileseg\.image\.height: "),
        (lambda m, d: m["image"].update(color="CMYK"), r"mobileseg\.image\.color: "),
        (lambda m, d: m["image"].update(std=[0, 1, 1]), "std has a value that is not positive"),
        (lambda m, d: m["image"].update(multiple=32), "16x24 is no multiple of 32"),
        (lambda m, d: m["image"].update(scale=0.0), "scale is 0.0, expected a positive number"),
        (lambda m, d: m["image"].update(scale=float("nan")), "scale is nan"),
        (lambda m, d: m["image"].update(scale=1e308), r"make inputs beyond 1e\+09"),
        (lambda m, d: m["image"].update(std=[1, 1, 1e-308]), r"make inputs beyond 1e\+09"),
        (lambda m, d: m["image"].update(mean=[1, -1e300, 1]), r"make inputs beyond 1e\+09"),
        (lambda m, d: m["image"].update(mean=[float("inf"), 0, 0]), "mean has a value that is not finite"),
        (lambda m, d: m["image"].update(mean=[0.5]), "mean has 1 values for 3 channels"),
        (lambda m, d: m["image"].update(channels=5), "channels is 5, expected 1 to 4"),
        (lambda m, d: m["image"].update(range=[255, 0]), "two ascending values"),
        (lambda m, d: m["image"].update(height=20000), "a side above 16384"),
        (lambda m, d: m["image"]["resize"].update(padding=[1]), "resize.padding has 1 values"),
        (
            lambda m, d: m.update(classes=["c"] * 300, palette=[[0, 0, i % 256] for i in range(300)]),
            "there are 300 classes",
        ),
        (lambda m, d: m.update(classes=["one"], palette=[[0, 0, 0]]), "3 channels for 1 classes"),
        (lambda m, d: m["graphs"]["main"]["outputs"][0].update(kind="boxes"), "segmentation graph returns"),
        (lambda m, d: m["graphs"]["main"]["outputs"][0].update(dtype="float99"), "is 'float99', expected"),
        (lambda m, d: m["pipelines"].update(main=["left"]), "names the graph 'left', there is main"),
        (lambda m, d: m["pipelines"].update(main=[]), "pipelines"),
        (lambda m, d: m.pop("pipelines"), r"mobileseg\.pipelines"),
        (
            lambda m, d: m["graphs"]["main"]["inputs"].append({"name": "y", "dtype": "float32", "shape": [1]}),
            "takes y, which nothing before it gives",
        ),
        (lambda m, d: m.update(state={"main": {"kept": "nothing"}}), "keeps 'nothing', which no graph"),
        (lambda m, d: m.update(state={"key": {"kept": "x"}}), "state names the pipeline 'key'"),
        (lambda m, d: m.update(task="panoptic"), "there is no task 'panoptic'"),
        (lambda m, d: m["palette"].pop(), "palette has 2 colours for 3 classes"),
        (
            lambda m, d: m["graphs"]["main"]["files"]["onnx"].update(model="../m.onnx"),
            "lies outside the folder",
        ),
        (lambda m, d: m["graphs"]["main"]["files"]["onnx"].update(model="b.onnx"), "no sha256"),
        (
            lambda m, d: d.update(Deploy={"transforms": [{"type": "Resize", "target_size": [16, 24]}]}),
            r"Resize says \[16, 24\]",
        ),
        (lambda m, d: d.update(Deploy={"transforms": ["Resize"]}), "expected a mapping"),
        (
            lambda m, d: d.update(Deploy={"transforms": [{"type": "Normalize", "mean": [0.1, 0.5, 0.6]}]}),
            "Normalize mean",
        ),
    ],
)
def test_damaged_manifests_are_refused(tmp_path: Path, change, seen: str) -> None:
    artefact(tmp_path)
    edit(tmp_path, change)
    with pytest.raises(RuntimeEngineError, match=seen):
        Manifest.read(tmp_path)


def test_contradictions_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    manifest = artefact(tmp_path)
    before = (tmp_path / DEPLOY_FILE).read_bytes()
    with pytest.raises(RuntimeEngineError, match="there are 0 classes"):
        replace(manifest, classes=(), palette=()).write(tmp_path)
    assert (tmp_path / DEPLOY_FILE).read_bytes() == before


def test_a_changed_file_fails_its_hash(tmp_path: Path) -> None:
    manifest = artefact(tmp_path)
    assert verified_path(tmp_path, manifest, "model.onnx") == tmp_path / "model.onnx"
    content = bytearray((tmp_path / "model.onnx").read_bytes())
    content[-1] ^= 1
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(RuntimeEngineError, match="was changed or copied incompletely"):
        verified_path(tmp_path, manifest, "model.onnx")
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(RuntimeEngineError, match="is missing"):
        verified_path(tmp_path, manifest, "model.onnx")
    with pytest.raises(RuntimeEngineError, match="not listed"):
        verified_path(tmp_path, manifest, "deploy.yaml")


def test_a_graph_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    manifest = artefact(tmp_path)
    assert manifest.graph_files("main", "onnx") == GraphFiles(model="model.onnx")
    with pytest.raises(RuntimeEngineError, match=r"no graph 'left'.*main"):
        manifest.graph_files("left", "onnx")
    with pytest.raises(RuntimeEngineError, match=r"no 'ncnn' file.*onnx"):
        manifest.graph_files("main", "ncnn")


def test_input_shape_and_padding_follow_layout_and_multiple(tmp_path: Path) -> None:
    spec = artefact(tmp_path, dynamic=True, multiple=8).image
    assert spec.shape() == (1, 3, 16, 24)
    assert spec.padded(17, 24) == (24, 24)
    assert replace(spec, layout="NHWC").shape(8, 40) == (1, 8, 40, 3)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=6,
)


def places(node: object, path: tuple = ()) -> list[tuple]:
    """Paths of all values inside nested lists and mappings."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, value in items for found in [(*path, key), *places(value, (*path, key))]]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The content of a deploy.yaml with both blocks."""
    steps = [{"type": "Resize", "target_size": [24, 16]}, {"type": "Normalize", "mean": [0.4, 0.5, 0.6]}]
    return replace(artefact(tmp_path_factory.mktemp("model")), deploy={"transforms": steps}).to_dict()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_the_file_the_answer_is_a_manifest_or_our_error(
    tmp_path: Path, document: dict, data: st.DataObject
) -> None:
    changed = copy.deepcopy(document)
    *path, last = data.draw(st.sampled_from(places(changed)))
    node = changed
    for key in path:
        node = node[key]
    node[last] = data.draw(ODD)
    (tmp_path / "deploy.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    try:
        manifest = Manifest.read(tmp_path)
    except RuntimeEngineError:
        return
    assert manifest.problems() == []


def test_the_manifest_of_an_instance_folder_survives(tmp_path: Path) -> None:
    options = {"nms": "traditional", "inclusive_pixels": True, "max_detections": 7, "score_threshold": 0.1}
    manifest = instance_artefact(tmp_path, category_ids=(1, 3, 90), options=options)
    found = Manifest.read(tmp_path)
    assert found == manifest
    assert InstanceSettings.of(found.settings).detection.options == DetectionOptions(**options)
    block = yaml.safe_load((tmp_path / DEPLOY_FILE).read_text())["mobileseg"]
    assert block["settings"]["detection"]["variances"] == [0.1, 0.2]
    assert block["settings"]["detection"]["anchors"] == "anchors.npy"
    assert [output["kind"] for output in block["graphs"]["main"]["outputs"]] == [
        "boxes",
        "scores",
        "coefficients",
        "prototypes",
    ]


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda m, d: m["settings"].pop("detection"), r"settings\.detection: "),
        (lambda m, d: m["settings"]["detection"].pop("anchors"), r"detection\.anchors names no file"),
        (lambda m, d: m["settings"]["detection"].update(anchors="../a.npy"), "lies outside the folder"),
        (
            lambda m, d: m["settings"]["detection"].update(anchors="b.npy"),
            r"detection\.anchors: 'b\.npy' has no sha256",
        ),
        (lambda m, d: m["settings"]["detection"].update(nms="soft"), r"settings\.detection\.nms: "),
        (lambda m, d: m["settings"]["detection"].update(threshold=1), r"settings\.detection\.threshold: "),
        (lambda m, d: m["settings"]["detection"].update(top_k=0), r"settings\.detection\.top_k: "),
        (
            lambda m, d: m["graphs"]["main"]["outputs"].pop(),
            "boxes, coefficients, scores is given, an instance",
        ),
        (lambda m, d: m["graphs"]["main"].pop("outputs"), "outputs"),
        (lambda m, d: m["settings"].update(category_ids=[1, 2]), "category_ids has 2 numbers for 3 classes"),
        (lambda m, d: m.update(task="semantic"), "does not belong to a semantic segmentation model"),
        (
            lambda m, d: m["image"].update(dynamic=True),
            "the anchors of an instance segmentation model belong",
        ),
    ],
)
def test_damaged_manifests_of_instance_folders_are_refused(tmp_path: Path, change, seen: str) -> None:
    instance_artefact(tmp_path)
    edit(tmp_path, change)
    with pytest.raises(RuntimeEngineError, match=seen):
        Manifest.read(tmp_path)
