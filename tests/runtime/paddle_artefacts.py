"""Writes the colour graph of `artefacts.py` for Paddle Inference, Paddle Lite x86 and NCNN.

Run as ``python -m tests.runtime.paddle_artefacts FOLDER [--dynamic]`` in a process of its own: Paddle and the Lite
converter stay out of the test process.
"""

from __future__ import annotations

import sys
import zlib  # noqa: F401  # before Paddle
from dataclasses import replace
from pathlib import Path

import numpy as np

from mobileseg.files import sha256_of
from mobileseg.runtime.specs import GraphFiles
from tests.manifests import rewritten
from tests.runtime.artefacts import artefact


def write(folder: Path, *, dynamic: bool) -> None:
    """Add paddle, lite_x86 and ncnn files to an artefact with labels as output (NCNN ends at the logits)."""
    import paddle
    from paddlelite.lite import Opt

    manifest = artefact(folder, output="labels", dynamic=dynamic)
    height, width = (None, None) if dynamic else (16, 24)
    weight = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1) * 2.0

    class Colours(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            # Hands the pixels on unchanged; but Paddle Lite keeps buffers of the first size for it.
            self.wide = paddle.nn.Conv2D(3, 16, 3, padding=1, bias_attr=False)
            self.wide.weight.set_value(
                np.pad(np.eye(16, 3, dtype=np.float32)[..., None, None], [(0, 0)] * 2 + [(1, 1)] * 2)
            )
            self.head = paddle.nn.Conv2D(16, 3, 1, bias_attr=False)
            self.head.weight.set_value(np.pad(weight, ((0, 0), (0, 13), (0, 0), (0, 0))))

        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            return self.head(self.wide(x)).argmax(axis=1, dtype="int32")

    spec = paddle.static.InputSpec([1, 3, height, width], "float32", name="x")
    paddle.jit.save(paddle.jit.to_static(Colours(), input_spec=[spec]), str(folder / "model"))
    (folder / "model.pdiparams.info").unlink(missing_ok=True)

    converter = Opt()
    converter.set_model_file(str(folder / "model.pdmodel"))
    converter.set_param_file(str(folder / "model.pdiparams"))
    converter.set_valid_places("x86")
    converter.set_model_type("naive_buffer")
    converter.set_optimize_out(str(folder / "model.x86"))
    converter.run()

    (folder / "model.ncnn.param").write_text(
        "7767517\n2 2\nInput in0 0 1 in0\nConvolution head 1 1 in0 out0 0=3 1=1 5=0 6=9\n"
    )
    (folder / "model.ncnn.bin").write_bytes(b"\0\0\0\0" + weight.tobytes())

    config = paddle.inference.Config(str(folder / "model.pdmodel"), str(folder / "model.pdiparams"))
    config.disable_glog_info()
    name = paddle.inference.create_predictor(config).get_output_names()[0]
    logits = replace(
        manifest.outputs_of()[0], name="logits", kind="logits", dtype="float32", shape=(1, 3, height or -1, width or -1)
    )
    engines = {
        **manifest.graphs["main"].files,
        "paddle": GraphFiles(model="model.pdmodel", params="model.pdiparams", outputs={"labels": name}),
        "lite_x86": GraphFiles(model="model.x86.nb", outputs={"labels": name}),
        "ncnn": GraphFiles(
            param="model.ncnn.param",
            bin="model.ncnn.bin",
            inputs={"x": "in0"},
            outputs={"logits": "out0"},
            output_specs=(replace(logits, resize="labels-nearest"),),
        ),
    }
    files = {path.name: sha256_of(path) for path in sorted(folder.glob("model.*"))}
    rewritten(folder, manifest, engines=engines, files=files)


if __name__ == "__main__":
    write(Path(sys.argv[1]), dynamic="--dynamic" in sys.argv)
