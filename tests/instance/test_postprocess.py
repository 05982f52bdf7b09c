"""The whole postprocess against the published steps, written with loops and NumPy in float64."""

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.instance.anchors import encode, make_anchors
from mobileseg.instance.postprocess import (
    DetectionOptions,
    Detections,
    detect,
    finish,
    instances_from_outputs,
    nms_detections,
    pixel_boxes,
)
from tests.instance.slow_masks import slow_probabilities
from tests.instance.slow_nms import slow_cross, slow_fast, slow_greedy

CLASSES, KINDS = 5, 8
ANCHORS = make_anchors([(12, 12), (6, 6)], (96, 96), [[16.0], [40.0]], (1, 0.5, 2))
VARIANCES = (0.1, 0.2)


def outputs(seed: int = 0, objects: int = 12) -> dict[str, np.ndarray]:
    """Groups of anchors that agree on an object, the rest is background."""
    rng = np.random.default_rng(seed)
    count = len(ANCHORS)
    logits = rng.normal(0, 1, (count, CLASSES + 1))
    logits[:, 0] += 7
    loc = rng.normal(0, 0.5, (count, 4)).astype(np.float32)
    for _ in range(objects):
        center = rng.random(2)
        near = np.argsort(np.abs(ANCHORS[:, :2] - center).sum(1))[:6]
        sides = rng.uniform(0.1, 0.5, 2)
        boxes = np.concatenate([center - sides / 2, center + sides / 2])[None] + rng.normal(0, 0.01, (6, 4))
        loc[near] = encode(boxes, ANCHORS[near])
        logits[near, rng.integers(1, CLASSES + 1)] += rng.uniform(4, 9, 6)
    conf = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = {
        "loc": loc,
        "conf": conf,
        "mask": np.tanh(rng.normal(0, 1, (count, KINDS))),
        "proto": rng.normal(0, 1.5, (KINDS, 24, 24)),
    }
    return {name: value[None].astype(np.float32) for name, value in found.items()}


def slow_boxes(loc: np.ndarray) -> np.ndarray:
    found = []
    for (cx, cy, w, h), (tx, ty, tw, th) in zip(ANCHORS.astype(float), loc.astype(float), strict=True):
        x, y = cx + tx * VARIANCES[0] * w, cy + ty * VARIANCES[0] * h
        wide, tall = w * np.exp(tw * VARIANCES[1]), h * np.exp(th * VARIANCES[1])
        found.append([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2])
    return np.array(found)


