"""Write reference outputs of the original networks to tests/reference/golden/variants.npz.

Needs paddleseg 2.8.0 (requirements-paddleseg.txt), which is the original. Every case is built by PaddleSeg, its
parameters are filled by a rule on their names (tests/reference_fill.py), and a few hundred values of each output are
stored with the hash of all parameter names and shapes. The suite's own networks must then give the same values.

    python tools/make_reference.py                    # all cases
    python tools/make_reference.py --only ResNet      # replace or add the cases whose name contains the text
"""

from __future__ import annotations

import argparse
import sys
import zlib  # noqa: F401  # before Paddle: its wheel carries another zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.reference_fill import digest, fill_value, input_image, sample  # noqa: E402

TARGET = ROOT / "tests" / "reference" / "golden" / "variants.npz"


@dataclass(frozen=True)
class Case:
    """One network to run.

    Attributes:
        type: registered name of the backbone.
        args: arguments of the backbone.
        size: height and width of the input.
        network: arguments of the network on that backbone; None runs the backbone alone.
        kind: name of the network.
    """

    type: str
    args: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = (64, 96)
    network: dict[str, Any] | None = None
    kind: str = "MobileSeg"


PUBLISHED = {"num_classes": 19, "cm_bin_sizes": [1, 2, 4], "cm_out_ch": 128, "arm_out_chs": [32, 64, 128]}

BACKBONES: dict[str, tuple[str, ...]] = {
    "MobileNetV2": ("x0_25", "x0_5", "x0_75", "x1_0", "x1_5", "x2_0"),
    "MobileNetV3_small": ("x0_35", "x0_5", "x0_75", "x1_0", "x1_25", "x1_0_os8"),
    "MobileNetV3_large": ("x0_35", "x0_5", "x0_75", "x1_0", "x1_25", "x1_0_os8"),
    "ShuffleNetV2": ("x0_25", "x0_33", "x0_5", "x1_0", "x1_5", "x2_0", "swish"),
    "GhostNet": ("x0_5", "x1_0", "x1_3"),
}

HRNET_HEAD = {"use_head": True}
FULL_STRIDE = {"output_stride": 32}

STRIDEFORMER = {"Base": [64, 128, 192], "Tiny": [32, 64, 128]}

CASES: dict[str, Case] = {
    **{f"{family}_{width}": Case(f"{family}_{width}") for family, widths in BACKBONES.items() for width in widths},
    **{f"Lite_HRNet_{name}": Case(f"Lite_HRNet_{name}", HRNET_HEAD) for name in ("18", "30", "naive", "wider_naive")},
    "Lite_HRNet_18/plain": Case("Lite_HRNet_18", {"return_idx": [0, 2, 3]}),
    **{f"ResNet{depth}_vd": Case(f"ResNet{depth}_vd", FULL_STRIDE) for depth in (18, 34, 50, 101)},
    "ResNet18_vd/defaults": Case("ResNet18_vd", size=(75, 101)),
    "ResNet50_vd/stride16": Case("ResNet50_vd", {"output_stride": 16}, size=(75, 101)),
    "ResNet50_vd/multi_grid": Case("ResNet50_vd", {"output_stride": 32, "multi_grid": [1, 2, 4]}),
    **{f"TopTransformer_{name}": Case(f"TopTransformer_{name}", size=(128, 192)) for name in ("Base", "Small", "Tiny")},
    **{
        f"MobileSeg_{name}": Case(f"MobileSeg_{name}", {"out_feat_chs": widths})
        for name, widths in STRIDEFORMER.items()
    },
    **{
        f"PPMobileSeg/{name.lower()}_{kind.lower()}": Case(
            f"MobileSeg_{name}",
            {"inj_type": kind, "out_feat_chs": widths},
            network={"num_classes": 150},
            kind="PPMobileSeg",
        )
        for name, widths in STRIDEFORMER.items()
        for kind in ("AAM", "AAMSx8")
    },
    "PPMobileSeg/vim": Case(
        "MobileSeg_Tiny",
        {"out_feat_chs": STRIDEFORMER["Tiny"]},
        network={"num_classes": 150, "upsample": "vim"},
        kind="PPMobileSeg",
    ),
    **{
        f"TopFormer/{name.lower()}": Case(
            f"TopTransformer_{name}", size=(128, 192), network={"num_classes": 19}, kind="TopFormer"
        )
        for name in ("Base", "Small", "Tiny")
    },
    "MobileSeg/defaults": Case("MobileNetV2_x0_25", network={"num_classes": 3}),
    "MobileSeg/last_fuse": Case("MobileNetV2_x0_25", network={**PUBLISHED, "use_last_fuse": True}),
    "MobileSeg/nearest": Case("MobileNetV2_x0_25", network={**PUBLISHED, "resize_mode": "nearest"}),
    "MobileSeg/indices": Case("MobileNetV2_x0_25", network={**PUBLISHED, "backbone_indices": [0, 1, 2]}),
    "MobileSeg/two_features": Case(
        "MobileNetV2_x0_25",
        size=(90, 130),
        network={
            "num_classes": 2,
            "backbone_indices": [1, 3],
            "cm_bin_sizes": [1, 3],
            "arm_out_chs": [24],
            "seg_head_inter_chs": [16],
        },
    ),
    "MobileSeg/attention": Case("MobileNetV2_x0_25", network={**PUBLISHED, "arm_type": "UAFMMobile_SpAtten"}),
}


