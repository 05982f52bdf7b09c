"""Videos of moving ellipses and the answers of a made-up tracker: missed, shifted and false objects, exchanged ids."""

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.video.metric_tracks import MaskTrack

SIZE = (72, 96)


def rle(bitmap):
    encoded = coco_mask.encode(np.asfortranarray(bitmap, np.uint8))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def ellipse(centre, axes, size=SIZE):
    """bool [H, W]; centre and axes as (x, y)."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return ((columns - centre[0]) / axes[0]) ** 2 + ((rows - centre[1]) / axes[1]) ** 2 <= 1


def bitmaps(track):
    """bool [T, H, W]; nothing where the object is not seen."""
    size = next(mask["size"] for mask in track.masks if mask is not None)
    none = np.zeros(size, bool)
    return np.array([none if mask is None else coco_mask.decode(mask).astype(bool) for mask in track.masks])


def video(seed, number=1, frames=8, objects=4, classes=2, false=2):
    """(found tracks, true tracks) of one video; all scores differ, and none of the found ids knows its object."""
    draw = np.random.RandomState(seed)
    paths = []
    for _ in range(objects):
        start, step = draw.uniform([10, 10], [86, 62]), draw.uniform(-4, 4, 2)
        axes = draw.uniform(6, 16, 2)
        begin, end = sorted(draw.choice(frames + 1, 2, replace=False))
        paths.append((start, step, axes, draw.randint(classes), begin, end))
    true = [
        MaskTrack(number, label, [rle(ellipse(start + t * step, axes)) if a <= t < b else None for t in range(frames)])
        for start, step, axes, label, a, b in paths
    ]
    found = [[None] * frames for _ in range(2 * objects)]
    for index, (start, step, axes, _label, a, b) in enumerate(paths):
        for t in range(a, b):
            if draw.rand() < 0.15:
                continue
            own = 2 * index + (draw.rand() < 0.3)
            found[own][t] = rle(ellipse(start + t * step + draw.normal(0, 2, 2), axes * draw.uniform(0.8, 1.2, 2)))
    labels = [path[3] for path in paths for _ in range(2)]
    for _ in range(false):
        place, axes, seen = draw.uniform([10, 10], [86, 62]), draw.uniform(4, 14, 2), draw.rand(frames) < 0.5
        found.append([rle(ellipse(place, axes)) if one else None for one in seen])
        labels.append(draw.randint(classes))
    scores = 0.1 + (draw.permutation(len(found)) + draw.rand()) / (2 * len(found))
    tracks = [MaskTrack(number, *one) for one in zip(labels, found, scores.tolist(), strict=True)]
    kept = [track for track in tracks if any(mask is not None for mask in track.masks)]
    return [kept[index] for index in draw.permutation(len(kept))], [track for track in true if track.areas.any()]


def videos(seed, count=3):
    """(found tracks, true tracks) of several videos."""
    pairs = [video(100 * seed + number, number, frames=5 + number) for number in range(1, count + 1)]
    return [track for found, _ in pairs for track in found], [track for _, true in pairs for track in true]
