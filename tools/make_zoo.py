"""Turn a finished run into a folder of the zoo: weights, configuration, one verified graph, and a card.

Every graph is first written and verified with the validation images of the configuration, in a folder that is
thrown away; its table goes into the card. The folder that is kept has the ONNX graph and a golden.npz of synthetic
images, so that no photograph of a dataset ends up in a repository::

    python tools/make_zoo.py output/NAME zoo/NAME --data "CamVid, 367 training images" --terms "research use"
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg import __version__
from mobileseg.commands.demo import network_scores
from mobileseg.config.build import build_network
from mobileseg.config.load import RUN_CONFIG, Config, load_config
from mobileseg.data.synthetic.datasets import generate
from mobileseg.errors import ExportError
from mobileseg.export.atomic_folder import refuse_existing
from mobileseg.export.exporter import export
from mobileseg.export.from_config import options_from
from mobileseg.export.options import ExportOptions
from mobileseg.export.table import format_rows
from mobileseg.files import sha256_of
from mobileseg.folders import put_in_place, scratch_folder, staged
from mobileseg.scores import Scores
from mobileseg.training.weights import load_checkpoint_weights
from mobileseg.weights.pdparams import save_pdparams

CARD = """\
# {name}: {score:.4f} {metric}

| | |
|---|---|
| network | {network} on {backbone} |
| data | {data} |
| terms | {terms} |
| iterations | {iters} of batch {batch} |
| input | {height} x {width} (height x width), RGB |
| configuration | `config.yml`, sha256 `{hash}` |
| made by | mobileseg {version}, `python tools/make_zoo.py` |

Use it:

```
mobileseg predict --model {folder} --output results photo.jpg      # the ONNX graph of this folder
mobileseg export --model {folder} --save_dir artefact               # all graphs, verified again
```

Scores of the network on the validation set (`mobileseg val {folder}/config.yml --model_path {folder}`):

```
{scores}
```

Every graph, compared with the network on validation images when this folder was made:

```
{table}
```

`golden.npz` holds synthetic images with the outputs of the network;
`mobileseg doctor model {folder}` replays them on every engine.
"""


def main() -> None:
    """Evaluate, verify, write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("folder", type=Path, help="folder to make, for example zoo/NAME")
    parser.add_argument("--data", required=True, help="what it was trained on, for the card")
    parser.add_argument("--terms", required=True, help="terms of use of data and weights, for the card")
    parser.add_argument("-o", "--opts", nargs="+", default=[], metavar="KEY=VALUE", help="override values")
    parser.add_argument(
        "--half",
        action="store_true",
        help="round the weights to half precision, before anything is scored and verified",
    )
    args = parser.parse_args()
    refuse_existing(args.folder, overwrite=False)
    with scratch_folder() as scratch, staged(args.folder, ExportError) as stage:
        named = Path(scratch, "named", args.folder.name)  # a configuration bears the name of its folder
        named.mkdir(parents=True)
        config = load_config(shutil.copy(args.run / RUN_CONFIG, named), args.opts)
        network = build_network(config, load_pretrained=False)
        load_checkpoint_weights(args.run / "best", network)
        network.eval()
        if args.half:
            round_weights(network)
        scores = network_scores(config, network)
        options = options_from(config, {})
        verified = export(network, config, Path(scratch, "all"), options=options, report=print)
        synthetic = Path(scratch, "synthetic")
        # Half the size keeps golden.npz small, and lets it hold the resize too.
        generate(synthetic, train=1, val=4, size=(options.height // 2, options.width // 2), clips=0, val_clips=0)
        scenes = [(synthetic / "images" / "val").rename(Path(scratch, "synthetic_scenes"))]
        # Synthetic scenes hardly look like photographs, so this reference may show few classes; its raw outputs
        # are compared all the same, and what the photographs show was above.
        export(network, config, stage, options=options, targets=["onnx"], images=scenes, accept_weak=True, report=print)
        kept = {name: value.numpy() for name, value in network.state_dict().items()}
        save_pdparams(
            stage / "model.pdparams", {name: halved(value) if args.half else value for name, value in kept.items()}
        )
        (stage / RUN_CONFIG).write_text(config.to_yaml(), encoding="utf-8")
        digest = sha256_of(stage / RUN_CONFIG)
        card = write_card(args, config, digest, options, scores, format_rows(verified.rows))
        (stage / "README.md").write_text(card, encoding="utf-8")
        put_in_place(stage, args.folder)
    size = sum(path.stat().st_size for path in args.folder.iterdir()) / 1e6
    print(f"{args.folder}: {size:.1f} MB, {scores.metric} {scores.score:.4f}")


def halved(value: np.ndarray) -> np.ndarray:
    """A float32 array in half precision, any other one as it is."""
    return value.astype(np.float16) if value.dtype == np.float32 else value


def round_weights(network: Any) -> None:
    """Let every weight be a number of half precision."""
    for tensor in network.state_dict().values():
        value = tensor.numpy()
        tensor.set_value(halved(value).astype(value.dtype))


def write_card(
    args: argparse.Namespace,
    config: Config,
    digest: str,
    options: ExportOptions,
    scores: Scores,
    table: str,
) -> str:
    """The text of README.md."""
    settings = config.to_dict()
    return CARD.format(
        name=args.folder.name,
        folder=args.folder.as_posix(),
        metric=scores.metric,
        score=scores.score,
        network=settings["model"]["type"],
        backbone=settings["model"]["backbone"]["type"],
        data=args.data,
        terms=args.terms,
        iters=settings["iters"],
        batch=settings["batch_size"],
        height=options.height,
        width=options.width,
        hash=digest,
        version=__version__,
        scores=scores.table,
        table=table,
    )


if __name__ == "__main__":
    main()