def run(case: Case) -> dict[str, np.ndarray]:
    """Outputs of the original: ``digest``, ``f0``.. (backbone) or ``logits``, ``logits_aux1``.. (network).

    With the valid interpolate module ``logits`` are the labels that PaddleSeg returns in their place.
    """
    import paddle
    from paddleseg import models
    from paddleseg.cvlibs import manager
    from paddleseg.models import backbones

    # The original gives its parameters fixed internal names; the guard admits them once per network.
    with paddle.utils.unique_name.guard():
        # ResNet34_vd is part of the package without being registered.
        build = manager.BACKBONES.components_dict.get(case.type) or getattr(backbones, case.type)
        layer = build(**case.args)
        prefix = "backbone."
        if case.network is not None:
            layer, prefix = getattr(models, case.kind)(backbone=layer, **case.network), ""
    shapes = {prefix + key: list(value.shape) for key, value in layer.state_dict().items()}
    layer.set_state_dict({key[len(prefix) :]: fill_value(key, shape) for key, shape in shapes.items()})
    layer.eval()
    if case.kind == "MobileSeg" and case.network is not None:
        # The auxiliary logits exist in training mode only; the norms keep their running statistics.
        layer.training = True
    with paddle.no_grad():
        outputs = layer(paddle.to_tensor(input_image(*case.size)))
    if isinstance(outputs, paddle.Tensor):
        outputs = [outputs]
    if case.network is None:
        names = [f"f{index}" for index in range(len(outputs))]
    else:
        names = ["logits", *(f"logits_aux{index}" for index in range(1, len(outputs)))]
    result = {name: sample(output.numpy()) for name, output in zip(names, outputs, strict=True)}
    return {"digest": np.array(digest(shapes)), "size": np.array(case.size), **result}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="run the cases whose name contains this text, keep the others")
    only = parser.parse_args().only
    stored = dict(np.load(TARGET)) if TARGET.exists() else {}
    chosen = {name: case for name, case in CASES.items() if only in name}
    kept = {key: value for key, value in stored.items() if key.rsplit(":", 1)[0] in CASES.keys() - chosen.keys()}
    for name, case in chosen.items():
        kept.update({f"{name}:{key}": value for key, value in run(case).items()})
        print(name, flush=True)
    np.savez_compressed(TARGET, **kept)
    print(f"{TARGET.relative_to(ROOT)}: {len(CASES)} cases, {TARGET.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
