"""Predictors of Paddle Inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import RuntimeEngineError

WRONG_FUSION = "reshape_transpose_matmul_mkldnn_fuse_pass"
"""Paddle's graph pass for oneDNN after which a product of two activations is wrong, without a word, when one of them
comes from a convolution by reshape and a swap of its last two axes: the attention of TopFormer as published."""


@dataclass(frozen=True)
class Part:
    """The files of one predictor and the tensors that it takes and gives.

    Attributes:
        name: for messages and for a table of precisions.
        model: ``.pdmodel``.
        params: ``.pdiparams``.
        shapes: file of collected shapes, None when there is none.
        inputs: names of the tensors that it takes.
        outputs: names of the tensors that it gives.
    """

    name: str
    model: Path
    params: Path
    shapes: Path | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class PredictorStage:
    """One predictor.

    Args:
        part: what it runs.
        inference: the module `paddle.inference`.
        config: a `Config` of that module, complete.

    Raises:
        RuntimeEngineError: Paddle cannot load the graph, or the graph has other inputs or outputs.
    """

    def __init__(self, part: Part, inference: Any, config: Any) -> None:
        self.part = part
        try:
            self._predictor = inference.create_predictor(config)
        except Exception as error:  # Paddle raises RuntimeError, ValueError, OSError and types of its own
            raise RuntimeEngineError(
                f"Paddle Inference cannot load {part.model}: {brief(error)}", remedy="export the folder again"
            ) from error
        inputs, outputs = self._predictor.get_input_names(), self._predictor.get_output_names()
        if set(part.inputs) != set(inputs) or set(part.outputs) - set(outputs):
            raise RuntimeEngineError(
                f"{part.model} has inputs {list(inputs)} and outputs {list(outputs)}, the manifest says "
                f"{', '.join(part.inputs)} and {', '.join(part.outputs)}",
                remedy="export the folder again",
            )

    def run(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs by name, arrays of the caller's own.

        Raises:
            RuntimeEngineError: Paddle failed.
        """
        for name in self.part.inputs:
            handle = self._predictor.get_input_handle(name)
            handle.reshape(values[name].shape)
            handle.copy_from_cpu(values[name])
        try:
            self._predictor.run()
        except Exception as error:
            shapes = ", ".join(str(list(values[name].shape)) for name in self.part.inputs)
            raise RuntimeEngineError(f"Paddle Inference failed on an input of {shapes}: {brief(error)}") from error
        return {name: self._predictor.get_output_handle(name).copy_to_cpu() for name in self.part.outputs}


def on_cpu(config: Any, *, onednn: bool) -> None:
    """Make a `Config` of Paddle Inference compute on the CPU.

    Args:
        config: changed in place.
        onednn: with oneDNN, which Paddle takes when nothing is said (without its faulty pass); else plain kernels.
    """
    config.disable_gpu()
    if onednn:
        config.enable_mkldnn()
        config.delete_pass(WRONG_FUSION)
    else:
        config.disable_mkldnn()


def collect_shapes(part: Part, inputs: Sequence[Mapping[str, np.ndarray]], target: Path) -> list[dict[str, np.ndarray]]:
    """Run a graph on the CPU as it stands and write the range of shapes of each of its tensors.

    Args:
        part: the graph.
        inputs: what to feed, run by run.
        target: text file to write, as ``Config.enable_tuned_tensorrt_dynamic_shape`` reads it.

    Returns:
        The outputs of each run.

    Raises:
        RuntimeEngineError: Paddle failed, or wrote nothing.
    """
    import zlib  # noqa: F401  # before Paddle, see mobileseg/__init__.py

    from paddle import inference

    config = inference.Config(str(part.model), str(part.params))
    on_cpu(config, onednn=False)
    config.disable_glog_info()
    config.collect_shape_range_info(str(target))
    stage = PredictorStage(part, inference, config)
    outputs = [stage.run(values) for values in inputs]
    del stage  # the file is complete when the predictor is gone
    if not target.is_file() or not target.stat().st_size:
        raise RuntimeEngineError(f"Paddle Inference collected no shapes of {part.model}")
    return outputs


def brief(error: Exception) -> str:
    """The last line with content: Paddle puts a C++ stack in front of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
