"""What a step takes and gives, and chains that do not fit together."""

import math

import numpy as np
import pytest

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.build import build_transforms
from mobileseg.data.transforms.ranges import PIXELS, chain, normalisation_problem
from mobileseg.errors import ConfigError, DataError
from mobileseg.registry import TRANSFORMS

pytestmark = pytest.mark.both

NORMALIZE = {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
TAKES_PIXELS = ["RandomDistort", "RandomNoise", "RandomBlur", "RandomGrayscale", "PhotometricDistort", "ScalePadding"]
FILLS = [
    {"type": "Padding", "target_size": 64},
    {"type": "PaddingByAspectRatio"},
    {"type": "RandomPaddingCrop", "crop_size": [16, 16]},
    {"type": "RandomRotation"},
    {"type": "RandomAffine"},
    {"type": "RandomExpand"},
]


def test_ranges_of_a_chain() -> None:
    steps = build_transforms([{"type": "RandomDistort"}, NORMALIZE, {"type": "Resize"}])
    links = list(chain(steps))
    assert [link.name for link in links] == ["RandomDistort", "Normalize", "Resize"]
    assert links[0].after == PIXELS
    assert links[1].after == links[2].after == pytest.approx((-0.485 / 0.229, (1 - 0.406) / 0.225))
    assert str(links[0].after) == "0..255"


def test_the_declared_range_is_what_comes_out() -> None:
    (step,) = build_transforms([NORMALIZE])
    image = np.zeros((2, 2, 3), np.float32)
    image[1] = 255
    result = step(Sample(image), np.random.default_rng(0)).image
    assert (result.min(), result.max()) == pytest.approx(tuple(step.gives), abs=1e-5)


@pytest.mark.parametrize("name", [*TAKES_PIXELS, "Normalize"])
def test_what_works_on_pixels_is_refused_behind_normalize(name: str) -> None:
    build_transforms([{"type": name}] if name == "Normalize" else [{"type": name}, NORMALIZE])
    with pytest.raises(ConfigError, match=rf"transform number 3, {name}, takes pixels of 0..255; behind Normalize"):
        build_transforms([{"type": "Resize"}, NORMALIZE, {"type": name}])


def test_every_step_that_fills_or_changes_colours_is_tested_here() -> None:
    """A new transform must not be forgotten."""
    filling = {step["type"] for step in FILLS}
    for name in TRANSFORMS:
        component = TRANSFORMS.get(name)
        if component.__module__.startswith("mobileseg."):
            arguments = component.__init__.__code__.co_varnames
            assert ("im_padding_value" in arguments) == (name in {*filling, "ScalePadding"}), name
            assert (getattr(component, "takes", None) == PIXELS) == (name in (*TAKES_PIXELS, "Normalize")), name


@pytest.mark.parametrize("step", FILLS)
def test_grey_padding_is_refused_behind_normalize(step: dict) -> None:
    build_transforms([step, NORMALIZE])
    with pytest.raises(ConfigError, match="fills with im_padding_value") as caught:
        build_transforms([NORMALIZE, step])
    assert "before Normalize" in caught.value.remedy
    build_transforms([NORMALIZE, {**step, "im_padding_value": 0}])  # the mean colour
    with pytest.raises(ConfigError, match=r"0\.\.255"):
        build_transforms([{**step, "im_padding_value": 300}])


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ({"mean": [123.675, 116.28, 103.53]}, "mean: [0.485, 0.456, 0.406]"),
        ({"std": [58.395, 57.12, 57.375]}, "std: [0.229, 0.224, 0.225]"),
        ({"mean": -0.5}, "0..1"),
    ],
)
def test_a_mean_of_grey_values_is_refused(arguments: dict, remedy: str) -> None:
    with pytest.raises(ConfigError, match="share of white") as caught:
        build_transforms([{"type": "Normalize", **arguments}])
    assert remedy in caught.value.remedy


def test_pipelines_that_normalise_differently() -> None:
    ours, other, none = ([NORMALIZE], [{"type": "Normalize"}], [{"type": "Resize"}])
    assert normalisation_problem(build_transforms(ours), build_transforms([{"type": "Resize"}, *ours])) == ""
    assert "mean [0.485, 0.456, 0.406]" in normalisation_problem(build_transforms(ours), build_transforms(other))
    assert "val: does not normalise" in normalisation_problem(build_transforms(ours), build_transforms(none))


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 1e30, 10**400])
@pytest.mark.parametrize(
    ("name", "key"), [("Normalize", "mean"), ("RandomRotation", "max_rotation"), ("ResizeByShort", "max_size")]
)
def test_numbers_that_nothing_can_compute_with(name: str, key: str, number: float) -> None:
    others = {"short_size": 20} if name == "ResizeByShort" else {}
    with pytest.raises(ConfigError, match=rf"{name}.{key} is"):
        build_transforms([{"type": name, key: number, **others}])
    with pytest.raises(ConfigError, match=rf"{name}.{key}"):
        build_transforms([{"type": name, key: [0.1, number, 0.1], **others}])


@pytest.mark.parametrize("transforms", [{"type": "Normalize"}, "Normalize", 5, ["Normalize"], [None], [{"mean": 1}]])
def test_what_is_no_list_of_steps(transforms) -> None:
    with pytest.raises(ConfigError) as caught:
        build_transforms(transforms)
    assert "- type" in caught.value.remedy


@pytest.mark.parametrize(
    "step",
    [
        {"type": "ResizeByLong", "long_size": 65535},
        {"type": "ResizeStepScaling", "min_scale_factor": 1e6, "max_scale_factor": 1e6},
        {"type": "RandomExpand", "prob": 1, "max_ratio": 1e9},
        {"type": "ResizeRangeScaling", "min_value": 10**6, "max_value": 10**6},
        {"type": "PaddingByAspectRatio", "aspect_ratio": 1e9},
    ],
)
def test_sizes_that_memory_does_not_hold(step: dict) -> None:
    (transform,) = build_transforms([step])
    with pytest.raises(DataError, match="too large"):
        transform(Sample(np.zeros((30, 30, 3), np.float32)), np.random.default_rng(0))


def test_sides_are_bounded() -> None:
    with pytest.raises(ConfigError, match="at most 65535"):
        build_transforms([{"type": "Resize", "target_size": [65536, 2]}])


@pytest.mark.parametrize("key", ["brightness_prob", "hue_prob"])
def test_probabilities_are_shares(key: str) -> None:
    with pytest.raises(ConfigError, match=f"RandomDistort.{key} is 7"):
        build_transforms([{"type": "RandomDistort", key: 7}])
