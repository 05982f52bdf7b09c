"""From what was found out about annotated objects to findings with file, id and remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.scan import EXAMPLES
from mobileseg.data.formats.coco_annotations import AnnotationError, AnnotationProblem
from mobileseg.instance.doctor_objects import TINY, ObjectSummary

FEW = 10  # objects of a class in the training split
_ALIKE = 0.82  # similarity of names (difflib); 'flwoer' and 'flower' have 0.83, 'truck' and 'trunk' 0.80
_FAR_MORE = 10  # times as many objects has the class that was meant
MANY_CROWDS = 0.5  # of the annotations; COCO has one in a hundred

# What a dataset refuses, see mobileseg.data.formats.coco_annotations.AnnotationProblem: code there -> (code here, text)
REFUSED = {
    "id": ("id-duplicate", "annotations without an id of their own"),
    "image": ("annotation-orphan", "annotations of images that the file does not list"),
    "category": ("category-unknown", "annotations of a class that the file does not list"),
    "box": ("box-broken", "boxes that are no boxes"),
    "polygon": ("polygon-broken", "polygons that cannot be drawn"),
    "rle": ("mask-unreadable", "run-length encodings that do not describe their image"),
    "mask": ("mask-missing", "annotations without a mask"),
    "crowd": ("crowd-broken", "values of iscrowd that are neither 0 nor 1"),
}

# code: (level, what it means for the annotations, fix)
_PROBLEMS: dict[str, tuple[str, str, str]] = {
    "size-differs": (
        "error",
        "images have another size than the annotations say",
        "use the images that were annotated (an EXIF-rotated photograph is turned when it is read), or correct "
        "width and height together with the coordinates",
    ),
    "mask-unreadable": (
        "error",
        "run-length encodings that do not describe their image",
        "export them again, in the size of the images",
    ),
    "mask-empty": ("warning", "masks without a pixel", "delete these annotations; training leaves them out"),
    "mask-outside": (
        "warning",
        "masks reach beyond their image",
        "check whether the annotations belong to these images, and in this size; the part outside is cut off",
    ),
    "box-degenerate": (
        "warning",
        "boxes without an area",
        "write bbox as x, y, width, height in pixels; training leaves these objects out",
    ),
    "box-outside": (
        "warning",
        "boxes reach beyond their image",
        "write bbox as x, y, width, height in pixels; the part outside is cut off",
    ),
    "box-mismatch": ("warning", "boxes do not fit their masks", "write bbox as x, y, width, height of the mask"),
    "annotation-duplicate": (
        "warning",
        "annotations with the class, box and mask of another one of the same image",
        "delete the copies; each would have to be found once more",
    ),
    "object-tiny": (
        "info",
        f"objects that are less than {TINY:g} pixels wide or high in the network's input",
        "nothing to do if small objects do not matter; else a larger input, or the images cut into tiles",
    ),
}


_HABITS = ("box-mismatch", "box-outside", "box-degenerate", "mask-empty", "mask-outside")
"""What is an error when most annotations have it."""


def habit_findings(name: str, summary: ObjectSummary) -> Iterator[Finding]:
    """What most annotations have wrong, so that training would learn something else than was annotated."""
    for finding in _problem_findings(name, summary):
        if finding.level == "error" and finding.code in _HABITS:
            yield finding


def refused_findings(
    name: str, error: AnnotationError, known: Mapping[str, tuple[str, str]] = REFUSED
) -> Iterator[Finding]:
    """Everything for which a dataset refused its annotations, one finding per kind.

    Args:
        name: of the split.
        error: what the dataset raised.
        known: code of a problem -> (code of its finding, what it means).
    """
    kinds: dict[str, list[AnnotationProblem]] = {}
    for problem in error.problems:
        kinds.setdefault(problem.code, []).append(problem)
    for kind, problems in kinds.items():
        code, text = known[kind]
        message = f"{text}: {len(problems)} in {error.source}; for example: {problems[0].message}"
        files = tuple(problem.message for problem in problems[:EXAMPLES])
        yield Finding("error", code, message, files, len(problems), problems[0].remedy, name)


def left_out_findings(name: str, left_out: Mapping[str, int], classes: Sequence[str]) -> Iterator[Finding]:
    """Labels that are no class; those that look like a slip of the pen name the class that was meant."""
    if not left_out:
        return
    shown = []
    for label, count in sorted(left_out.items())[:8]:
        near = difflib.get_close_matches(label.lower(), [one.lower() for one in classes], n=1, cutoff=_ALIKE)
        meant = next((one for one in classes if near and one.lower() == near[0]), None)
        shown.append(f"'{label}' ({count})" + (f", perhaps '{meant}'" if meant else ""))
    yield Finding(
        "warning",
        "label-unknown",
        f"objects with labels that are no class are left out: {'; '.join(shown)}",
        count=sum(left_out.values()),
        fix="correct the labels, or name them in classes",
        split=name,
    )


def alike_findings(name: str, summary: ObjectSummary, classes: Sequence[str]) -> Iterator[Finding]:
    """A class of few objects named almost like a frequent one: a slip of the pen makes a class of its own."""
    counts = summary.objects + summary.crowds
    for index in np.flatnonzero((counts > 0) & (counts < FEW)):
        for other in np.flatnonzero(counts >= _FAR_MORE * counts[index]):
            one, common = classes[index].lower().strip(), classes[other].lower().strip()
            if (
                index != other
                and difflib.SequenceMatcher(None, one, common).ratio() >= _ALIKE
                and not _numbered(one, common)
            ):
                yield Finding(
                    "warning",
                    "class-alike",
                    f"the class '{classes[index]}' ({counts[index]} objects) is written almost like "
                    f"'{classes[other]}' ({counts[other]})",
                    fix="if it is a slip of the pen, correct the labels; else nothing is to do",
                    split=name,
                )


def _numbered(one: str, other: str) -> bool:
    """Whether two names differ in their digits alone, which is what numbered classes are meant to do."""
    return one != other and re.sub(r"\d+", "", one) == re.sub(r"\d+", "", other)


def object_findings(
    name: str, summary: ObjectSummary, classes: tuple[str, ...], *, keep_empty: bool = False
) -> Iterator[Finding]:
    """What is wrong with the annotations of a split.

    Args:
        name: of the split.
        summary: what was found.
        classes: names.
        keep_empty: whether training uses images without objects.
    """
    yield from _problem_findings(name, summary)
    crowds = int(summary.crowds.sum())
    if crowds and crowds >= MANY_CROWDS * summary.total:
        yield Finding(
            "warning",
            "crowd-share",
            f"crowd regions (iscrowd: 1) are {crowds} of {summary.total} annotations; they are not learnt, and "
            "detections inside them count neither as right nor as wrong",
            fix="write iscrowd: 0 for single objects; brushes and RLE exports of some tools mark everything as crowd",
            split=name,
        )
    if not summary.objects.any():
        yield Finding(
            "warning" if name == "val" else "error",
            "no-objects",
            f"no object of the {len(classes)} classes in {summary.images} images: "
            + ("AP is not defined" if name == "val" else "there is nothing to learn"),
            fix="check the annotation file and the class names"
            if not crowds
            else f"all {crowds} annotations are crowd regions: write iscrowd: 0 for single objects",
            split=name,
        )
        return
    if summary.without.count:
        used = "they teach that nothing is there" if keep_empty else "training leaves them out (keep_empty: true: not)"
        yield Finding(
            "info",
            "images-without-objects",
            f"images without an annotation of these classes: {summary.without.count} of {summary.images}",
            tuple(summary.without.files),
            summary.without.count,
            "nothing to do when there is nothing to see in them" + ("" if name == "val" else f"; {used}"),
            name,
        )
    yield from _class_findings(name, summary, classes)
    yield from alike_findings(name, summary, classes)


def _problem_findings(name: str, summary: ObjectSummary) -> Iterator[Finding]:
    for code, (level, text, fix) in _PROBLEMS.items():
        found = summary.problems.get(code)
        if found is None:
            continue
        level, fix = _when_most(summary, code, level, fix)
        of = summary.images if code == "size-differs" else summary.total
        message = f"{text}: {found.count} of {of}; for example: {found.details[0]}"
        yield Finding(level, code, message, tuple(found.files), found.count, fix, name)


def _when_most(summary: ObjectSummary, code: str, level: str, fix: str) -> tuple[str, str]:
    """One wrong box or mask is a slip; when most of them are wrong, they are written in another way."""
    if code not in _HABITS or summary.count(code) <= summary.total / 2:
        return level, fix
    if code in ("mask-empty", "mask-outside"):
        if summary.fraction_masks > summary.total / 2:
            fix = "the polygons look like normalised coordinates (0..1): multiply them by its width and height"
        return "error", fix
    if summary.corners > summary.total / 2:
        fix = "they fit as x1, y1, x2, y2: write x1, y1, x2 - x1, y2 - y1"
    elif summary.fractions > summary.total / 2:
        fix = "they look like normalised coordinates (0..1): multiply them by its width and height"
    return "error", fix


def _class_findings(name: str, summary: ObjectSummary, classes: tuple[str, ...]) -> Iterator[Finding]:
    absent = [classes[index] for index in np.flatnonzero(summary.objects == 0)]
    if absent:
        consequence = "have no AP" if name == "val" else "cannot be learnt"
        yield Finding(
            "warning",
            "class-absent",
            f"{len(absent)} of {len(classes)} classes have no object and {consequence}: {', '.join(absent[:20])}",
            fix="add images of these classes, or leave the classes out with classes: [...]",
            split=name,
        )
    few = np.flatnonzero((summary.objects > 0) & (summary.objects < FEW))
    if name != "val" and len(few):
        shown = ", ".join(f"{classes[index]} ({summary.objects[index]})" for index in few[:20])
        yield Finding(
            "info",
            "class-rare",
            f"classes with fewer than {FEW} objects: {shown}",
            fix="add images of these classes",
            split=name,
        )
