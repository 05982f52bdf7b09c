"""The training loop."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.distillation.distillation import Distillation, build_distillation
from mobileseg.compress.pruning.sparsity import ScaleSparsity, removable_scales
from mobileseg.config.build import build_dataset, build_losses, build_network
from mobileseg.config.components import task_problems
from mobileseg.config.load import Config
from mobileseg.data.batching import SampleOrder
from mobileseg.data.doctor import preflight
from mobileseg.engine import run_state
from mobileseg.engine.amp import Precision
from mobileseg.engine.checkpoint import read_checkpoint
from mobileseg.engine.distributed import Processes
from mobileseg.engine.ema import WeightAverage
from mobileseg.engine.eval_log import eval_event, eval_text
from mobileseg.engine.evaluator import evaluate, task_of
from mobileseg.engine.loader import batches, require_labels
from mobileseg.engine.logs import Meter, RunLog
from mobileseg.engine.nonfinite import FiniteWatch
from mobileseg.engine.optim import (
    build_optimizer,
    clip_gradients,
    freeze,
    group_table,
    layer_rates,
    norms_and_biases,
    parameter_groups,
)
from mobileseg.engine.paddleseg_resume import is_paddleseg_checkpoint, read_paddleseg_checkpoint
from mobileseg.engine.predictors import make_predictor
from mobileseg.engine.schedule import build_schedule
from mobileseg.engine.signals import StopRequest
from mobileseg.engine.store import CheckpointStore, find_checkpoint
from mobileseg.errors import ConfigError, MobileSegError, TrainingError
from mobileseg.nn.nested import cast


@dataclass(frozen=True)
class FitResult:
    """How a call of :meth:`Trainer.fit` ended.

    Attributes:
        iteration: iterations done, those before a resume included.
        reason: 'finished', 'already finished', 'early stop' or 'interrupted'.
        signal: number of the signal that interrupted, else 0.
        best_score: highest validation score of the run, None without an evaluation.
        metric: what that score is, 'mIoU' or 'mask AP'; None without an evaluation.
        scores: the last evaluation of this call, None without one.
    """

    iteration: int
    reason: str
    signal: int
    best_score: float | None
    metric: str | None
    scores: dict[str, Any] | None


class Trainer:
    """Trains what a configuration describes.

    Args:
        config: resolved configuration.
        output_dir: run folder; created if need be.
        network: instead of the one the configuration builds.
        criterion: ``(outputs, targets) -> {name: scalar}``, instead of the configured losses.
        train_dataset: instead of the configured one.
        val_dataset: instead of the configured one.
        do_eval: evaluate every ``eval_interval`` iterations.
        use_vdl: write VisualDL records too.
        load_pretrained: read ``pretrained:`` files; False when a checkpoint will be loaded anyway.

    Raises:
        ConfigError, DataError, WeightsError: something in the configuration cannot be built, or network, losses and
            datasets are of different tasks.
        TrainingError: the precision is impossible here, or the run folder cannot be written.
    """

    def __init__(
        self,
        config: Config,
        output_dir: str | Path,
        *,
        network: paddle.nn.Layer | None = None,
        criterion: Any = None,
        train_dataset: Any = None,
        val_dataset: Any = None,
        do_eval: bool = True,
        use_vdl: bool = False,
        load_pretrained: bool = True,
    ) -> None:
        self.config = config
        config.require("model", "loss", "optimizer", "lr_scheduler")
        self.settings = settings = config.to_dict()
        settings["eval_interval"] = settings["eval_interval"] or settings["save_interval"]
        self.run = Path(output_dir)
        self.iters, self.seed, self.accumulate = settings["iters"], settings["seed"], settings["accumulate"]
        self.processes = Processes()
        self.precision = Precision(settings["amp"])

        problems = task_problems(config) if network is None else []
        if problems:
            raise ConfigError(problems)
        if train_dataset is None:
            config.require("train_dataset")
            train_dataset = build_dataset(settings["train_dataset"], seed=self.seed)
            if task_of(train_dataset) == "semantic":
                preflight(train_dataset)
        if do_eval and val_dataset is None:
            config.require("val_dataset")
            val_dataset = build_dataset(settings["val_dataset"])
        self.train_dataset = train_dataset
        self.val_dataset = val_dataset if do_eval else None
        for name, dataset in (("train_dataset", self.train_dataset), ("val_dataset", self.val_dataset)):
            if task_of(dataset) == "semantic":  # an image without objects is a sample like any other
                require_labels(dataset, name)
        count = self.processes.count
        self.order = SampleOrder(len(self.train_dataset), settings["batch_size"], self.seed, self.processes.rank, count)

        seed_everything(self.seed, 0)  # the initial weights are the same in every process
        self.network = network or build_network(config, load_pretrained=load_pretrained)
        self.criterion = criterion or build_losses(config)
        scales = removable_scales(find_groups(self.network)) if settings["sparsity"] else {}
        self.network = self.processes.synchronise_norms(self.network)
        self.frozen_norms = freeze(self.network, settings["freeze"])
        self.sparsity = ScaleSparsity(self.network, scales, **settings["sparsity"]) if settings["sparsity"] else None
        undecayed = self.sparsity.scales if self.sparsity else ()
        decay, rules = settings["optimizer"]["weight_decay"], settings["param_groups"]
        layerwise = settings["optimizer"].get("layerwise_decay")
        rates = layer_rates(self.network, layerwise) if layerwise else {}
        if not settings["optimizer"].get("decay_norms", True):
            undecayed = frozenset(undecayed) | frozenset(norms_and_biases(self.network))
        self.groups = parameter_groups(self.network, decay, rules, undecayed, rates)
        self.distillation = self._distillation() if config.distill else None
        if self.distillation is not None:
            self.criterion = self.distillation.criterion
            self.groups += self.distillation.groups(decay)
        self.trainable = [parameter for group in self.groups for parameter in group.parameters]
        self.schedule = build_schedule(settings["lr_scheduler"], self.iters)
        self.optimizer = build_optimizer(settings["optimizer"], self.groups, self.schedule)
        self.network, self.optimizer = self.precision.decorate(self.network, self.optimizer)
        self.parallel = self.processes.wrap(self.distillation.student if self.distillation else self.network)
        self.average = WeightAverage(self.network, settings["ema"]["decay"]) if settings["ema"] else None
        self.predictor = make_predictor(self.network, settings)

        # Last, so that what cannot be built leaves no run folder behind and no other configuration in an old one.
        run_state.prepare_folder(self.run, config, self.processes)
        self.log = RunLog(self.run, self.iters, active=self.processes.is_main, visualdl=use_vdl)
        self.store = CheckpointStore(self.run, settings["keep_checkpoint_max"])
        self.iteration = 0
        self.position = 0  # batches taken from the order of samples
        self.best: dict[str, Any] | None = None
        self.stale_evals = 0
        self.scores: dict[str, Any] | None = None

    def fit(self, resume: str | Path | None = None) -> FitResult:
        """Train to the last iteration.

        Ctrl-C or SIGTERM lets the current iteration finish, saves ``last`` and returns.

        Args:
            resume: None starts anew, 'auto' continues the run folder if it has a checkpoint, a path continues the run
                folder or the checkpoint folder it names.

        Raises:
            TrainingError: a loss that is not finite, a checkpoint that cannot be read or written.
            DataError: a sample that cannot be read.
        """
        if self.processes.is_main:
            self.store.prepare()
        self.processes.barrier()
        checkpoint = self.store.newest(self.log.say) if resume == "auto" else None
        if resume is not None and resume != "auto":
            checkpoint = find_checkpoint(Path(resume), self.log.say)
        try:
            if checkpoint is not None:
                self._restore(checkpoint)
            if self.iteration >= self.iters:
                self.log.say(f"already finished: {self.iteration} of {self.iters} iterations are done in {self.run}")
                return self._result("already finished")
            if self._patience_is_over():
                self.log.say(
                    f"already stopped early: {self.stale_evals} evaluations without a better score; raise "
                    "early_stop.patience to go on"
                )
                return self._result("already finished")
            self._announce()
            with StopRequest() as stop, closing(self._stream()) as stream:
                return self._loop(stream, stop)
        finally:
            self.log.close()

    def _loop(self, stream: Iterator[dict[str, paddle.Tensor]], stop: StopRequest) -> FitResult:
        settings = self.settings
        meter = Meter()
        watch = FiniteWatch(self)
        self.log.start(self.iteration)
        self.train_mode()
        reason = "finished"
        while self.iteration < self.iters and reason == "finished":
            seed_everything(self.seed, self.iteration + 1, self.processes.rank)
            losses, waited = self._step(stream)
            self.iteration += 1
            meter.add(losses, waited)
            watch.add(self.iteration, losses)
            self.log.advance()

            done = self.iteration == self.iters
            if self.iteration % settings["log_iters"] == 0 or done:
                watch.check()
                self._report(meter)
                meter.reset()
            improved = False
            evaluated = self.val_dataset is not None and (self.iteration % settings["eval_interval"] == 0 or done)
            if evaluated:
                watch.check()
                improved = self._evaluate()
                if self._patience_is_over():
                    reason = "early stop"
            if self._stop_requested(stop):
                reason = "interrupted"
            numbered = self.iteration % settings["save_interval"] == 0 or done
            if numbered or improved or reason != "finished":
                watch.check()
                self._save(numbered=numbered, best=improved)
            if evaluated or numbered:
                meter.reset()  # evaluating and saving are not training speed
        return self._result(reason, stop.received)

    def _step(self, stream: Iterator[dict[str, paddle.Tensor]]) -> tuple[dict[str, paddle.Tensor], float]:
        """One optimizer step from ``accumulate`` batches; returns the losses and the seconds spent waiting for data."""
        waited = 0.0
        means: dict[str, paddle.Tensor] = {}
        for number in range(1, self.accumulate + 1):
            began = time.perf_counter()
            batch = next(stream)
            self.position += 1
            waited += time.perf_counter() - began
            last = number == self.accumulate
            with nullcontext() if last else self.processes.without_reduction(self.parallel):
                losses = self._losses(batch)
                total = paddle.add_n(list(losses.values()))
                (total * (self.precision.scaler.scale / self.accumulate)).backward()
            for name, value in losses.items():
                share = value.detach() / self.accumulate
                means[name] = means[name] + share if name in means else share
        if self.precision.scaler.update(self.precision.unscale(self.trainable)):
            if self.settings["clip"]:
                clip_gradients(self.trainable, self.settings["clip"])
            if self.sparsity is not None:
                self.sparsity.add_gradients()
            self.optimizer.step()
            if self.average is not None:
                self.average.update()
        self.optimizer.clear_grad(set_to_zero=False)
        self.schedule.step()
        return means, waited

    def _losses(self, batch: dict[str, paddle.Tensor]) -> dict[str, paddle.Tensor]:
        with self.precision.autocast():
            outputs = self.parallel(batch["image"])
        outputs = cast(outputs, "float32")
        losses: dict[str, paddle.Tensor] = self.criterion(outputs, batch)
        return losses

    def _distillation(self) -> Distillation:
        image = self.train_dataset[(0, 0)]["image"]
        ignore_index = getattr(self.train_dataset, "ignore_index", 255)
        return build_distillation(self.config, self.network, self.criterion, image.shape[1:], ignore_index)

    def train_mode(self) -> None:
        """Training mode, except for frozen batch normalisations."""
        self.network.train()
        self.criterion.train()
        for layer in self.frozen_norms:
            layer.eval()

    def _stream(self) -> Any:
        workers = self.settings["num_workers"]
        stop = self.position + (self.iters - self.iteration) * self.accumulate
        return batches(self.train_dataset, self.order, self.position, stop, num_workers=workers)

    def _report(self, meter: Meter) -> None:
        means = self.processes.mean(meter.means()).tolist()
        named = dict(zip(meter.names(), means, strict=True))
        speed = meter.speed(self.order.whole * self.accumulate)
        values = {"iter": self.iteration, "loss": sum(means), "lr": self.schedule.at(self.iteration - 1)}
        values |= {"images_per_s": speed["images_per_s"], "data_wait": speed["data_wait"]}
        values["eta"] = (self.iters - self.iteration) * speed["seconds"]
        if len(named) > 1:
            values |= named
        if self.precision.scaler.enabled:
            values["loss_scale"] = self.precision.scaler.scale
        self.log.train(values)

    def _evaluate(self) -> bool:
        """Evaluate the weights (their average, if there is one); returns whether they are the best so far."""
        try:
            scores = self.scores = self.evaluate()
        except MobileSegError:
            if self.processes.count == 1:  # a validation image that cannot be read must not cost the weights
                self._save(numbered=False, best=False)
            raise
        improved = self.best is None or scores["score"] > self.best["score"]
        if improved:
            self.best = {"metric": scores["metric"], "score": scores["score"], "iteration": self.iteration}
        self.stale_evals = 0 if improved else self.stale_evals + 1
        self.log.event("eval", iter=self.iteration, **eval_event(scores))
        best = self.best or {}
        self.log.say(
            f"[eval]  {self.iteration}/{self.iters}  {eval_text(scores)}  "
            f"best {best['score']:.4f} at {best['iteration']}"
        )
        return improved

    def _patience_is_over(self) -> bool:
        patience = self.settings["early_stop"]
        return bool(patience) and self.val_dataset is not None and self.stale_evals >= patience["patience"]

    def evaluate(self) -> dict[str, Any]:
        """Scores on the validation dataset, see :func:`mobileseg.engine.evaluator.evaluate`."""
        if self.val_dataset is None:
            raise TrainingError("this trainer has no validation dataset", remedy="create it with do_eval=True")
        self.processes.share_statistics(self.network)
        self.network.eval()
        with self.average.applied() if self.average else nullcontext(), self.precision.autocast():
            scores = evaluate(
                self.predictor,
                self.val_dataset,
                num_workers=min(2, self.settings["num_workers"]),
                processes=self.processes,
            )
        self.train_mode()
        return scores

    def _save(self, *, numbered: bool, best: bool) -> None:
        self.processes.share_statistics(self.network)
        if self.processes.is_main:
            folder = self.store.save(self.iteration, run_state.pack(self), numbered=numbered, best=best)
            self.log.event("save", iter=self.iteration, folder=str(folder.relative_to(self.run)), best=best)
        self.processes.barrier()

    def _restore(self, folder: Path) -> None:
        foreign = is_paddleseg_checkpoint(folder)
        checkpoint = read_paddleseg_checkpoint(self, folder) if foreign else read_checkpoint(folder)
        run_state.unpack(self, checkpoint, folder)
        self.log.event("resume", iter=self.iteration, checkpoint=str(folder))

    def _stop_requested(self, stop: StopRequest) -> bool:
        # Processes must agree; asking them costs a reduction, so they are asked only now and then.
        if self.processes.count > 1 and self.iteration % self.settings["log_iters"]:
            return False
        stop.received = self.processes.largest(stop.received)
        return stop.received != 0

    def _announce(self) -> None:
        self.log.say(run_state.environment_line(self.processes, self.config))
        if self.distillation is not None:
            self.log.say(self.distillation.description)
        self.log.say(group_table(self.groups, self.network))
        self.log.event("start", iter=self.iteration, config=self.config.hash, processes=self.processes.count)

    def _result(self, reason: str, signal: int = 0) -> FitResult:
        best = self.best or {"score": None, "metric": None}
        return FitResult(self.iteration, reason, signal, best["score"], best["metric"], self.scores)


def seed_everything(seed: int, iteration: int, rank: int = 0) -> None:
    """Seed Python, NumPy and Paddle from (seed, iteration, rank).

    Done before every iteration, so that no generator state has to be kept to continue exactly (Paddle 2.6 gives none
    out that could be stored).
    """
    words = np.random.SeedSequence([seed, iteration, rank]).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    paddle.seed(int(words[2]))
