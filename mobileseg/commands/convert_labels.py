"""The parts of `mobileseg convert` for images with a class per pixel: lists, masks, colours, overlays."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobileseg.commands.outputs import keep_apart
from mobileseg.commands.progress import progress_counter
from mobileseg.errors import ConfigError, DataError
from mobileseg.files import write_whole

if TYPE_CHECKING:
    import numpy as np

_PARTS = ("train", "val", "test")
_CITYSCAPES: dict[str, list[str]] = {
    "folder": ["leftImg8bit", "gtFine"],
    "format": ["png", "png"],
    "postfix": ["_leftImg8bit", "_gtFine_labelTrainIds"],
}
_BACKGROUND = "_background_"
_GAP = 8  # pixels between images that are shown side by side


def add_parts(parts: Any) -> None:
    """Subcommands with the arguments of PaddleSeg's scripts for the same."""
    split = parts.add_parser("split", help="divide a folder at random: train.txt, val.txt, test.txt")
    split.add_argument("dataset_root", type=Path, help="folder of the dataset; the lists are written there")
    split.add_argument("images_dir_name", help="folder of the images in it")
    split.add_argument("labels_dir_name", help="folder of the labels in it")
    split.add_argument("--split", nargs=3, type=float, default=[0.7, 0.3, 0.0], metavar=("TRAIN", "VAL", "TEST"),
                       help="shares (default: 0.7 0.3 0)")  # fmt: skip
    split.add_argument("--seed", type=int, default=0, help="the same seed, the same lists (default: 0)")
    split.set_defaults(part=_split)
    lists = parts.add_parser("lists", help="list the folders train, val and test: train.txt, val.txt, test.txt")
    lists.add_argument("dataset_root", type=Path, help="folder of the dataset; the lists are written there")
    lists.add_argument("--type", choices=("custom", "cityscapes"), default="custom", help="layout (default: custom)")
    lists.add_argument("--folder", nargs=2, default=["images", "annotations"], metavar=("IMAGES", "LABELS"),
                       help="folders of images and labels (default: images annotations)")  # fmt: skip
    lists.add_argument("--second_folder", nargs="+", default=list(_PARTS), metavar="PART",
                       help="folders in those, each with a list (default: train val test)")  # fmt: skip
    lists.set_defaults(part=_lists)
    for part in (split, lists):
        part.add_argument("--separator", default=" ", help="between image and label (default: a blank)")
        part.add_argument("--format", nargs=2, default=["jpg", "png"], metavar=("IMAGES", "LABELS"),
                          help="suffixes (default: jpg png)")  # fmt: skip
        part.add_argument("--postfix", nargs=2, default=["", ""], metavar=("IMAGES", "LABELS"),
                          help="what stands before the suffix of one and not of the other")  # fmt: skip
        part.add_argument("--overwrite", action="store_true", help="replace lists that are there")
    labelme = parts.add_parser("labelme", help="masks of the shapes that were drawn with labelme")
    labelme.add_argument("input_dir", type=Path, help="folder of images with the JSON files of labelme")
    labelme.add_argument("--output", type=Path, metavar="DIR", help="folder of the masks (default: annotations/ in it)")
    labelme.add_argument("--classes", nargs="+", metavar="NAME",
                         help="labels of index 1, 2, ... (default: all, sorted); 0 is the background")  # fmt: skip
    labelme.set_defaults(part=_labelme)
    palette = parts.add_parser("palette", help="give grey label files a palette: the same values, seen in colours")
    palette.add_argument("dir_or_file", type=Path, help="folder of labels, or list file")
    palette.add_argument("output_dir", type=Path, help="folder to write, with the folders of the source")
    palette.add_argument("--dataset_dir", type=Path, help="of a list: what its paths are relative to (default: it)")
    palette.add_argument("--file_separator", default=" ", help="of a list (default: a blank)")
    palette.set_defaults(part=_palette)
    overlays = parts.add_parser("overlays", help="images, their labels and predictions side by side")
    overlays.add_argument("--file_path", type=Path, required=True, help="list file, paths relative to its folder")
    overlays.add_argument("--pred_dir", type=Path, help="folder of predicted labels, PNG, with the names of the images")
    overlays.add_argument("--save_dir", type=Path, default=Path("output/visualize_annotation"),
                          help="folder to write (default: output/visualize_annotation)")  # fmt: skip
    overlays.add_argument("--separator", default=" ", help="of the list (default: a blank)")
    overlays.set_defaults(part=_overlays)


