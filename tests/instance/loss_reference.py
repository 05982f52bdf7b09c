"""Matching and losses of YOLACT once more, in float64 and in loops, from the formulas; and cases to try them on."""

import math

import numpy as np

VARIANCES = (0.1, 0.2)


def corners(anchor):
    cx, cy, w, h = (float(value) for value in anchor)
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def overlap(a, b):
    """Common area of two xyxy boxes."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def slow_match(anchors, boxes, classes, crowd):
    """loc [P, 4], classes [P] and matched [P], one anchor after the other."""
    objects = [m for m in range(len(boxes)) if classes[m] >= 0 and not crowd[m]]
    crowds = [m for m in range(len(boxes)) if classes[m] >= 0 and crowd[m]]
    boxes = [tuple(float(value) for value in box) for box in boxes]
    shapes = [corners(anchor) for anchor in anchors]

    def iou(m, p):
        shared = overlap(boxes[m], shapes[p])
        return shared / (area(boxes[m]) + area(shapes[p]) - shared)

    table = {(m, p): iou(m, p) for m in objects for p in range(len(anchors))}
    forced = {}
    free_objects, free_anchors = set(objects), set(range(len(anchors)))
    while free_objects:
        pair = max(((m, p) for m in free_objects for p in free_anchors), key=lambda pair: table[pair], default=None)
        if pair is None or table[pair] == 0:
            break
        forced[pair[1]] = pair[0]
        free_objects.remove(pair[0])
        free_anchors.remove(pair[1])

    loc, found, matched = np.zeros((len(anchors), 4)), np.zeros(len(anchors), int), np.full(len(anchors), -1)
    for p, anchor in enumerate(anchors):
        owner = forced.get(p, max(objects, key=lambda m: table[m, p]) if objects else None)
        best = 0.0 if owner is None else table[owner, p]
        if p in forced or best >= 0.5:
            x1, y1, x2, y2 = boxes[owner]
            cx, cy, w, h = (float(value) for value in anchor)
            centre = ((x1 + x2) / 2 - cx) / (0.1 * w), ((y1 + y2) / 2 - cy) / (0.1 * h)
            loc[p] = *centre, math.log((x2 - x1) / w) / 0.2, math.log((y2 - y1) / h) / 0.2
            found[p], matched[p] = classes[owner] + 1, owner
        elif best >= 0.4:
            found[p] = -1
        if found[p] <= 0 and any(overlap(boxes[m], shapes[p]) / area(shapes[p]) > 0.7 for m in crowds):
            found[p] = -1
    return loc, found, matched


def shrink(mask, height, width):
    """Bilinear with half-pixel centres, above one half."""
    out = np.zeros((height, width), bool)
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * mask.shape[0] / height - 0.5, 0), mask.shape[0] - 1)
            x = min(max((j + 0.5) * mask.shape[1] / width - 0.5, 0), mask.shape[1] - 1)
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, mask.shape[0] - 1), min(x0 + 1, mask.shape[1] - 1)
            upper = mask[y0, x0] * (1 - (x - x0)) + mask[y0, x1] * (x - x0)
            lower = mask[y1, x0] * (1 - (x - x0)) + mask[y1, x1] * (x - x0)
            out[i, j] = upper * (1 - (y - y0)) + lower * (y - y0) > 0.5
    return out


def log_softmax(row):
    highest = max(row)
    return [value - highest - math.log(sum(math.exp(other - highest) for other in row)) for value in row]


def binary(p, truth):
    return -math.log(p) if truth else -math.log(1 - p)


def slow_losses(outputs, batch, *, empty_negatives=30, ratio=3, smallest_side=1.0):
    """The four weighted losses as floats."""
    loc, logits, coefficients, prototypes, segm = (
        outputs[name].astype(np.float64) for name in ("loc", "logits", "mask", "proto", "segm")
    )
    images, anchors = range(len(loc)), outputs["anchors"]
    height, width = prototypes.shape[2:]
    box_loss = class_loss = mask_loss = segm_loss = 0.0
    positives = virtual = 0
    for b in images:
        boxes, classes, crowd = batch["boxes"][b], batch["classes"][b], batch["crowd"][b]
        target_loc, target, matched = slow_match(anchors, boxes, classes, crowd)
        chosen = [p for p in range(len(anchors)) if target[p] > 0]
        positives += len(chosen)
        for p in chosen:
            for difference in np.abs(loc[b, p] - target_loc[p]):
                box_loss += difference - 0.5 if difference > 1 else 0.5 * difference**2
            class_loss -= log_softmax(logits[b, p])[target[p]]
        wanted = ratio * len(chosen) if chosen else empty_negatives
        virtual += 0 if chosen else empty_negatives / ratio
        background = [-log_softmax(logits[b, p])[0] for p in range(len(anchors)) if target[p] == 0]
        class_loss += sum(sorted(background, reverse=True)[: min(wanted, len(anchors) - 1)])

        small = {m: shrink(batch["masks"][b, m], height, width) for m in set(matched[chosen])}
        for p in chosen:
            x1, y1, x2, y2 = (float(v) * s for v, s in zip(boxes[matched[p]], (width, height) * 2, strict=True))
            total = 0.0
            for i in range(height):
                for j in range(width):
                    if x1 - 1 <= j < x2 + 1 and y1 - 1 <= i < y2 + 1:
                        value = sum(coefficients[b, p] * prototypes[b, :, i, j])
                        total += binary(1 / (1 + math.exp(-value)), small[matched[p]][i, j])
            mask_loss += total / (max(x2 - x1, smallest_side) * max(y2 - y1, smallest_side))

        rows, columns = segm.shape[2:]
        union = np.zeros(segm.shape[1:], bool)
        for m in range(len(boxes)):
            if classes[m] >= 0 and not crowd[m]:
                union[classes[m]] |= shrink(batch["masks"][b, m], rows, columns)
        for value, truth in zip(segm[b].ravel(), union.ravel(), strict=True):
            segm_loss += binary(1 / (1 + math.exp(-value)), truth) / (rows * columns)
    count = positives or 1
    return {
        "box": 1.5 * box_loss / count,
        "class": class_loss / (positives + virtual or 1),
        "mask": 6.125 * mask_loss / count,
        "segm": segm_loss / len(images),
    }


def grid_anchors():
    """75 anchors, float32 [P, 4]; no two of one size, or rounding would decide which of them a small object takes."""
    found = []
    for cells, scale in ((4, 0.3), (3, 0.5)):
        for row in range(cells):
            for column in range(cells):
                for ratio in (1.0, 0.5, 2.0):
                    size = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
                    found.append(((column + 0.5) / cells, (row + 0.5) / cells, *size))
    anchors = np.array(found, np.float32)
    anchors[:, 2:] *= np.random.default_rng(0).uniform(0.98, 1.02, (75, 2))
    return anchors


def annotated(rng, images, *, size=(40, 48), most=3):
    """A batch of annotations: each image has ``images[i]`` objects, the first of those with ``most`` is a crowd."""
    height, width = size
    batch = {
        "boxes": np.zeros((len(images), most, 4), np.float32),
        "classes": np.full((len(images), most), -1),
        "crowd": np.zeros((len(images), most), np.uint8),
        "masks": np.zeros((len(images), most, height, width), np.uint8),
    }
    for b, count in enumerate(images):
        for m in range(count):
            w, h = rng.integers(10, 30), rng.integers(10, 30)
            x, y = rng.integers(0, width - w), rng.integers(0, height - h)
            batch["masks"][b, m, y : y + h, x : x + w] = rng.random((h, w)) < 0.8
            batch["boxes"][b, m] = x / width, y / height, (x + w) / width, (y + h) / height
            batch["classes"][b, m] = rng.integers(0, 2)
        batch["crowd"][b, 0] = count == most
    return batch


def predicted(rng, images, anchors, *, classes=2, channels=3):
    """Outputs of a network in training, float32."""
    shapes = {
        "loc": (images, len(anchors), 4),
        "logits": (images, len(anchors), classes + 1),
        "mask": (images, len(anchors), channels),
        "proto": (images, channels, 10, 12),
        "segm": (images, classes, 5, 6),
    }
    found = {name: rng.normal(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    return found | {"anchors": anchors}
