"""Detection options in place of those of the folder."""

from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.instance.settings import InstanceSettings
from mobileseg.runtime.segmenter import Segmenter
from tests.runtime.artefacts import artefact
from tests.runtime.instance_artefacts import blocks, instance_artefact


def test_options_replace_those_of_the_folder(tmp_path: Path) -> None:
    instance_artefact(tmp_path / "a", options={"score_threshold": 0.5})
    image = blocks((0, 1, 0), (1, 3, 2), (3, 5, 1))
    assert len(Segmenter(tmp_path / "a", "onnxruntime")(image)) == 3
    changed = Segmenter(tmp_path / "a", "onnxruntime", detection={"max_detections": 2})
    assert len(changed(image)) == 2
    assert InstanceSettings.of(changed.manifest.settings).detection.options.max_detections == 2
    assert InstanceSettings.of(changed.manifest.settings).detection.options.score_threshold == 0.5
    assert len(Segmenter(tmp_path / "a", "onnxruntime", detection={})(image)) == 3


@pytest.mark.parametrize("options", [{"max_detection": 2}, {"nms": "soft"}, {"iou_threshold": 7}])
def test_options_that_are_none(tmp_path: Path, options) -> None:
    instance_artefact(tmp_path / "a")
    with pytest.raises(RuntimeEngineError, match=next(iter(options))):
        Segmenter(tmp_path / "a", "onnxruntime", detection=options)


def test_a_folder_that_gives_labels_has_no_such_options(tmp_path: Path) -> None:
    artefact(tmp_path / "a")
    with pytest.raises(RuntimeEngineError, match="gives a label per pixel: detection"):
        Segmenter(tmp_path / "a", "onnxruntime", detection={"nms": "fast"})


def test_suppression_inside_of_the_graph_cannot_be_changed(tmp_path: Path) -> None:
    """Its number of detections can."""
    detections = np.array([[0, 0.9, 0, 0, 0.2, 0.2], [1, 0.8, 0.5, 0.5, 0.7, 0.9]], np.float32)
    instance_artefact(tmp_path / "a", detections=detections)
    with pytest.raises(RuntimeEngineError, match="NMS inside: iou_threshold, nms"):
        Segmenter(tmp_path / "a", "onnxruntime", detection={"nms": "fast", "iou_threshold": 0.3, "top_k": 5})
    segmenter = Segmenter(tmp_path / "a", "onnxruntime", detection={"max_detections": 1})
    assert len(segmenter(blocks())) == 1
