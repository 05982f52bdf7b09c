"""List files: one line per image, ``image<separator>label``, paths relative to the dataset's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mobileseg.class_names import generated_names
from mobileseg.data.base import SegmentationDataset, check_count, checked_mode, existing_folder
from mobileseg.data.items import Item
from mobileseg.data.pixel_format import PixelFormat
from mobileseg.data.transforms.ranges import check_channels
from mobileseg.errors import ConfigError, DataError
from mobileseg.limits import broken_character, home_expanded, read_text
from mobileseg.registry import DATASETS

CLASS_FILE = "classes.txt"


def read_list(path: Path, root: Path, separator: str = " ", labels_needed: bool = True) -> list[Item]:
    """Read a list file; empty lines are skipped.

    Args:
        path: the list file, UTF-8.
        root: folder that the paths in it are relative to.
        separator: what stands between image and label.
        labels_needed: whether a line without a label is an error.

    Raises:
        DataError: the file is missing or empty, or a line does not have two fields.
    """
    items = []
    for number, line in read_lines(path, "check train_path / val_path"):
        fields = line.split(separator)
        if separator.isspace():  # two blanks are meant as one
            fields = [field for field in fields if field.strip()]
        if len(fields) != 2 and (labels_needed or len(fields) != 1):
            raise DataError(
                f"{path}:{number}: expected 'image{separator}label' with separator {separator!r}, "
                f"found {len(fields)} field{'s' if len(fields) != 1 else ''}: {line[:120]!r}",
                remedy=_separator_hint(line, separator),
            )
        items.append(Item(*(root / field.strip() for field in fields), *([None] if len(fields) == 1 else [])))
    if not items:
        raise DataError(f"the list file {path} is empty", remedy="write one line 'image label' per image")
    return items


def read_lines(path: Path, remedy: str) -> Iterator[tuple[int, str]]:
    """Number and text of every line that is not empty, UTF-8 with or without a byte order mark.

    Backslashes, as Windows writes them, become slashes.

    Args:
        path: the list file.
        remedy: what to do when there is none.

    Raises:
        DataError: the file is missing, no text, no regular file, or has characters that no file name can have.
    """
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise DataError(f"the list file {path} does not exist", remedy=remedy) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"the list file {path} cannot be read: {reason}", remedy="save it as UTF-8 text") from error
    for number, whole in enumerate(text.splitlines(), 1):
        line = whole.strip()
        broken = broken_character(line.replace("\t", " "))
        if broken:
            raise DataError(
                f"{path}:{number}: the line has the character {broken}, which no file name can have: {line[:120]!a}",
                remedy="write the list again as UTF-8 text",
            )
        if line:
            yield number, line.replace("\\", "/")


def _separator_hint(line: str, separator: str) -> str:
    for other, name in (("\t", 'separator: "\\t"'), (",", 'separator: ","'), (" ", 'separator: " "')):
        if other != separator and len(line.split(other)) == 2:
            return f"the line splits in two at {other!r}: write {name} in the dataset section"
    if len(line.split(separator)) > 2:
        return "file names must not contain the separator: use another one, for example separator: ','"
    return "write image and label into each line"


def read_class_names(path: Path) -> tuple[str, ...]:
    """Class names, one per line, the line number being the index (from 0); empty lines at the end are dropped.

    Raises:
        DataError: the file cannot be read, or has an empty line between names.
    """
    try:
        lines = read_text(path).rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the class file {path} cannot be read: {error}", remedy="one name per line, UTF-8") from error
    names = tuple(line.strip() for line in lines)
    if "" in names:
        raise DataError(
            f"{path}:{names.index('') + 1}: the line is empty; the number of a line is the index of its class",
            remedy="delete the line, or name the class",
        )
    return names


def find_file(name: str | os.PathLike[str], root: Path) -> Path:
    """``name`` as given or, when there is no such file, inside ``root``."""
    path = home_expanded(name)  # os.path is also content with a name that no file can have
    return path if os.path.exists(path) or not os.path.exists(root / path) else root / path


def class_names(
    classes: Sequence[str] | str | None, num_classes: int | None, list_file: Path, root: Path
) -> tuple[str, ...]:
    """Names from the ``classes`` argument, from classes.txt beside the list file, or 'class 0', 'class 1', ...

    Raises:
        ConfigError: number of names and ``num_classes`` contradict each other, or neither is known.
    """
    if num_classes is not None:
        check_count(num_classes)
    origin = "classes"
    names: tuple[str, ...] = ()
    if isinstance(classes, str):
        file = find_file(classes, root)
        origin, names = str(file), read_class_names(file)
    elif classes is not None:
        names = tuple(str(name) for name in classes)
    elif (list_file.parent / CLASS_FILE).is_file():
        origin = str(list_file.parent / CLASS_FILE)
        names = read_class_names(list_file.parent / CLASS_FILE)
    if names and num_classes is not None and len(names) != num_classes:
        raise ConfigError(
            f"num_classes is {num_classes} but {origin} has {len(names)} names",
            remedy="correct num_classes, or name the classes with 'classes: [...]'",
        )
    if not names and num_classes is None:
        raise ConfigError(
            "the dataset has neither num_classes nor classes",
            remedy=f"write num_classes: N, or put {CLASS_FILE} beside the list file",
        )
    return names or generated_names(num_classes or 0)


@DATASETS.add_component
class Dataset(SegmentationDataset):
    """PaddleSeg's list-file dataset.

    Args:
        dataset_root: folder that the paths in the lists are relative to.
        transforms: steps of the pipeline.
        mode: 'train', 'val' or 'test'; picks the list.
        num_classes: number of classes; may be left out when ``classes`` or classes.txt says it.
        train_path: list file, relative to the working folder or else to ``dataset_root``; so are the next two.
        val_path: list file.
        test_path: list file; its lines need no label.
        separator: what stands between image and label.
        ignore_index: label value of pixels that count nowhere.
        img_channels: 1 to 4, see :class:`~mobileseg.data.pixel_format.PixelFormat`.
        img_range: least and largest value of a pixel, for images of 16 bits; None: 0..255.
        edge: accepted for PaddleSeg's configs; edge losses here derive edges from the label.
        classes: names, or a file with one name per line.
        label_map: stored value -> class index.
        seed: start of all random choices.

    Raises:
        DataError: folder or list missing, list empty or with malformed lines.
        ConfigError: arguments that contradict each other.
    """

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        num_classes: int | None = None,
        train_path: str | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        separator: str = " ",
        ignore_index: int = 255,
        img_channels: int = 3,
        img_range: Sequence[int] | None = None,
        edge: bool = False,
        classes: Sequence[str] | str | None = None,
        label_map: Mapping[Any, Any] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "Dataset", ("train", "val", "test"))
        self.pixels = PixelFormat(img_channels, None if img_range is None else tuple(img_range))  # type: ignore[arg-type]
        if not isinstance(separator, str) or not separator:
            raise ConfigError(
                f"separator is {separator!r}" if separator else "separator is empty", remedy="write separator: ' '"
            )
        root = existing_folder(dataset_root, "Dataset", "check dataset_root; it is relative to the working folder")
        name = {"train": train_path, "val": val_path, "test": test_path}[mode]
        if name is None:
            raise ConfigError(f"mode is '{mode}' but {mode}_path is not given", remedy=f"write {mode}_path: LIST.txt")
        list_file = find_file(name, root)
        super().__init__(
            read_list(list_file, root, separator.replace("\\t", "\t"), labels_needed=mode != "test"),
            mode=mode,
            transforms=transforms,
            classes=class_names(classes, num_classes, list_file, root),
            ignore_index=ignore_index,
            label_map=label_map,
            seed=seed,
            source=str(list_file),
        )
        check_channels(self.transforms, self.pixels.channels)