def _split(args: argparse.Namespace) -> None:
    from mobileseg.data.formats.make_lists import divided, paired

    shares = dict(zip(_PARTS, args.split, strict=True))
    if min(args.split) < 0 or abs(sum(args.split) - 1.0) > 1e-6:
        raise ConfigError(
            f"--split is {' '.join(f'{share:g}' for share in args.split)}, which is no division of 1",
            remedy="--split 0.7 0.2 0.1",
        )
    root = args.dataset_root
    rows = paired(root / args.images_dir_name, root / args.labels_dir_name, _namings(args))
    parts = divided(len(rows), shares, args.seed)
    _write_lists(args, {name: [rows[index] for index in chosen] for name, chosen in parts.items()})


def _lists(args: argparse.Namespace) -> None:
    from mobileseg.data.formats.make_lists import paired

    if args.type == "cityscapes":
        vars(args).update(_CITYSCAPES)
    images, labels = (args.dataset_root / name for name in args.folder)
    namings = _namings(args)
    found: dict[str, list[Any]] = {}
    for part in args.second_folder:
        if (labels / part).is_dir():
            found[part] = paired(images / part, labels / part, namings)
        elif (images / part).is_dir():  # images without labels, to predict
            found[part] = [(path,) for path in namings[0].files(images / part).values()]
            print(f"{part}: there is no folder {labels / part}, the list names images alone")
        else:
            print(f"{part}: there is no folder {images / part}, no list is written")
    if not any(found.values()):
        raise DataError(
            f"none of {', '.join(str(images / part) for part in args.second_folder)} has images",
            remedy="name the folders with --folder and --second_folder",
        )
    _write_lists(args, {part: rows for part, rows in found.items() if rows})


def _namings(args: argparse.Namespace) -> Any:
    from mobileseg.data.formats.make_lists import Naming

    return tuple(Naming(suffix.lstrip("."), end) for suffix, end in zip(args.format, args.postfix, strict=True))


def _write_lists(args: argparse.Namespace, parts: dict[str, list[Any]]) -> None:
    from mobileseg.data.formats.make_lists import list_text

    texts = {
        args.dataset_root / f"{part}.txt": list_text(rows, args.dataset_root, args.separator)
        for part, rows in parts.items()
    }
    there = [str(path) for path in texts if path.exists()]
    if there and not args.overwrite:
        raise DataError(f"{', '.join(there)} exist already", remedy="add --overwrite to replace them")
    for path, text in texts.items():
        write_whole(path, text)
        print(f"{path}: {text.count(chr(10))} images")


def _labelme(args: argparse.Namespace) -> None:
    import numpy as np

    from mobileseg.data.formats.labelme_json import label_mask, label_names, labelled_image
    from mobileseg.viz.mask_file import write_mask
    from mobileseg.viz.palette import palette

    files = sorted(args.input_dir.glob("*.json"))
    if not files:
        raise DataError(f"{args.input_dir} has no JSON file", remedy="name the folder that labelme saved into")
    names = tuple(args.classes or (name for name in label_names(files) if name != _BACKGROUND))
    if not names:
        raise DataError(f"the files of labelme in {args.input_dir} have no shape", remedy="draw shapes with labelme")
    if len(names) > 254:
        raise DataError(f"{len(names)} labels are more than a mask can tell apart (254)", remedy="name --classes")
    output = args.output or args.input_dir / "annotations"
    keep_apart(output, files)
    output.mkdir(parents=True, exist_ok=True)
    colours = palette(len(names) + 1)
    pixels = np.zeros(256, np.int64)

    def convert(path: Path) -> None:
        target = output / f"{path.stem}.png"
        keep_apart(target, [labelled_image(path)])
        mask = label_mask(path, names)
        pixels[:] += np.bincount(mask.ravel(), minlength=256)
        write_mask(target, mask, colours)

    _each(files, convert)
    listed = (_BACKGROUND, *names)
    write_whole(args.input_dir / "class_names.txt", "".join(f"{name}\n" for name in listed))
    print(f"{output}: {len(files)} masks; {args.input_dir / 'class_names.txt'}: {len(listed)} classes")
    for index, name in enumerate(listed):
        print(f"  {index} {name}: {pixels[index] / pixels.sum():.2%} of the pixels")


