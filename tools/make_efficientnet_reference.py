"""Write reference outputs of the original EfficientNet-Lite to tests/reference/golden/efficientnet_lite.npz.

The original is the package efficientnet-lite-pytorch 0.1.0, on PyTorch; neither is needed by the suite, so give them an
environment of their own:

    python -m venv /tmp/original && /tmp/original/bin/pip install torch "numpy<2" efficientnet-lite-pytorch==0.1.0
    /tmp/original/bin/python tools/make_efficientnet_reference.py

The parameters are filled by the rule on names of tests/reference_fill.py. Stored are a few hundred values of the
features of strides 2 to 32, before the classifier, with the hash of all parameter names (as Paddle spells the
statistics) and shapes; one case has sides that the strides do not divide.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.reference_fill import digest, fill_value, input_image, sample  # noqa: E402

TARGET = ROOT / "tests" / "reference" / "golden" / "efficientnet_lite.npz"
CASES = {
    **{f"EfficientNetLite{size}": (f"efficientnet-lite{size}", (64, 96)) for size in range(5)},
    "EfficientNetLite0/odd": ("efficientnet-lite0", (75, 101)),
}
CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")


def run(name: str, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """``digest`` and the features ``f0`` to ``f4`` of one case."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(name, image_size=None).eval()
    state = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    ours = {key: key.replace("running_mean", "_mean").replace("running_var", "_variance") for key in state}
    values = {key: torch.from_numpy(fill_value("backbone." + ours[key], value.shape)) for key, value in state.items()}
    network.load_state_dict(values, strict=False)
    features: dict[int, np.ndarray] = {}
    handles = []
    for block in network._blocks:
        # The last feature of each width of the map wins.
        handles.append(
            block.register_forward_hook(lambda _block, _inputs, y: features.__setitem__(y.shape[-1], y.numpy()))
        )
    with torch.no_grad():
        network(torch.from_numpy(input_image(*size)))
    shapes = {
        "backbone." + ours[key]: list(value.shape) for key, value in state.items() if not key.startswith(CLASSIFIER)
    }
    return {
        "digest": np.array(digest(shapes)),
        "size": np.array(size),
        **{f"f{index}": sample(feature) for index, feature in enumerate(features.values())},
    }


def main() -> int:
    arrays = {f"{case}:{key}": value for case, what in CASES.items() for key, value in run(*what).items()}
    np.savez_compressed(TARGET, **arrays)
    print(f"{TARGET.relative_to(ROOT)}: {len(CASES)} cases, {TARGET.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
