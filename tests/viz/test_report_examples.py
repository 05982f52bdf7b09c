"""Images of a report, decoded again."""

import base64
import re

import cv2
import numpy as np

from mobileseg.data.instances import Instances
from mobileseg.data.sample import Sample
from mobileseg.instance.visualize import MIN_SCORE, truth
from mobileseg.structures import InstanceResult, SemanticResult
from mobileseg.viz.report import Example, NetworkReport, write_report
from mobileseg.viz.report_examples import example_grid
from mobileseg.viz.task import ModelFacts
from tests.instance.scenes import Things
from tests.viz.html_page import Page

COLOURS = np.array([[220, 0, 0], [0, 0, 220]], np.uint8)
CLASSES = ("cat", "dog <b>")
MODEL = ModelFacts("net", "instance", CLASSES, COLOURS)


def annotated(instances: Instances) -> InstanceResult:
    found = truth(Sample(np.zeros((1, 1, 3), np.float32), instances=instances))
    assert found is not None
    return found


def images(html: str) -> list[np.ndarray]:
    """The embedded images, RGB."""
    found = re.findall(r"base64,([A-Za-z0-9+/=]+)", html)
    decoded = [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_COLOR) for one in found]
    return [one[..., ::-1].astype(int) for one in decoded]


def objects(scores=(0.9, 0.2)) -> Things:
    """A cat in the upper left, a dog in the lower right."""
    masks = np.zeros((2, 120, 160), bool)
    masks[0, 10:50, 10:60] = masks[1, 70:110, 90:150] = True
    boxes = np.array([[10, 10, 60, 50], [90, 70, 150, 110]], float)
    return Things(boxes, masks, np.array([0, 1]), np.array(scores), np.zeros(2, bool))


def test_objects_that_were_found_and_annotated() -> None:
    grey = np.full((120, 160, 3), 128, np.uint8)
    things = objects()
    annotation = annotated(Instances.from_masks(things.masks, things.classes))
    html = example_grid([Example("photo", grey, things.result(), annotation)], MODEL)
    plain, annotation, prediction = images(html)
    assert np.abs(plain - 128).max() < 4
    assert annotation[30, 35, 0] > annotation[30, 35, 2] + 30  # the cat is red
    assert annotation[90, 120, 2] > annotation[90, 120, 0] + 30  # the dog is blue
    assert prediction[30, 35, 0] > prediction[30, 35, 2] + 30
    assert np.abs(prediction[90, 120] - 128).max() < 8  # its score is below the limit
    assert f"at least {MIN_SCORE}" in html
    assert "dog &lt;b&gt;" in html


def test_legend_has_the_classes_that_are_seen() -> None:
    grey = np.full((120, 160, 3), 128, np.uint8)
    html = example_grid([Example("photo", grey, objects().result())], MODEL)
    assert "cat" in html
    assert "dog" not in html
    assert len(images(html)) == 2


def test_crowd_regions_are_not_shown_as_objects() -> None:
    things = objects()
    result = annotated(Instances.from_masks(things.masks, things.classes, crowd=[True, False]))
    assert result.classes.tolist() == [1]
    np.testing.assert_array_equal(result.masks[0], things.masks[1])
    np.testing.assert_array_equal(result.boxes, [[90, 70, 150, 110]])
    assert result.scores.tolist() == [1.0]


def test_nothing_found_and_nothing_there() -> None:
    grey = np.full((120, 160, 3), 128, np.uint8)
    nothing = Things.empty((120, 160)).result()
    html = example_grid([Example("photo", grey, nothing, annotated(Instances.empty((120, 160))))], MODEL)
    for image in images(html):
        assert np.abs(image - 128).max() < 4


def test_large_images_are_made_smaller_after_drawing() -> None:
    wide = np.full((300, 1600, 3), 128, np.uint8)
    result = Things.empty((300, 1600)).result()
    assert [one.shape for one in images(example_grid([Example("p", wide, result)], MODEL))] == [(120, 640, 3)] * 2


def test_report_of_objects_is_a_whole_page(tmp_path) -> None:
    grey = np.full((120, 160, 3), 128, np.uint8)
    example = Example("photo", grey, objects().result())
    page = Page(
        write_report(
            tmp_path / "r.html",
            title="Objects",
            networks=[NetworkReport("instance", examples=[example], classes=CLASSES)],
        )
    )
    assert page.tags.count("img") == 2
    assert "cat" in page.text


def test_labels_that_were_predicted_and_annotated() -> None:
    grey = np.full((60, 80, 3), 128, np.uint8)
    labels = np.zeros((60, 80), np.uint8)
    labels[:, 40:] = 1
    nothing = np.full((60, 80), 255, np.uint8)
    example = Example("photo", grey, SemanticResult(labels), SemanticResult(nothing))
    html = example_grid([example], ModelFacts("net", "semantic", CLASSES, COLOURS))
    _, truth_image, prediction = images(html)
    assert np.abs(truth_image - 128).max() < 4  # ignored pixels show the image
    assert prediction[30, 20, 0] > prediction[30, 20, 2] + 30
    assert prediction[30, 60, 2] > prediction[30, 60, 0] + 30
    assert "score" not in html