def slow_detect(raw: dict[str, np.ndarray], options: DetectionOptions) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Decoded boxes of all anchors, and (anchor, class) of what is kept."""
    boxes, scores = slow_boxes(raw["loc"][0]), raw["conf"][0, :, 1:]
    limit = np.float32(options.score_threshold)
    passing = [row for row in range(len(scores)) if scores[row].max() > limit]
    own, mine = boxes[passing], scores[passing]
    if options.nms == "cross_class":
        kept = slow_cross(own, mine, options.iou_threshold, options.top_k, options.max_detections)
    elif options.nms == "fast":
        # As published: suppression among all classes of the anchors that passed; our threshold comes after it.
        kept = slow_fast(own, mine, options.iou_threshold, options.top_k, 10**6, None)
        if options.threshold_after_nms:
            kept = [pair for pair in kept if mine[pair] > limit]
        kept = kept[: options.max_detections]
    else:
        scaled = own * 96 if options.inclusive_pixels else own
        arguments = options.iou_threshold, options.max_detections, options.score_threshold, options.inclusive_pixels
        kept = slow_greedy(scaled, mine, *arguments)
    return boxes, [(passing[row], kind) for row, kind in kept]


VARIANTS = [
    DetectionOptions(),
    DetectionOptions(threshold_after_nms=False),
    DetectionOptions(threshold_after_nms=False, truncate_boxes=True, max_detections=30),
    DetectionOptions(nms="cross_class"),
    DetectionOptions(nms="cross_class", top_k=7),
    DetectionOptions(nms="traditional"),
    DetectionOptions(nms="traditional", inclusive_pixels=True),
    DetectionOptions(score_threshold=0.4, iou_threshold=0.3, mask_threshold=0.3, max_detections=5),
]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("options", VARIANTS, ids=range(len(VARIANTS)))
def test_everything_against_the_published_steps(options: DetectionOptions, seed: int) -> None:
    raw = outputs(seed)
    boxes, kept = slow_detect(raw, options)
    assert len(kept) >= 3
    size = (61, 83)
    result = instances_from_outputs(raw, ANCHORS, size, options, VARIANCES, input_size=(96, 96))
    assert result.classes.tolist() == [kind for _, kind in kept]
    np.testing.assert_array_equal(result.scores, [raw["conf"][0, row, kind + 1] for row, kind in kept])
    expected = boxes[[row for row, _ in kept]] * [83, 61, 83, 61]
    expected = np.clip(expected, 0, [83, 61, 83, 61])
    if options.truncate_boxes:
        whole = np.abs(expected - np.rint(expected)) < 1e-4  # float32 may fall on either side
        np.testing.assert_array_equal(result.boxes[~whole], np.floor(expected[~whole]))
    else:
        np.testing.assert_allclose(result.boxes, expected, atol=1e-4)
    for index, (row, _) in enumerate(kept):
        decoded = boxes[row].astype(np.float32)
        probabilities = slow_probabilities(raw["proto"][0], raw["mask"][0, row], decoded, size)
        certain = np.abs(probabilities - options.mask_threshold) > 1e-4
        np.testing.assert_array_equal(result.masks[index][certain], probabilities[certain] > options.mask_threshold)
    assert (result.boxes.dtype, result.scores.dtype, result.classes.dtype) == (np.float32, np.float32, np.int64)


def test_without_the_quirk_no_score_is_below_the_threshold() -> None:
    raw = outputs()
    ours = detect(raw, ANCHORS)
    assert ours.scores.min() > 0.05
    published = detect(raw, ANCHORS, DetectionOptions(threshold_after_nms=False))
    assert published.scores.min() <= 0.05
    assert len(published) > len(ours)


def test_an_image_without_objects() -> None:
    raw = outputs(objects=0)
    raw["conf"][...] = 0
    raw["conf"][..., 0] = 1
    for options in VARIANTS:
        result = instances_from_outputs(raw, ANCHORS, (30, 40), options, input_size=(96, 96))
        assert (len(result), result.boxes.shape, result.masks.size) == (0, (0, 4), (30, 40))


def test_a_network_without_classes_and_one_without_anchors() -> None:
    raw = outputs()
    raw["conf"] = raw["conf"][..., :1]
    assert len(instances_from_outputs(raw, ANCHORS, (30, 40))) == 0
    raw = {name: value[:, :0] if name != "proto" else value for name, value in outputs().items()}
    assert len(instances_from_outputs(raw, ANCHORS[:0], (30, 40))) == 0


def test_boxes_of_any_size_are_decoded() -> None:
    """An exponent that float32 does not hold gives a box that covers the image."""
    raw = outputs(objects=0)
    raw["conf"][0, 5] = (0, 1, 0, 0, 0, 0)
    raw["loc"][0, 5] = (0, 0, 1e6, 1e6)
    result = instances_from_outputs(raw, ANCHORS, (30, 40))
    assert result.boxes[0].tolist() == [0, 0, 40, 30]


def test_boxes_are_ordered_cut_and_truncated() -> None:
    boxes = np.float32([[0.8, 0.9, 0.2, 0.1], [-0.5, -0.5, 1.5, 1.5], [0.126, 0.126, 0.374, 0.374], [2, 2, 3, 3]])
    expected = [[20, 5, 80, 45], [0, 0, 100, 50], [12.6, 6.3, 37.4, 18.7], [100, 50, 100, 50]]
    np.testing.assert_allclose(pixel_boxes(boxes, (50, 100)), expected, rtol=1e-6)
    np.testing.assert_array_equal(pixel_boxes(boxes, (50, 100), truncate=True)[2], [12, 6, 37, 18])


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda raw: raw.pop("loc"), "no 'loc'"),
        (lambda raw: raw.update(loc=raw["loc"][0]), "expected 3 axes with a batch of 1"),
        (lambda raw: raw.update(conf=np.repeat(raw["conf"], 2, 0)), "batch of 1"),
        (lambda raw: raw.update(mask=raw["mask"][:, :7]), "do not fit the anchors"),
        (lambda raw: raw.update(proto=raw["proto"][:, :3]), "3 prototypes and 8 coefficients"),
        (lambda raw: raw.update(proto=raw["proto"][:, :0], mask=raw["mask"][..., :0]), "0 prototypes and 0 coef"),
        (lambda raw: raw["conf"].fill(np.nan), r"'conf' holds values that are no numbers"),
        (lambda raw: raw["loc"].fill(np.nan), r"'loc' holds values that are no numbers"),
    ],
)
def test_outputs_that_cannot_be_used(change, part: str) -> None:
    raw = outputs()
    change(raw)
    with pytest.raises(RuntimeEngineError, match=part):
        instances_from_outputs(raw, ANCHORS, (30, 40))


def test_inclusive_pixels_need_the_size_that_they_count_in() -> None:
    options = DetectionOptions(nms="traditional", inclusive_pixels=True)
    with pytest.raises(ValueError, match="input_size is missing"):
        detect(outputs(), ANCHORS, options)
    with pytest.raises(ValueError, match="belongs to nms: traditional"):
        DetectionOptions(inclusive_pixels=True)


def test_detections_of_a_graph_that_suppresses_itself_give_the_same() -> None:
    raw = outputs()
    found = detect(raw, ANCHORS)
    rows = np.concatenate([found.classes[:, None], found.scores[:, None], found.boxes], axis=1).astype(np.float32)
    padded = np.concatenate([rows, np.full((3, 6), -1, np.float32)])
    weights = np.concatenate([found.coefficients, np.zeros((3, KINDS), np.float32)])
    again = nms_detections(padded, weights)
    for name in ("boxes", "scores", "classes", "coefficients"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert len(nms_detections(padded, weights, DetectionOptions(max_detections=4))) == 4
    assert len(nms_detections(padded[None], weights[None])) == len(found)
    result = finish(again, raw["proto"][0], (61, 83))
    same = instances_from_outputs(raw, ANCHORS, (61, 83))
    np.testing.assert_array_equal(result.masks.to_array(), same.masks.to_array())


def test_nothing_to_finish() -> None:
    none = Detections(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros((0, 2), np.float32)
    )
    assert len(finish(none, np.zeros((2, 5, 5), np.float32), (7, 9))) == 0
