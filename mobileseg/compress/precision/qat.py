"""Training with simulated int8 (quantisation-aware training), by PaddleSlim, through the suite's trainer.

PaddleSlim replaces every convolution by one that rounds its input and its weights in the forward pass and lets
gradients through (Jacob et al. 2018, arXiv:1712.05877). Norms are folded first, as they are on the device. What is
taken from the training are the weights; the ranges of activations are calibrated afterwards, as without training, so
that all graphs have one source of ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from paddle import nn

from mobileseg.compress.fold import fold_norms
from mobileseg.compress.precision.prepare import prepare, wanted_layers
from mobileseg.compress.precision.slim import require_paddleslim
from mobileseg.compress.steps import phase_config
from mobileseg.config.load import Config
from mobileseg.errors import CompressionError
from mobileseg.folders import scratch_folder
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.store import BEST, LAST
from mobileseg.training.trainer import Trainer
from mobileseg.weights.load import load_into

FOLDER = "qat"
_WRAPPER = "._layer."  # of the layer that observes what a convolution gives
_RATE = 0.1


def train_quantised(
    config: Config, load: Callable[[], Any], folder: Path, dataset: Any, say: Callable[[str], None]
) -> Any:
    """Train with simulated int8, going on where an interrupted call stopped.

    Args:
        config: with ``compress.quantize.qat``; without a learning rate there, a tenth of the configuration's is taken.
        load: builds the trained network.
        folder: for the run folder ``qat``.
        dataset: validation dataset.
        say: told what is going on.

    Returns:
        The network with the trained weights, norms folded, without simulated int8.

    Raises:
        CompressionError: the training was interrupted.
        DependencyError: PaddleSlim is not installed.
    """
    settings = config.compress.quantize
    phase = settings.qat
    assert phase is not None
    plain = load()
    with scratch_folder() as work:
        layers = wanted_layers(prepare(plain, config, dataset, work), settings.components, settings.skip)
    own = _training_config(config, phase)
    network = load()
    fold_norms(network)
    simulate(network, set(layers))
    say(f"train with simulated int8 in {len(layers)} layers, {phase.iters} iterations")
    trainer = Trainer(own, folder / FOLDER, network=network)
    result = trainer.fit("auto")
    if result.reason == "interrupted":
        raise CompressionError(
            f"the training with simulated int8 was interrupted at iteration {result.iteration}",
            remedy="run the same command again, it goes on there",
        )
    best = folder / FOLDER / BEST
    checkpoint = read_checkpoint(best if best.is_dir() else folder / FOLDER / LAST)
    load_into(plain, plain_weights(checkpoint.weights))
    plain.eval()
    return plain


def simulate(network: nn.Layer, layers: set[str]) -> None:
    """Let PaddleSlim replace these convolutions, in place.

    Args:
        network: norms folded.
        layers: paths.
    """
    require_paddleslim()
    from paddleslim.dygraph.quant import QAT

    for path, layer in network.named_sublayers():
        if isinstance(layer, (nn.Conv2D, nn.Conv2DTranspose)) and path not in layers:
            layer.skip_quant = True
    QAT(
        {
            "weight_quantize_type": "channel_wise_abs_max",
            "activation_quantize_type": "moving_average_abs_max",
            "quantizable_layer_type": ["Conv2D", "Conv2DTranspose"],
            "onnx_format": False,
        }
    ).quantize(network, inplace=True)


def plain_weights(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of a network with simulated int8 under the names of the network without it."""
    kept = {}
    for name, value in weights.items():
        plain = name.replace(_WRAPPER, ".")
        if not any(part.startswith(("_fake_quant_", "_ma_output_scale")) for part in plain.split(".")):
            kept[plain] = value
    return kept


def _training_config(config: Config, phase: Any) -> Config:
    """The configuration's training, but for the phase; folded norms cannot be frozen, and no average is kept."""
    config.require("lr_scheduler")
    assert config.lr_scheduler is not None
    if phase.learning_rate is None:
        phase = phase.model_copy(update={"learning_rate": config.lr_scheduler.learning_rate * _RATE})
    own = phase_config(config, phase, sparsity=None)
    interval = min(config.eval_interval or config.save_interval, phase.iters)
    return own.changed({"freeze": [], "ema": None, "eval_interval": interval, "save_interval": interval})
