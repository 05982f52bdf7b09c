"""Parameters as a function of their names: two implementations with equal names get equal weights, with no download."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

SAMPLES = 400


#: Of the files of MobileSeg and of YOLACT.
SEMANTIC_GAIN, INSTANCE_GAIN = 1.5, 3.0


def fill_value(key: str, shape: Sequence[int], gain: float = SEMANTIC_GAIN) -> np.ndarray:
    """The float32 value of the parameter ``key``.

    Uniform noise seeded by the name, scaled by the kind of parameter so that activations keep their size:
    variances lie in 0.75..1.25, means and biases within 0.1, norm scales in 0.8..1.2, kernels within
    sqrt(gain / fan-in).
    """
    seed = int(hashlib.sha1(key.encode()).hexdigest()[:8], 16)
    noise = np.random.RandomState(seed).uniform(-1, 1, tuple(shape)).astype(np.float32)
    if "variance" in key or key.endswith("running_var"):
        return 0.5 * np.abs(noise) + np.float32(0.75)
    if "mean" in key:
        return np.float32(0.1) * noise
    if len(shape) == 1:
        return 1 + np.float32(0.2) * noise if key.endswith("weight") else np.float32(0.1) * noise
    # Paddle's linear layers are [in, out], its convolutions [out, in, height, width].
    fan_in = shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))
    return noise * np.float32(np.sqrt(gain / fan_in))


def input_image(height: int, width: int) -> np.ndarray:
    """The float32 [1, 3, height, width] input of all reference outputs, within -1..1."""
    return np.random.RandomState(0).uniform(-1, 1, (1, 3, height, width)).astype(np.float32)


def digest(shapes: Mapping[str, Sequence[int]]) -> str:
    """sha256 of the sorted names and shapes of a state dict."""
    lines = [f"{key} {list(shape)}\n" for key, shape in sorted(shapes.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sample(array: np.ndarray) -> np.ndarray:
    """At most ``SAMPLES`` values of an array, evenly spaced over its flat order."""
    flat = np.asarray(array, np.float32).reshape(-1)
    return flat[np.linspace(0, flat.size - 1, min(SAMPLES, flat.size)).astype(np.int64)]
