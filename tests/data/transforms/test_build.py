"""The registry of transforms and what all of them keep."""

import inspect
import random

import numpy as np
import pytest

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.build import build_transforms
from mobileseg.errors import ConfigError
from mobileseg.registry import TRANSFORMS

pytestmark = pytest.mark.both

PADDLESEG = {
    "LimitLong": {"max_long": 20},
    "Normalize": {},
    "Padding": {"target_size": 64},
    "PaddingByAspectRatio": {},
    "RandomAffine": {},
    "RandomBlur": {},
    "RandomCenterCrop": {},
    "RandomDistort": {},
    "RandomHorizontalFlip": {},
    "RandomNoise": {},
    "RandomPaddingCrop": {"crop_size": [20, 36]},
    "RandomRotation": {},
    "RandomScaleAspect": {},
    "RandomVerticalFlip": {},
    "Resize": {},
    "ResizeByLong": {"long_size": 33},
    "ResizeByShort": {"short_size": 33},
    "ResizeRangeScaling": {},
    "ResizeStepScaling": {},
}
NAMES = sorted(PADDLESEG)


def sample() -> Sample:
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (30, 40, 3)).astype(np.float32)
    return Sample(image, rng.integers(0, 3, (30, 40), dtype=np.uint8), {"ignore_index": 255})


def test_names_of_paddleseg_are_there() -> None:
    assert set(NAMES) <= set(TRANSFORMS)


@pytest.mark.parametrize("name", NAMES)
def test_reproducible_from_the_generator_alone(name: str) -> None:
    """Same generator, same result; the global generators are neither used nor moved."""
    (transform,) = build_transforms([{"type": name, **PADDLESEG[name]}])
    results = []
    for state in (1, 2):
        np.random.seed(state)
        random.seed(state)
        before = np.random.get_state()[1].copy(), random.getstate()
        outputs = [transform(sample(), np.random.default_rng(seed)) for seed in range(8)]
        np.testing.assert_array_equal(before[0], np.random.get_state()[1])
        assert before[1] == random.getstate()
        results.append([(output.image.tobytes(), output.label.tobytes(), output.size) for output in outputs])
    assert results[0] == results[1]
    if name.startswith("Random") or "Scaling" in name:
        assert len(set(results[0])) > 1


@pytest.mark.parametrize("name", NAMES)
def test_types_and_sizes_stay_consistent(name: str) -> None:
    (transform,) = build_transforms([{"type": name, **PADDLESEG[name]}])
    for seed in range(8):
        output = transform(sample(), np.random.default_rng(seed))
        assert output.image.dtype == np.float32
        assert output.image.ndim == 3
        assert output.label.dtype == np.uint8
        assert output.label.shape == output.image.shape[:2]
        assert set(np.unique(output.label)) <= {0, 1, 2, 255}
        without = sample()
        without.label = None
        unlabelled = transform(without, np.random.default_rng(seed))
        assert unlabelled.label is None
        np.testing.assert_array_equal(unlabelled.image, output.image)


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_is_documented(name: str) -> None:
    component = TRANSFORMS.get(name)
    text = inspect.getdoc(component) or ""
    arguments = set(inspect.signature(component).parameters)
    if name == "RandomDistort":  # pairs of range and probability, described together
        arguments = {"range", "probability"}
    if name == "ResizeStepScaling":
        arguments = {"min", "max", "step"}
    assert [argument for argument in arguments if argument not in text] == []


def test_build_accepts_built_transforms_and_nothing() -> None:
    built = build_transforms([{"type": "Normalize"}])
    assert build_transforms(built) == built
    assert build_transforms(None) == []


def test_mistakes_in_a_pipeline() -> None:
    with pytest.raises(ConfigError, match="number 2 has no type"):
        build_transforms([{"type": "Normalize"}, {"mean": 0.5}])
    with pytest.raises(ConfigError, match="RandomPaddingCrop"):
        build_transforms([{"type": "RandomPadingCrop"}])
    with pytest.raises(ConfigError, match=r"Normalize.*men"):
        build_transforms([{"type": "Normalize", "men": 0.5}])
