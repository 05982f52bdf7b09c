"""How much faster a semantic network is when its upsampling and argmax are behind the graph.

    python tools/compare_output_forms.py --config configs/mobileseg/mobileseg_mobilenetv3_cityscapes_1024x512_80k.yml \\
        --size 256 256 --picture 256 256 --picture 720 1280

Exports the network twice, untrained unless ``--model_path`` names weights, with ``--output_op argmax`` and with
``labels``, and times both from the decoded picture to labels of its size, taking turns in one process on one thread.
Times are the processor's: on a machine that does other things at the same time they are what is left to look at. Labels
of both forms are compared as well.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2  # noqa: E402  # after the thread counts
import numpy as np  # noqa: E402

from mobileseg.export.options import ENGINES  # noqa: E402
from mobileseg.folders import scratch_folder  # noqa: E402

FORMS = ("argmax", "labels")


def main() -> None:
    """Export, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("-o", "--override", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--model_path", help="trained weights")
    parser.add_argument("--size", nargs=2, type=int, required=True, metavar=("H", "W"))
    parser.add_argument("--picture", nargs=2, type=int, action="append", metavar=("H", "W"), help="size of the picture")
    parser.add_argument("--image", help="photograph to use, resized to the sizes of the pictures")
    parser.add_argument("--target", default="onnx", choices=sorted(ENGINES))
    parser.add_argument("--runs", type=int, default=30)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with scratch_folder() as folder:
        segmenters = _segmenters(args, folder)
        for size in args.picture or [args.size]:
            _compare(segmenters, _picture(args.image, tuple(size)), args.runs)


def _segmenters(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    import paddle

    from mobileseg.config.build import build_network
    from mobileseg.config.load import load_config
    from mobileseg.export.exporter import export
    from mobileseg.export.from_config import options_from
    from mobileseg.runtime.segmenter import Segmenter
    from mobileseg.training.weights import load_checkpoint_weights

    config = load_config(args.config, args.override)
    paddle.seed(0)
    network = build_network(config, load_pretrained=False)
    if args.model_path:
        load_checkpoint_weights(args.model_path, network)
    network.eval()
    found = {}
    for form in FORMS:
        options = options_from(config, {"height": args.size[0], "width": args.size[1], "output_op": form})
        export(
            network,
            config,
            folder / form,
            options=options,
            targets=[args.target],
            accept_weak=True,
            untrained=not args.model_path,
        )
        found[form] = Segmenter(folder / form, engine=ENGINES[args.target])
    return found


def _picture(path: str | None, size: tuple[int, int]) -> np.ndarray:
    from mobileseg.data.io import read_image
    from mobileseg.export.from_config import synthetic_images
    from mobileseg.pixels import resize

    if path is None:
        return synthetic_images(size, 1)[0]
    return resize(read_image(path), size, cv2.INTER_AREA)


def _compare(segmenters: dict[str, Any], picture: np.ndarray, runs: int) -> None:
    times: dict[str, list[float]] = {form: [] for form in FORMS}
    post: dict[str, list[float]] = {form: [] for form in FORMS}
    labels = {}
    for run in range(runs + 2):
        for form in FORMS if run % 2 else FORMS[::-1]:
            segmenter = segmenters[form]
            start = time.process_time()
            image, fed, _ = segmenter.prepare(picture, reuse=True)
            outputs = segmenter.engine.run("main", {segmenter.manifest.image.name: fed})
            middle = time.process_time()
            labels[form] = segmenter.pipeline.finish(outputs, segmenter.geometry(image), {}).labels
            if run > 1:
                times[form].append((time.process_time() - start) * 1e3)
                post[form].append((time.process_time() - middle) * 1e3)
    ratios = np.array(times[FORMS[0]]) / np.array(times[FORMS[1]])
    low, median, high = np.percentile(ratios, (25, 50, 75))
    shown = "; ".join(f"{form} {np.median(times[form]):.2f} (post {np.median(post[form]):.2f}) ms" for form in FORMS)
    equal = float((labels[FORMS[0]] == labels[FORMS[1]]).mean())
    print(
        f"picture {picture.shape[0]}x{picture.shape[1]}: {shown}; ratio {median:.2f} ({low:.2f} to {high:.2f}), "
        f"labels equal {equal:.4%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
