"""Scores of an evaluation as one object, whatever the task: what decides, what is shown, what is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Scores(Mapping[str, Any]):
    """What a scorer found. As a mapping it is the content of ``scores.json``, see :meth:`to_dict`.

    Attributes:
        metric: name of the score that decides which weights are the best: 'mIoU', 'mask AP'.
        score: its value, 0 when there is nothing to score.
        further: name -> value of the scores that are shown beside it, None where there is nothing to score.
        details: all scores of the task, JSON values.
        logged: those of ``details`` that an evaluation during training keeps in ``log.jsonl``.
        table: everything as text, for the reader.
        images: how many were evaluated.
        seconds: how long it took.
    """

    metric: str
    score: float
    further: Mapping[str, float | None]
    details: Mapping[str, Any]
    logged: tuple[str, ...] = ()
    table: str = ""
    images: int = 0
    seconds: float = 0.0
    _document: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        counts = {"images": self.images, "seconds": self.seconds}
        document = {"metric": self.metric, "score": self.score, **self.details, **counts}
        object.__setattr__(self, "_document", document)

    @property
    def headline(self) -> str:
        """One line, the score that decides first."""
        parts = [f"{name} {value:.4f}" for name, value in self.named().items()]
        return "  ".join([*parts, f"{self.seconds:.1f} s"])

    def named(self) -> dict[str, float]:
        """The scores that are shown, by name; the first one decides, one that does not exist is 0."""
        return {self.metric: self.score} | {name: float(value or 0.0) for name, value in self.further.items()}

    def event(self) -> dict[str, Any]:
        """What ``log.jsonl`` keeps."""
        kept = ("metric", "score", "images", "seconds", *self.logged)
        return {name: self._document[name] for name in kept if name in self._document}

    def to_dict(self) -> dict[str, Any]:
        """``metric``, ``score``, the values of the task, ``images`` and ``seconds``, as JSON values."""
        return dict(self._document)

    def __getitem__(self, key: str) -> Any:
        return self._document[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document)

    def __len__(self) -> int:
        return len(self._document)
