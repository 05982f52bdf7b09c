"""Average the weights of runs that ended near each other: one network, often a little better than each of them.

    python tools/average_weights.py CONFIG RUN RUN... --output model.pdparams
    mobileseg val CONFIG --model_path model.pdparams

All runs must go back to the same weights (one continues the other, or both continue a third), or their average is of no
use: evaluate it. From a run that averages its weights while training, that average is taken. The method is that of
"Model soups" (Wortsman et al., 2022).
"""

from __future__ import annotations

import argparse
import sys
import zlib  # noqa: F401  (before Paddle)
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from mobileseg.config.build import build_network  # noqa: E402
from mobileseg.config.load import load_config  # noqa: E402
from mobileseg.errors import MobileSegError  # noqa: E402
from mobileseg.training.weights import load_checkpoint_weights  # noqa: E402
from mobileseg.weights.pdparams import save_pdparams  # noqa: E402


def averaged(config: Path, runs: list[Path]) -> dict[str, np.ndarray]:
    """The mean of every weight and statistic over the runs, float32 by name.

    Args:
        config: of the network.
        runs: run or checkpoint folders, or weights files; at least one.

    Raises:
        WeightsError: weights are of another network.
        TrainingError: a folder holds no whole checkpoint.
    """
    network = build_network(load_config(str(config)), load_pretrained=False)
    sums: dict[str, np.ndarray] = {}
    for run in runs:
        load_checkpoint_weights(run, network)
        for name, tensor in network.state_dict().items():
            sums[name] = sums.get(name, 0.0) + tensor.numpy().astype(np.float64)
    return {name: (total / len(runs)).astype(np.float32) for name, total in sums.items()}


def main() -> None:
    """Read, average, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", type=Path, help="configuration of the network")
    parser.add_argument("runs", type=Path, nargs="+", help="run folders, checkpoints or weights files")
    parser.add_argument("--output", type=Path, required=True, help=".pdparams file to write")
    args = parser.parse_args()
    try:
        if args.output.exists():
            raise MobileSegError(f"{args.output} exists already", remedy="name another file with --output")
        state = averaged(args.config, args.runs)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        save_pdparams(args.output, state)
    except MobileSegError as error:
        sys.exit(f"error: {error}")
    print(f"{args.output}: average of {len(args.runs)} networks, {len(state)} tensors")


if __name__ == "__main__":
    main()
