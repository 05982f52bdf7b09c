"""How the score grows with the number of training images: runs on nested shares of them, and a power law through it.

Errors of trained networks fall about as a power of the number of examples (Hestness et al. 2017, arXiv:1712.00409).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.config.build import build_dataset
from mobileseg.config.load import Config
from mobileseg.data.doctor.diagnose import preflight
from mobileseg.data.subset import share_of
from mobileseg.errors import ConfigError, TrainingError
from mobileseg.files import write_whole
from mobileseg.training.store import CheckpointStore
from mobileseg.training.task import training_of
from mobileseg.training.trainer import Trainer
from mobileseg.viz.charts import Chart, Series, write_charts

REPORT, PLOT = "learning_curve.json", "learning_curve.png"


@dataclass(frozen=True)
class Share:
    """A share of the training data.

    Attributes:
        fraction: of the whole.
        images: how many it has, frames of videos counted one by one.
        missing: classes of which it shows nothing.
    """

    fraction: float
    images: int
    missing: tuple[str, ...]


@dataclass(frozen=True)
class PowerLaw:
    """``1 - score = factor * images ** -exponent``."""

    factor: float
    exponent: float

    def score(self, images: float) -> float:
        """The score at a number of images."""
        return 1.0 - self.factor * images**-self.exponent


def fit_power_law(images: Sequence[int], scores: Sequence[float]) -> PowerLaw | None:
    """The power law nearest to the measured errors, in logarithms (least squares).

    Args:
        images: at least two different numbers.
        scores: as many; None comes back where one of them is 1, whose error has no logarithm.
    """
    errors = 1.0 - np.asarray(scores, np.float64)
    if (errors <= 0).any():
        return None
    slope, start = np.polyfit(np.log(np.asarray(images, np.float64)), np.log(errors), 1)
    return PowerLaw(math.exp(start), -float(slope))


def run_learning_curve(
    config: Config, folder: Path, fractions: Sequence[float], *, resume: bool, say: Callable[[str], None]
) -> int:
    """Train on every share, smallest first, with the iterations of the configuration each; write table and plot.

    The runs are ``folder/share_<fraction>``; the score of a share is the best of its run, on the same validation data.

    Args:
        config: resolved configuration.
        folder: for the runs, ``learning_curve.json`` and ``learning_curve.png``.
        fractions: shares of the training images (of videos, where the data are videos), at least two.
        resume: continue what was interrupted, and take runs that have finished as they are.
        say: called with what the reader should know.

    Returns:
        0, or the number of the signal that stopped it.

    Raises:
        ConfigError: shares that cannot be compared, or no validation data.
        TrainingError: a run of an earlier call is there; see also :class:`Trainer`.
    """
    config.require("train_dataset", "val_dataset")
    dataset = build_dataset(config.to_dict()["train_dataset"], seed=config.seed)
    preflight(dataset)
    parts = [share_of(dataset, fraction, config.seed) for fraction in _checked(fractions)]
    shares = [
        Share(fraction, len(indices), _missing(dataset, indices))
        for fraction, (_, indices) in zip(sorted(fractions), parts, strict=True)
    ]
    _check_counts(shares)
    runs = [folder / f"share_{share.fraction:g}" for share in shares]
    earlier = next((run for run in runs if CheckpointStore(run).newest(lambda text: None) is not None), None)
    if earlier is not None and not resume:
        raise TrainingError(
            f"{earlier} holds the checkpoints of an earlier run",
            remedy="add --resume to continue, or choose another folder with --save_dir",
        )
    scores, metric = [], ""
    for share, run, (part, _) in zip(shares, runs, parts, strict=True):
        lacks = f"; no image of {', '.join(share.missing)}" if share.missing else ""
        say(f"share {share.fraction:g}: {share.images} images{lacks}")
        fresh = CheckpointStore(run).newest(lambda text: None) is None
        result = Trainer(config, run, train_dataset=part, load_pretrained=fresh).fit("auto" if resume else None)
        if result.signal:
            return result.signal
        assert result.best_score is not None  # there is validation data
        scores.append(result.best_score)
        metric = str(result.metric)
    law = fit_power_law([share.images for share in shares], scores)
    _write(folder, shares, scores, metric, law)
    say(table(shares, scores, metric, law))
    return 0


def table(shares: Sequence[Share], scores: Sequence[float], metric: str, law: PowerLaw | None) -> str:
    """The measured scores, what the law says of them, and what it expects of twice the images."""
    lines = [f"{'share':>6}  {'images':>7}  {metric:>8}  {'law':>7}  classes without an image"]
    for share, score in zip(shares, scores, strict=True):
        fitted = "-" if law is None else f"{law.score(share.images):.4f}"
        missing = ", ".join(share.missing) or "-"
        lines.append(f"{share.fraction:>6g}  {share.images:>7}  {score:>8.4f}  {fitted:>7}  {missing}")
    images = shares[-1].images
    if law is None:
        return "\n".join([*lines, f"a {metric} of 1 leaves nothing to gain from more images"])
    if law.exponent <= 0:
        return "\n".join([*lines, f"{metric} does not grow with the images here: train longer before adding any"])
    twice = law.score(2 * images)
    off = max(abs(law.score(share.images) - score) for share, score in zip(shares, scores, strict=True))
    lines.append(
        f"twice the images ({2 * images}): {metric} {twice:.4f} expected, {twice - law.score(images):+.4f} "
        f"(1 - {metric} = {law.factor:.3g} * images ** -{law.exponent:.3g}, at most {off:.4f} off where measured)"
    )
    return "\n".join(lines)


def _checked(fractions: Sequence[float]) -> list[float]:
    if len(set(fractions)) != len(fractions) or len(fractions) < 2:
        raise ConfigError(
            f"a learning curve needs two or more different shares, got {' '.join(f'{one:g}' for one in fractions)}",
            remedy="write --fractions 0.25 0.5 1",
        )
    return sorted(fractions)


def _check_counts(shares: Sequence[Share]) -> None:
    for one, other in pairwise(shares):
        if one.images == other.images:
            raise ConfigError(
                f"the shares {one.fraction:g} and {other.fraction:g} are the same {one.images} images",
                remedy="choose shares further apart",
            )


def _missing(dataset: Any, indices: np.ndarray) -> tuple[str, ...]:
    """Names of the classes that are annotated in none of the images."""
    task, open_classes = training_of(dataset), set(range(dataset.num_classes))
    for index in indices.tolist():
        open_classes -= set(task.classes_in(dataset, index))
        if not open_classes:
            break
    return tuple(dataset.classes[index] for index in sorted(open_classes))


def _write(folder: Path, shares: Sequence[Share], scores: Sequence[float], metric: str, law: PowerLaw | None) -> None:
    points = [asdict(share) | {"score": score} for share, score in zip(shares, scores, strict=True)]
    document: dict[str, Any] = {"metric": metric, "points": points, "law": None if law is None else asdict(law)}
    counts = [share.images for share in shares]
    series = [Series("measured", counts, scores, dots=True)]
    if law is not None:
        document["twice"] = {"images": 2 * counts[-1], "score": law.score(2 * counts[-1])}
        dense = np.geomspace(counts[0], 2 * counts[-1], 50)
        series.append(Series("power law", dense.tolist(), [law.score(count) for count in dense]))
    write_whole(folder / REPORT, json.dumps(document, indent=1).encode())
    write_charts(folder / PLOT, [Chart("Score by training images", tuple(series), metric, "training images")])
