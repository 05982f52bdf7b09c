"""Images that occur twice: inside a split, or in two splits that must not share any."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.scan import Examples, Summary

# Correlation of two 16x16 grey thumbnails. Copies that were re-encoded, halved, brightened by a fifth or cropped by
# 2 % reach 0.98; frames of two different drives through one town (CamVid train and val) stay below 0.94.
SIMILAR = 0.98
_SIDE = 16
_CHUNK = 2048


def duplicate_findings(summary: Summary) -> Iterator[Finding]:
    """Images of equal content inside one split."""
    found = Examples()
    for files in summary.digests.values():
        for file in files[1:]:
            found.add(f"{file} = {files[0]}")
    if found.count:
        yield Finding(
            "warning",
            "duplicate",
            f"images are copies of another image of the same split: {found.count} of {summary.scanned}",
            tuple(found.files),
            found.count,
            "take the copies out of the list; they count twice",
            summary.name,
        )


def leak_findings(summaries: Mapping[str, Summary]) -> Iterator[Finding]:
    """Images that two splits share: by path, by content, or by their looks; parts of one split may."""
    for first, second in combinations(summaries.values(), 2):
        if first.name.split(".")[0] == second.name.split(".")[0]:
            continue
        by_path, by_content, same = Examples(), Examples(), set()
        paths = {os.path.realpath(item.image) for item in first.dataset.items}
        for item in second.dataset.items:
            if os.path.realpath(item.image) in paths:
                by_path.add(item.image)
                same.add(str(item.image))
        for digest, files in second.digests.items():
            for file in files:
                if digest in first.digests and file not in same:
                    by_content.add(f"{file} = {first.digests[digest][0]}")
                    same.add(file)
        pair = f"{first.name} and {second.name}"
        fix = f"take them out of one of the two lists; {second.name} must not contain what was learnt"
        for code, found, text in (
            ("leak-path", by_path, "images are in both"),
            ("leak-content", by_content, "images have the same content in both"),
        ):
            if found.count:
                message = f"{text} {pair}: {found.count}"
                yield Finding("error", code, message, tuple(found.files), found.count, fix)
        similar = _similar(first, second, same)
        if similar.count:
            yield Finding(
                "warning",
                "leak-similar",
                f"images of {second.name} look almost like one of {first.name} "
                f"(a copy, the mirrored image, or the next frame of one video): {similar.count}",
                tuple(similar.files),
                similar.count,
                "split by scene or by video, not frame by frame",
            )


def _similar(first: Summary, second: Summary, known: set[str]) -> Examples:
    found = Examples()
    if not first.thumbnails or not second.thumbnails:
        return found
    left = np.stack(first.thumbnails)
    for start in range(0, len(second.thumbnails), _CHUNK):
        right = np.stack(second.thumbnails[start : start + _CHUNK])
        mirrored = right.reshape(-1, _SIDE, _SIDE)[:, :, ::-1].reshape(len(right), -1)
        best = np.full(len(right), -1.0, np.float32)
        partner = np.zeros(len(right), np.int64)
        for offset in range(0, len(left), _CHUNK):
            block = left[offset : offset + _CHUNK]
            scores = np.maximum(block @ right.T, block @ mirrored.T)
            top = scores.argmax(axis=0)
            values = scores[top, np.arange(len(right))]
            better = values > best
            best[better], partner[better] = values[better], top[better] + offset
        for index in np.flatnonzero(best > SIMILAR):
            file = second.thumbnail_files[start + index]
            if file not in known:
                found.add(f"{file} ~ {first.thumbnail_files[partner[index]]}")
    return found
