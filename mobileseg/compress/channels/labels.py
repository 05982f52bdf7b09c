"""Sets of labels that can be joined (union-find), and arrays of them.

Every element of every tensor of a traced network bears the label of the channel it belongs to. Elements that
can only be removed together have joined labels. Two labels are special: `NONE` for values that belong to no
channel (constants), and `LOCKED` for channels that cannot be removed (the image, the outputs).
"""

from __future__ import annotations

import math

import numpy as np

NONE, LOCKED = -1, 0


class Labels:
    """Labels 0 (`LOCKED`), 1, 2, ...; the smaller label stands for joined ones, so what joins `LOCKED` is locked."""

    def __init__(self) -> None:
        self._parent: list[int] = [LOCKED]

    def fresh(self, count: int) -> np.ndarray:
        """New labels, int64 [count]."""
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return np.arange(start, start + count)

    def find(self, label: int) -> int:
        """The label that stands for this one and all joined with it."""
        root = label
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[label] != root:
            self._parent[label], label = root, self._parent[label]
        return root

    def roots(self, labels: np.ndarray) -> np.ndarray:
        """:meth:`find` of every element; `NONE` stays."""
        unique, inverse = np.unique(labels, return_inverse=True)
        found = np.array([label if label == NONE else self.find(int(label)) for label in unique])
        return found[inverse].reshape(labels.shape)

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        """Join the labels that stand at the same place; with `NONE` nothing is joined."""
        one, other = np.broadcast_arrays(compact(one), compact(other))
        pairs = np.unique(np.stack([one.reshape(-1), other.reshape(-1)], axis=1), axis=0)
        for left, right in pairs[(pairs != NONE).all(axis=1) & (pairs[:, 0] != pairs[:, 1])]:
            first, second = sorted((self.find(int(left)), self.find(int(right))))
            self._parent[second] = first

    def lock(self, labels: np.ndarray) -> None:
        """Make the labels unremovable."""
        self.join(labels, np.array(LOCKED))


def compact(labels: np.ndarray) -> np.ndarray:
    """The array with length 1 along the axes that it was broadcast over."""
    return labels[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in labels.strides)]


def along(labels: np.ndarray, axis: int) -> np.ndarray | None:
    """Labels along one axis, [length]; None when they also differ along others."""
    rows = np.moveaxis(compact(labels), axis, 0)
    rows = rows.reshape(rows.shape[0], -1)
    if (rows != rows[:, :1]).any():
        return None
    return np.broadcast_to(rows[:, 0], [labels.shape[axis]])


def spread(labels: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Labels [length] of an axis, as an array of the shape."""
    view = [1] * len(shape)
    view[axis] = len(labels)
    return np.broadcast_to(labels.reshape(view), shape)


def reshape_blocks(before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Axes before and after a reshape, matched in the smallest groups of equal size; axes of length 1 are left out.

    [1, 6, 4] to [2, 3, 4] gives ([1], [0, 1]) and ([2], [2]).
    """
    old = [axis for axis, length in enumerate(before) if length != 1]
    new = [axis for axis, length in enumerate(after) if length != 1]
    blocks: list[tuple[list[int], list[int]]] = []
    while old or new:
        left, right = [old.pop(0)], [new.pop(0)]
        while (one := math.prod(before[i] for i in left)) != (two := math.prod(after[i] for i in right)):
            if one < two:
                left.append(old.pop(0))
            else:
                right.append(new.pop(0))
        blocks.append((left, right))
    return blocks
