"""Networks for the tests of compression, with weights by the rule of names."""

import numpy as np
import paddle

from mobileseg.compress.channels.modes import DROPOUTS
from mobileseg.config.build import build_network
from tests.model_tester import fill

SEMANTIC = ("MobileNetV2_x0_5", "MobileNetV3_large_x0_5", "GhostNet_x0_5", "ShuffleNetV2_x0_5", "Lite_HRNet_18")
SECTIONS = {
    **{name: {"type": "MobileSeg", "num_classes": 3, "backbone": {"type": name}} for name in SEMANTIC},
    "EfficientNetLite0": {"type": "MobileSeg", "num_classes": 3, "backbone": {"type": "EfficientNetLite0"}},
    "TopFormer": {"type": "TopFormer", "num_classes": 3, "backbone": {"type": "TopTransformer_Tiny"}},
    "PPMobileSeg": {
        "type": "PPMobileSeg",
        "num_classes": 3,
        "backbone": {"type": "MobileSeg_Tiny", "inj_type": "AAMSx8", "drop_path_rate": 0.0},
    },
    "SpAtten": {
        "type": "MobileSeg",
        "num_classes": 3,
        "backbone": {"type": "ResNet18"},
        "arm_type": "UAFMMobile_SpAtten",
        "cm_bin_sizes": [1, 2, 4],
        "use_last_fuse": True,
    },
    "Yolact": {"type": "Yolact", "num_classes": 3, "backbone": {"type": "ResNet50"}, "input_size": 128},
    "MobileYolact": {
        "type": "MobileYolact",
        "num_classes": 3,
        "backbone": {"type": "MobileNetV2_x0_5"},
        "input_size": 128,
        "proto_detail": True,
    },
}


def build(name: str) -> paddle.nn.Layer:
    return fill(build_network(SECTIONS[name]))


def image(height: int = 64, width: int = 96, seed: int = 0) -> paddle.Tensor:
    return paddle.to_tensor(np.random.default_rng(seed).normal(size=(1, 3, height, width)).astype(np.float32))


def outputs(network: paddle.nn.Layer, x: paddle.Tensor, training: bool = False) -> dict[str, np.ndarray]:
    network.train() if training else network.eval()
    for layer in network.sublayers():
        if isinstance(layer, DROPOUTS):
            layer.eval()  # two networks would be compared on different draws
    with paddle.no_grad():
        return {name: value.numpy() for name, value in network(x).items()}
