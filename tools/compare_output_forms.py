"""How much faster a semantic segmentation model is when its upsampling and argmax are behind the graph.

    python tools/compare_output_forms.py --config configs/mobileseg/mobileseg_mobilenetv3_cityscapes_1024x512_80k.yml \\
        --size 256 256 --image_size 256 256 --image_size 720 1280

Exports the network twice, untrained unless ``--model_path`` names weights, with ``--output_op argmax`` and with
``labels``, and times both from the decoded image to labels of its size, taking turns in one process on one thread.
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
from network_export import export_to, image_of, network_of  # noqa: E402

from mobileseg.export.options import ENGINES  # noqa: E402
from mobileseg.folders import scratch_folder  # noqa: E402
from mobileseg.runtime.segmenter import Segmenter  # noqa: E402

FORMS = ("argmax", "labels")


def main() -> None:
    """Export, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", help="network to export in both forms")
    what.add_argument("--exported", nargs=2, metavar="FOLDER", help="exported models instead: argmax and labels")
    parser.add_argument("-o", "--override", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--model_path", help="trained weights")
    parser.add_argument("--size", nargs=2, type=int, metavar=("H", "W"), help="of the input, with --config")
    parser.add_argument("--image_size", nargs=2, type=int, action="append", metavar=("H", "W"), help="of the image")
    parser.add_argument("--image", help="photograph to use, resized to these sizes")
    parser.add_argument("--target", default="onnx", choices=sorted(ENGINES))
    parser.add_argument("--runs", type=int, default=30)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    if args.config and not args.size:
        parser.error("--config needs --size")
    with scratch_folder() as folder:
        folders = args.exported or _exported(args, folder)
        segmenters = dict(zip(FORMS, (Segmenter(place, engine=ENGINES[args.target]) for place in folders), strict=True))
        spec = segmenters["argmax"].manifest.image
        for size in args.image_size or [(spec.height, spec.width)]:
            _compare(segmenters, image_of(args.image, tuple(size)), args.runs)


def _exported(args: argparse.Namespace, folder: Path) -> list[Path]:
    config, network = network_of(args.config, args.override, args.model_path)
    for form in FORMS:
        export_to(
            config,
            network,
            folder / form,
            size=args.size,
            targets=[args.target],
            untrained=not args.model_path,
            output_op=form,
        )
    return [folder / form for form in FORMS]


def _compare(segmenters: dict[str, Any], image: np.ndarray, runs: int) -> None:
    times: dict[str, list[float]] = {form: [] for form in FORMS}
    post: dict[str, list[float]] = {form: [] for form in FORMS}
    labels = {}
    for run in range(runs + 2):
        for form in FORMS if run % 2 else FORMS[::-1]:
            segmenter = segmenters[form]
            start = time.process_time()
            _, fed, _ = segmenter.prepare(image, reuse=True)
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
        f"image {image.shape[0]}x{image.shape[1]}: {shown}; ratio {median:.2f} ({low:.2f} to {high:.2f}), "
        f"labels equal {equal:.4%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
