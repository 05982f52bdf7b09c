"""Run the commands of PaddleSeg's quick start word for word, on generated data in its layout, and show what they print.

    python tools/try_tutorial.py PaddleSeg --iters 20 --write docs/from_paddleseg.md

PaddleSeg is a checkout of release 2.8: its page and its configuration are read there, nothing of it is changed. Export
and deployment follow with the same flags. Two things differ from a reader of the page: the images are made here, and
training is cut by `--iters`. The weights that the configuration names come from the cache; where they are not, random
ones are put there for the time of the trial.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
import zlib  # noqa: F401  # before Paddle 2.6, which brings a zlib that breaks Python's
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from mobileseg.files import sha256_of, write_whole  # noqa: E402

PAGE = "docs/quick_start.md"
DATA = "data/optic_disc_seg"
IMAGE = "H0002"
BEGIN, END = "<!-- output of tools/try_tutorial.py -->", "<!-- end of the output -->"
_PARTS = {"train": 8, "val": 4, "test": 1}
_SIZE = (416, 448)
_CONFIG = "configs/quick_start/pp_liteseg_optic_disc_512x512_1k.yml"
DEPLOYMENT = (
    f"python tools/export.py --config {_CONFIG} --model_path output/best_model/model.pdparams",
    "python deploy/python/infer.py --config output/inference_model/deploy.yaml "
    f"--image_path {DATA}/JPEGImages/{IMAGE}.jpg --save_dir output/infer",
)
_THEIR_INFERENCE = (
    "python {script} --config output/inference_model/deploy.yaml --image_path {image} --save_dir {output} --device cpu"
)


def tutorial_commands(checkout: Path) -> list[str]:
    """The Python commands of the page, one line each."""
    text = (checkout / PAGE).read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [" ".join(line.split()) for line in lines if line.startswith("python ")]


def make_data(root: Path) -> None:
    """Discs on a reddish ground in the layout of the tutorial's data: images, masks, lists."""
    for folder in ("JPEGImages", "Annotations"):
        (root / folder).mkdir(parents=True)
    number = 0
    for part, count in _PARTS.items():
        lines = []
        for _ in range(count):
            number += 1
            rng = np.random.default_rng(number)
            height, width = _SIZE
            mask = np.zeros(_SIZE, np.uint8)
            centre = (int(rng.integers(width // 3, 2 * width // 3)), int(rng.integers(height // 3, 2 * height // 3)))
            cv2.circle(mask, centre, int(rng.integers(30, 60)), 1, -1)
            image = np.clip([40, 60, 150] + rng.normal(0, 8, (*_SIZE, 3)) + mask[..., None] * [90, 120, 80], 0, 255)
            name = f"H{number:04d}"
            cv2.imwrite(str(root / f"JPEGImages/{name}.jpg"), image.astype(np.uint8))
            cv2.imwrite(str(root / f"Annotations/{name}.png"), mask)
            lines.append(f"JPEGImages/{name}.jpg Annotations/{name}.png\n")
        (root / f"{part}_list.txt").write_text("".join(lines), encoding="utf-8")


def provide_weights(checkout: Path, cache: Path) -> None:
    """Random weights in the cache, where the configuration's address would be downloaded to."""
    import paddle
    from paddleseg.models import STDC2

    from mobileseg.weights.download import cached_path

    (address,) = re.findall(r"https://\S+\.tar\.gz", (checkout / _CONFIG).read_text(encoding="utf-8"))
    os.environ["MOBILESEG_CACHE"] = str(cache)
    target = cached_path(address)
    if target.exists():
        return
    target.parent.mkdir(parents=True)
    paddle.seed(0)
    with tempfile.TemporaryDirectory() as work:
        paddle.save(STDC2().state_dict(), f"{work}/model.pdparams")
        with tarfile.open(target, "w:gz") as archive:
            archive.add(f"{work}/model.pdparams", "PP_STDCNet2/model.pdparams")
    target.with_name(f"{target.name}.sha256").write_text(f"{sha256_of(target)}  {target.name}\n", encoding="utf-8")


def run_all(checkout: Path, folder: Path, iters: int, *, batch_size: int | None = None) -> Iterator[tuple[str, str]]:
    """(command, what it printed), one after the other, in an empty folder that becomes a reader's PaddleSeg folder.

    Raises:
        SystemExit: a command failed.
    """
    make_data(folder / DATA)
    for name in ("tools", "deploy"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "configs").symlink_to(checkout.resolve() / "configs")
    cut = f" --iters {iters}" + (f" --batch_size {batch_size}" if batch_size else "")
    for command in (*tutorial_commands(checkout), *DEPLOYMENT):
        said = command + cut if "tools/train.py" in command else command
        yield said, run(said, folder)


def run(command: str, folder: Path) -> str:
    """Output of a command without what Paddle says about itself."""
    words = shlex.split(command)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GLOG_minloglevel": "2", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    text = f"{done.stdout}{done.stderr}".strip().replace(str(folder), ".")
    if done.returncode:
        raise SystemExit(f"{command}\nended with code {done.returncode}:\n{text}")
    return text


def inferred_alike(checkout: Path, folder: Path) -> float:
    """Share of pixels in which PaddleSeg's own infer.py and ours agree, on the exported model; of all images."""
    script = checkout.resolve() / "deploy/python/infer.py"
    images = f"{DATA}/JPEGImages"
    run(_THEIR_INFERENCE.format(script=script, image=images, output="theirs"), folder)
    run(_THEIR_INFERENCE.format(script="deploy/python/infer.py", image=images, output="ours"), folder)
    same = total = 0
    for path in sorted((folder / "ours").glob("*.png")):
        from PIL import Image

        ours, theirs = (np.asarray(Image.open(folder / side / path.name)) for side in ("ours", "theirs"))
        same, total = same + int((ours == theirs).sum()), total + ours.size
    return same / total


def as_page(found: list[tuple[str, str]], alike: float) -> str:
    """Commands with their output, for a page."""
    parts = [f"```\n$ {command}\n{output}\n```" for command, output in found]
    share = (
        f"PaddleSeg's own `deploy/python/infer.py` gives the same label for {alike:.4%} of the pixels of all images."
    )
    return "\n\n".join([*parts, share])


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", type=Path, help="checkout of PaddleSeg 2.8")
    parser.add_argument("--iters", type=int, default=20, help="iterations of training (the page has 1000)")
    parser.add_argument("--batch_size", type=int, help="images of an iteration (the page has 4)")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in, which stays")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace what stands between the marks of this page")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch, "PaddleSeg")
        folder.mkdir(parents=True, exist_ok=True)
        provide_weights(args.checkout, Path(scratch, "cache"))
        found = []
        for command, output in run_all(args.checkout, folder, args.iters, batch_size=args.batch_size):
            print(f"$ {command}\n{output}\n", flush=True)
            found.append((command, output))
        text = as_page(found, inferred_alike(args.checkout, folder))
    print(text.splitlines()[-1])
    if args.write:
        before, _, rest = args.write.read_text(encoding="utf-8").partition(BEGIN)
        write_whole(args.write, f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
