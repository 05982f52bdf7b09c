"""The recipe `mobileseg compress prune`: from a trained network to a narrower one and a report of what it cost."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.compress.channels.groups import Groups, find_groups
from mobileseg.compress.channels.trace_cache import cached_trace
from mobileseg.compress.fold import fold_norms
from mobileseg.compress.gate import Gate, write_gate
from mobileseg.compress.measure import cost_of, export_variant, measure_engines, scores_of
from mobileseg.compress.pruning.choose import choose, draw_scales, widths
from mobileseg.compress.pruning.recalibrate import recalibrate
from mobileseg.compress.pruning.score import Scores
from mobileseg.compress.pruning.select import random_like
from mobileseg.compress.pruning.surgery import prune
from mobileseg.compress.pruning.taylor import taylor_scores
from mobileseg.compress.recipe import Recipe
from mobileseg.compress.report import write_report
from mobileseg.compress.steps import Steps, identity_of, phase_config, save_network, train
from mobileseg.compress.variants import Variant, Variants
from mobileseg.config.build import build_dataset, build_losses, build_network
from mobileseg.config.load import RUN_CONFIG, Config, load_config
from mobileseg.config.schema_compress import SparsitySection
from mobileseg.data.loading.batching import SampleOrder
from mobileseg.errors import CompressionError
from mobileseg.export.from_config import options_from
from mobileseg.training.checkpoint import WEIGHTS
from mobileseg.training.loader import batches
from mobileseg.training.store import LAST
from mobileseg.training.weights import load_checkpoint_weights
from mobileseg.weights.load import load_into

EXPORTED = "exported"
_STEPS = {
    "dense": "the input",
    "sparse": "trained with sparsity",
    "unfolded": "channels removed",
    "pruned": "channels removed, their constants folded",
    "recalibrated": "removed, folded, statistics of norms measured again",
    "finetuned": "then trained",
    "random": "as many channels of every layer removed at random, and treated as those above",
    "random_finetuned": "removed at random, then trained",
    "folded": "batch norms folded into the layers before them",
}


class Interrupted(Exception):
    """A training stopped on a signal; the same command goes on there."""

    def __init__(self, signal: int) -> None:
        super().__init__(f"signal {signal}")
        self.signal = signal


@dataclass
class PruneRecipe(Recipe):
    """One call of the recipe."""

    def __post_init__(self) -> None:
        self.settings = self.config.compress.prune
        self.steps = Steps(self.folder)
        self.variants = Variants(self.folder, "prune")

    def run(self) -> list[Variant]:
        """Do all steps that are not done yet, then measure and write the report.

        Raises:
            CompressionError: what is asked for cannot be done, or the result lost more than ``compress.max_drop``.
            Interrupted: a training was stopped.
        """
        settings = self.settings
        if self.config.compress.measure.accuracy:
            self.config.require("val_dataset")
            self._dataset = build_dataset(self.config.to_dict()["val_dataset"])
        base, key = self._dense(), {"source": identity_of(self.source) if self.source else "random weights"}
        if settings.sparse is not None:
            base, key = self._train("sparse", base, key, settings.sparse, self._sparsity(), checkpoint=LAST)
        last, tuned = self._prune(base, key)
        if settings.finetune is not None:
            last, _ = self._train("finetuned", last, tuned, settings.finetune, None)
            if settings.random and settings.random_finetune:
                self._train("random_finetuned", self.folder / "random", tuned, settings.finetune, None)
        self._measure(last)
        write_report(self.variants, f"{self.config.name}: pruning")
        self._check_gate(last)
        return self.variants.read()

    def _sparsity(self) -> dict[str, Any]:
        return (self.config.sparsity or SparsitySection.model_validate({})).model_dump()

    def _dense(self) -> Path:
        """The input, as weights with their configuration in a folder of ours."""
        place = self.folder / "dense"
        key = {"source": identity_of(self.source) if self.source else "random weights", "model": _model_of(self.config)}
        if self.steps.begin("dense", key) is None:
            network = self.load()
            if self.source is None:
                draw_scales(network, self._groups(network), self.config.seed)
            save_network(place, network, self.config, (self.config.model or {}).get("plan"))
            self.steps.finish("dense", key, {})
        self._row("dense", place)
        return place

    def _train(
        self, name: str, start: Path, key: dict[str, Any], phase: Any, sparsity: Any, checkpoint: str = ""
    ) -> tuple[Path, dict[str, Any]]:
        """Train from the weights of a folder; returns the run folder (a checkpoint of it) and what identifies it."""
        place = self.folder / name
        config = phase_config(load_config(start / RUN_CONFIG), phase, sparsity=sparsity)
        key = {**key, name: {**phase.model_dump(), "sparsity": sparsity}, "training": _training_of(config)}
        done = self.steps.begin(name, key)
        if done is None:
            self.say(f"{name}: training {phase.iters} iterations from {start}")
            result = train(config, place, do_eval=self._dataset is not None)
            if result.signal:
                raise Interrupted(result.signal)
            scores = None  # of the checkpoint that counts, where the training itself ended with them
            if result.scores is not None and (checkpoint == LAST or result.scores["score"] == result.best_score):
                scores = result.scores.named()
            done = self.steps.finish(name, key, {"iterations": result.iteration, "scores": scores})
        place = place / checkpoint if checkpoint else place
        self._row(name, place, done["scores"])
        return place, key

    def _prune(self, base: Path, key: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
        """Remove channels in all ways that are compared; returns the folder to go on from."""
        settings = self.settings
        measured = bool(settings.recalibrate and self._has_images)
        key = {**key, "prune": settings.model_dump(exclude={"sparse", "finetune", "random_finetune", "random"})}
        last = "recalibrated" if measured else "pruned"
        names = ["unfolded", "pruned", *([last] if measured else []), *(["random"] if settings.random else [])]
        todo = [name for name in names if self.steps.begin(name, key) is None]
        if todo:
            _, groups, removed = self._selection(base)
            images = self._mean_images()
            for name in todo:
                network, chosen = self._network(base), removed
                if name == "random":
                    chosen = random_like(groups, removed, self.config.seed)
                pruned = prune(network, groups, chosen, images=images, fold=name != "unfolded")
                if not pruned.plan:
                    raise CompressionError("the network is the same as before", remedy="ask for more")
                if measured and name in (last, "random"):
                    with self._batches(settings.recalibrate) as stream:
                        recalibrate(network, stream)
                plan = {**((self.config.model or {}).get("plan") or {}), **pruned.plan}
                save_network(self.folder / name, network, self.config, plan)
                self.steps.finish(name, key, {"not_folded": len(pruned.not_folded)})
        for name in names:
            self._row(name, self.folder / name)
        return self.folder / last, key

    def _selection(self, base: Path) -> tuple[Any, Groups, set[int]]:
        network = self._network(base)
        groups = self._groups(network)
        removed = choose(network, groups, self.settings, lambda: self._taylor(network, groups))
        narrowed = widths(groups, removed)
        units = sum(len(channels.units) for channels in groups.sets)
        self.say(
            f"{len(removed)} of {units} removable channels go, {len(narrowed)} layers become narrower, "
            f"{1 - groups.macs(removed) / groups.macs():.1%} of the multiply-adds are gone"
        )
        self.variants.set_facts(widths={name: list(pair) for name, pair in narrowed.items()})
        return network, groups, removed

    def _taylor(self, network: Any, groups: Groups) -> Scores:
        self.config.require("train_dataset", "loss")
        with self._batches(self.settings.taylor_batches) as stream:
            return taylor_scores(network, groups, build_losses(self.config), stream)

    def _batches(self, count: int) -> Any:
        """The first batches of a training, to be closed."""
        dataset = build_dataset(self.config.to_dict()["train_dataset"], seed=self.config.seed)
        order = SampleOrder(len(dataset), self.config.batch_size, self.config.seed)
        return closing(batches(dataset, order, 0, count))

    def _groups(self, network: Any) -> Groups:
        # At the size that is deployed: multiply-adds do not grow with the size alone where maps are pooled.
        options = options_from(self.config, {})
        return find_groups(network, (options.height, options.width), cached_trace)

    def _network(self, place: Path) -> Any:
        """The network of a folder, in evaluation mode."""
        home = place if (place / RUN_CONFIG).is_file() else place.parent
        network = build_network(load_config(home / RUN_CONFIG), load_pretrained=False)
        if (place / WEIGHTS).is_file() and place == home:
            load_into(network, place / WEIGHTS)
        else:
            load_checkpoint_weights(place, network)
        network.eval()
        return network

    @property
    def _has_images(self) -> bool:
        """Whether there are images to measure on; random weights say nothing about them."""
        return self.source is not None and self.config.to_dict()["train_dataset"] is not None

    def _mean_images(self) -> list[np.ndarray] | None:
        """Training images, float32 [1, 3, H, W] each, evenly spaced; None without them or when none are wanted."""
        count = self.settings.mean_images
        if not count or not self._has_images:
            return None
        dataset = build_dataset(self.config.to_dict()["train_dataset"], seed=self.config.seed)
        step = max(1, len(dataset) // count)
        return [dataset[(0, index)]["image"][None] for index in range(0, min(len(dataset), step * count), step)]

    def _row(self, name: str, place: Path, scores: dict[str, float] | None = None) -> None:
        """Cost, size and scores (the given ones, if any) of a step, unless its row is there."""
        if self.variants.get(name) is not None:
            return
        network = self._network(place)
        weights = place / WEIGHTS if (place / WEIGHTS).is_file() else place / "best" / WEIGHTS
        weights = weights if weights.is_file() else place / LAST / WEIGHTS
        if scores is None and self._dataset is not None:
            self.say(f"{name}: scores on {len(self._dataset)} images")
            scores = scores_of(network, self.config, self._dataset)
        if scores:
            self.say(f"{name}: " + ", ".join(f"{metric} {value:.4f}" for metric, value in scores.items()))
        sizes = {"weights": weights.stat().st_size}
        cost = cost_of(network, self.config)
        self.variants.add(Variant(name, _STEPS[name], cost.parameters, cost.macs, sizes=sizes, scores=scores or {}))
        gate = self._gate(name)
        if gate is not None and name not in ("dense", "sparse"):
            write_gate(self.folder / name, gate)

    def _gate(self, name: str) -> Gate | None:
        dense, own = self.variants.get("dense"), self.variants.get(name)
        if dense is None or own is None or not dense.scores:
            return None
        metric = next(iter(dense.scores))
        return Gate(metric, dense.scores[metric], own.scores[metric], self.config.compress.max_drop)

    def _check_gate(self, last: Path) -> None:
        gate = self._gate(last.name)
        if gate is not None:
            gate.check(str(last))

    def _measure(self, last: Path) -> None:
        """Export the input, the result, and the result with its norms folded; latency and memory of the three."""
        engines = self.config.compress.measure.engines
        key = {
            "measure": self.config.compress.measure.model_dump(),
            "weights": {name: asdict(row)["sizes"] for name, row in ((r.name, r) for r in self.variants.read())},
        }
        if not engines or self.steps.begin(EXPORTED, key) is not None:
            return
        network, folders = self._network(last), {}
        folded = self._network(last)
        done = fold_norms(folded)
        for name, one in (("dense", self._network(self.folder / "dense")), (last.name, network), ("folded", folded)):
            self.say(f"{name}: export for {', '.join(engines)}")
            folders[name] = self.folder / EXPORTED / name
            graphs = export_variant(one, self.config, folders[name], engines, self.say)
            if name == "folded":
                note = f"{len(done.layers)} norms folded, outputs moved by {done.difference:.1e} of the largest"
                row = self.variants.get(last.name)
                assert row is not None
                cost, scores = cost_of(one, self.config), dict(row.scores)
                self.variants.add(Variant(name, _STEPS[name], cost.parameters, cost.macs, scores=scores, note=note))
            row = self.variants.get(name)
            assert row is not None
            self.variants.update(name, sizes={**row.sizes, **graphs})
        like = {row.name: "dense" if row.name == "sparse" else last.name for row in self.variants.read()}
        like = {name: twin for name, twin in like.items() if name not in folders}
        measure_engines(self.variants, folders, self.config, self.say, like=like)
        self.steps.finish(EXPORTED, key, {})


def _model_of(config: Config) -> Any:
    return config.to_dict()["model"]


def _training_of(config: Config) -> dict[str, Any]:
    """What of a configuration decides the weights that a training ends with."""
    names = ("batch_size", "seed", "train_dataset", "loss", "optimizer", "lr_scheduler", "accumulate", "clip", "ema")
    data = config.to_dict()
    return {name: data[name] for name in (*names, "freeze", "param_groups", "distill")}
