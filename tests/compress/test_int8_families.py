"""Networks with attention or with padding of their own, trained for a moment, in int8: attention stays in float."""

import onnx
import pytest
import yaml

from mobileseg.cli import main
from mobileseg.config.load import load_config
from mobileseg.data.synthetic.datasets import generate
from mobileseg.runtime.manifest import Manifest
from mobileseg.training.trainer import Trainer

SIZE = (64, 96)
MODELS = {
    "efficientnet_lite": {"type": "MobileSeg", "backbone": {"type": "EfficientNetLite0"}, "aux_heads": False},
    "topformer": {"type": "TopFormer", "backbone": {"type": "TopTransformer_Tiny"}},
    "pp_mobileseg": {"type": "PPMobileSeg", "backbone": {"type": "MobileSeg_Tiny", "inj_type": "AAMSx8"}},
}

SOFTMAXES = {"efficientnet_lite": 0, "topformer": 4, "pp_mobileseg": 8}
"""Attention layers: TopFormer has four blocks, StrideFormer two of two, with rows and columns apart."""


def dataset(root, mode):
    normalize = {"type": "Normalize", "mean": [0.5] * 3, "std": [0.5] * 3}
    lists = {f"{mode}_path": str(root / f"{mode}.txt"), "classes": str(root / "classes.txt")}
    return {
        "type": "Dataset", "dataset_root": str(root), "mode": mode, "num_classes": 5,
        "transforms": [normalize], **lists,
    }  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn") / "data"
    generate(root, train=16, val=4, size=SIZE, clips=0, val_clips=0)
    return root


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MODELS)
def test_int8(name, drawn, tmp_path):
    section = {
        "batch_size": 4,
        "iters": 12,
        "save_interval": 12,
        "num_workers": 0,
        "train_dataset": dataset(drawn, "train"),
        "val_dataset": dataset(drawn, "val"),
        "model": {"num_classes": 5, **MODELS[name]},
        "optimizer": {"type": "AdamW", "weight_decay": 0.01},
        "lr_scheduler": {"type": "PolynomialDecay", "learning_rate": 0.003, "end_lr": 1e-4, "power": 0.9},
        "loss": {"types": [{"type": "CrossEntropyLoss"}], "coef": [1]},
        "export": {"size": {"height": SIZE[0], "width": SIZE[1]}, "targets": ["paddle", "onnx", "lite_arm"]},
        "compress": {
            "max_drop": 1.0,
            "measure": {"engines": ["onnxruntime"], "runs": 2},
            "quantize": {"algorithm": "avg", "images": 8, "auto_skip": False, "agreement": 0.01},
        },
    }
    file = tmp_path / "config.yml"
    file.write_text(yaml.safe_dump(section))
    Trainer(load_config(file), tmp_path / "run", do_eval=False).fit()
    words = ["compress", "quantize", "--model", str(tmp_path / "run"), "--save_dir", str(tmp_path / "out")]
    assert main(words) == 0
    manifest = Manifest.read(tmp_path / "out" / "int8")
    status = {row.engine: row.status for row in manifest.verification}
    assert status == {"paddle": "ok", "onnx": "ok", "lite_arm": "converted-not-run"}
    graph = onnx.load(str(tmp_path / "out" / "int8" / "model.onnx")).graph
    producers = {output: node.op_type for node in graph.node for output in node.output}
    rounded = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    scores = [output for node in graph.node if node.op_type in ("MatMul", "Softmax") for output in node.output]
    assert not rounded & set(scores)
    assert sum(node.op_type == "Softmax" for node in graph.node) == SOFTMAXES[name]
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert all(producers[node.input[1]] == "DequantizeLinear" for node in convolutions)