def _palette(args: argparse.Namespace) -> None:
    from mobileseg.data.formats.listfile import read_list
    from mobileseg.data.io import IMAGE_SUFFIXES, read_label
    from mobileseg.viz.mask_file import write_mask
    from mobileseg.viz.palette import palette

    source, output = args.dir_or_file, args.output_dir
    if source.is_dir():
        root = source
        files = sorted(path for path in source.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    else:
        root = args.dataset_dir or source.parent
        items = read_list(source, root, args.file_separator)
        files = [item.label for item in items if item.label is not None]
    if not files:
        raise DataError(f"{source} has no label file", remedy="name a folder of PNG files, or a list file")
    keep_apart(output, [source] if source.is_dir() else files)
    colours = palette(256)

    def convert(path: Path) -> None:
        target = output / path.relative_to(root).with_suffix(".png")
        label = read_label(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_mask(target, label, colours)

    _each(files, convert)
    print(f"{output}: {len(files)} labels with a palette")


def _overlays(args: argparse.Namespace) -> None:
    import cv2
    import numpy as np

    from mobileseg.data.formats.listfile import read_list
    from mobileseg.data.io import read_image, read_label
    from mobileseg.semantic.drawing import overlay
    from mobileseg.viz.palette import palette

    root = args.file_path.parent
    items = read_list(args.file_path, root, args.separator)
    colours = palette(255)
    without = []
    if args.pred_dir is not None and not args.pred_dir.is_dir():
        raise ConfigError(f"--pred_dir {args.pred_dir} is no folder", remedy="name the folder of predicted labels")
    predictions: dict[Path, Path | None] = {}
    if args.pred_dir is not None:
        predictions = {item.image: _prediction(args.pred_dir, item.image, root) for item in items}
    read = [path for item in items for path in (item.image, item.label, predictions.get(item.image))]
    keep_apart(args.save_dir, [path for path in read if path is not None])

    def shown(image: np.ndarray, path: Path) -> np.ndarray:
        labels = read_label(path)
        if labels.shape != image.shape[:2]:
            raise DataError(f"{path} is {labels.shape[1]}x{labels.shape[0]}, its image is {image.shape[1]}x"
                            f"{image.shape[0]}", remedy="write labels of the size of the image")  # fmt: skip
        return overlay(image, labels, colours)

    def convert(item: Any) -> None:
        image = read_image(item.image)
        columns = [image, shown(image, item.label)]
        if args.pred_dir is not None:
            prediction = predictions[item.image]
            if prediction is None:
                without.append(item.image)
            else:
                columns.append(shown(image, prediction))
        gap = np.full((image.shape[0], _GAP, 3), 255, np.uint8)
        joined = np.concatenate([part for column in columns for part in (gap, column)][1:], axis=1)
        _, encoded = cv2.imencode(".png", cv2.cvtColor(joined, cv2.COLOR_RGB2BGR))
        target = args.save_dir / _below(item.image, root).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, encoded.tobytes())

    _each(items, convert)
    print(f"{args.save_dir}: {len(items)} images" + (f", {len(without)} without a prediction" if without else ""))


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else Path(path.name)


def _prediction(folder: Path, image: Path, root: Path) -> Path | None:
    """The prediction of an image: by its place, or by its name alone, as PaddleSeg writes it."""
    places = folder / _below(image, root).with_suffix(".png"), folder / f"{image.stem}.png"
    return next((path for path in places if path.is_file()), None)


def _each(items: Iterable[Any], work: Callable[[Any], None]) -> None:
    """Work on all; what one of them is wrong with is said, and does not stop the others.

    Raises:
        DataError: some could not be used.
    """
    listed = list(items)
    progress = progress_counter()
    failed = 0
    for number, item in enumerate(listed, 1):
        try:
            work(item)
        except DataError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
        if progress is not None:
            progress(number, len(listed))
    if failed:
        raise DataError(f"{failed} of {len(listed)} files could not be used, see above")
