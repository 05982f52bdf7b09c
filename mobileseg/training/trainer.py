"""The training loop."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import paddle

from mobileseg.config.build import build_dataset, build_losses, build_network
from mobileseg.config.components import task_problems
from mobileseg.config.load import Config
from mobileseg.data.doctor.diagnose import preflight
from mobileseg.data.loading.batching import SampleOrder
from mobileseg.data.loading.multi_scale import sizes_of
from mobileseg.errors import ConfigError, MobileSegError, TrainingError
from mobileseg.nn.compat import say_untested_paddle
from mobileseg.scores import Scores
from mobileseg.training import run_state
from mobileseg.training.amp import Precision
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.cpu.speed import fast_on_cpu
from mobileseg.training.datasets import check_datasets
from mobileseg.training.distributed import Processes
from mobileseg.training.evaluator import evaluate
from mobileseg.training.extension import Surroundings, build_extensions
from mobileseg.training.logs import RunLog, RunningMeans
from mobileseg.training.lost_process import said_when_lost
from mobileseg.training.nonfinite import FiniteWatch
from mobileseg.training.optim import build_optimizer, clip_gradients, freeze, group_table, groups_of
from mobileseg.training.paddleseg_resume import is_paddleseg_checkpoint, read_paddleseg_checkpoint
from mobileseg.training.predictors import make_predictor
from mobileseg.training.result import FitResult
from mobileseg.training.resume import continue_line
from mobileseg.training.schedule import build_schedule
from mobileseg.training.seeding import seed_everything
from mobileseg.training.signals import StopRequest
from mobileseg.training.steps import Running, Step
from mobileseg.training.store import CheckpointStore, find_checkpoint
from mobileseg.training.task import training_of


class Trainer:
    """Trains what a configuration describes.

    Args:
        config: resolved configuration.
        output_dir: run folder; created if need be.
        network: instead of the one the configuration builds.
        criterion: ``(outputs, targets) -> {name: scalar}``, instead of the configured losses.
        steps: of every iteration, instead of those of the network's task; they are of ``network``.
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
        steps: Sequence[Step] | None = None,
        train_dataset: Any = None,
        val_dataset: Any = None,
        do_eval: bool = True,
        use_vdl: bool = False,
        load_pretrained: bool = True,
    ) -> None:
        say_untested_paddle()
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
            preflight(train_dataset)
        if do_eval and val_dataset is None:
            config.require("val_dataset")
            val_dataset = build_dataset(settings["val_dataset"])
        self.train_dataset = train_dataset
        self.val_dataset = val_dataset if do_eval else None

        seed_everything(self.seed, 0)  # the initial weights are the same in every process
        self.network = network or build_network(config, load_pretrained=load_pretrained)
        check_datasets(self.network, self.train_dataset, self.val_dataset)
        criterion = criterion or build_losses(config)
        self.extensions = build_extensions(Surroundings(config, self.network, train_dataset))
        self.network = self.processes.synchronise_norms(self.network)
        self.frozen_norms = freeze(self.network, settings["freeze"])
        task = training_of(self.network)
        steps = task.steps(self.network, criterion, train_dataset, settings) if steps is None else steps
        for step in steps:
            step.objective.autocast = self.precision.autocast
        for extension in self.extensions.values():
            extension.attach(steps[0].objective)
        undecayed = {name for extension in self.extensions.values() for name in extension.undecayed}
        decay = settings["optimizer"]["weight_decay"]
        groups = groups_of(self.network, settings["optimizer"], settings["param_groups"], undecayed)
        for extension in self.extensions.values():
            groups += extension.groups(decay)
        self.trainable = [parameter for group in groups for parameter in group.parameters]
        schedule = build_schedule(settings["lr_scheduler"], self.iters)
        optimizer = build_optimizer(settings["optimizer"], groups, schedule)
        self.network, optimizer = self.precision.decorate(self.network, optimizer)
        for extension in self.extensions.values():
            extension.start(self.network)
        running = [self._running(step) for step in steps]
        self.state = run_state.RunState(
            *(self.network, optimizer, groups, schedule, self.precision, running, self.extensions, self.seed),
            self.iters,
            tuple(map(str, getattr(train_dataset, "classes", ()))),
            None if self.val_dataset is None else run_state.judge_of(config, self.val_dataset),
        )
        self.predictor = make_predictor(self.network, settings)

        run_state.prepare_folder(self.run)  # last, so that what cannot be built leaves no run folder behind
        self.log = RunLog(self.run, self.iters, active=self.processes.is_main, visualdl=use_vdl)
        self.store = CheckpointStore(self.run, settings["keep_checkpoint_max"])
        self.scores: Scores | None = None

    @property
    def iteration(self) -> int:
        """Iterations done."""
        return self.state.iteration

    @property
    def best(self) -> dict[str, Any] | None:
        """``metric``, ``score`` and ``iteration`` of the best evaluation, None before the first."""
        return self.state.best

    def fit(self, resume: str | Path | None = None) -> FitResult:
        """Train to the last iteration.

        Ctrl-C or SIGTERM lets the current iteration finish, saves ``last`` and returns.

        Args:
            resume: None starts anew, 'auto' continues the run folder if it has a checkpoint, a path continues the run
                folder or the checkpoint folder it names.

        Raises:
            TrainingError: a loss that is not finite, a checkpoint that cannot be read or written, a lost process.
            DataError: a sample that cannot be read.
        """
        with ExitStack() as held:
            held.callback(self.log.close)
            held.enter_context(said_when_lost(self.processes.rank, self.processes.count, self.run))
            self._prepare(held)
            held.enter_context(fast_on_cpu(self.network, self.settings))
            return self._fit(resume)

    def _prepare(self, held: ExitStack) -> None:
        """Lock the run folder until ``held`` is closed, and tidy it up; all processes fail together."""
        failure: MobileSegError | None = None
        if self.processes.is_main:
            try:
                held.enter_context(self.store.lock())
                self.store.prepare()
            except OSError as error:
                failure = run_state.unwritable(self.run, error)
            except MobileSegError as error:
                failure = error
        if self.processes.largest(int(failure is not None)):
            raise failure or TrainingError(f"the first process cannot write into {self.run}; it says why")

    def _fit(self, resume: str | Path | None) -> FitResult:
        checkpoint = self.store.newest(self.log.say) if resume == "auto" else None
        if resume is not None and resume != "auto":
            checkpoint = find_checkpoint(Path(resume), self.log.say)
        if checkpoint is not None:
            self._restore(checkpoint)
        if self.processes.is_main:  # after a resume, which leaves the configuration when it fails
            run_state.prepare_folder(self.run, self.config)
        if self.iteration >= self.iters:
            self.log.say(f"already finished: {self.iteration} of {self.iters} iterations are done in {self.run}")
            return self._result("already finished")
        if self._patience_is_over():
            self.log.say(
                f"already stopped early: {self.state.stale_evals} evaluations without a better score; raise "
                "early_stop.patience to go on"
            )
            return self._result("already finished")
        self._announce()
        with StopRequest() as stop, ExitStack() as streams:
            for number, running in enumerate(self.state.steps):
                left = self.iters - self.iteration - (number < self.state.step)
                streams.enter_context(running.open(left * self.accumulate, self.settings["num_workers"]))
            return self._loop(stop)

    def _loop(self, stop: StopRequest) -> FitResult:
        settings, state = self.settings, self.state
        meter = RunningMeans()
        watch = FiniteWatch(
            state.steps, self.accumulate, self.processes, self.log, scaled=self.precision.scaler.enabled
        )
        self.log.start(self.iteration)
        self.train_mode()
        reason = "finished"
        while self.iteration < self.iters and reason == "finished":
            whole, waited = self._iteration(stop)
            if not whole:
                self._save(numbered=False, best=False)
                return self._result("interrupted", stop.received)
            meter.add(state.losses, waited)
            watch.add(self.iteration, state.losses)
            state.earlier, state.losses = {}, {}
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

    def _iteration(self, stop: StopRequest) -> tuple[bool, float]:
        """The steps that are left of one iteration; returns whether all are done, and the seconds spent waiting.

        A request to stop is heeded between two steps as well as between two iterations.
        """
        state, waited = self.state, 0.0
        while True:
            waited += self._step(state.step)
            state.step += 1
            if state.step == len(state.steps):
                state.step = 0
                state.iteration += 1
                state.schedule.step()
                return True, waited
            if self._stop_requested(stop):
                return False, waited

    def _step(self, number: int) -> float:
        """One step of the optimizer from ``accumulate`` batches; returns the seconds spent waiting for data."""
        state, running = self.state, self.state.steps[number]
        seed_everything(self.seed, self.iteration + 1, self.processes.rank, number)
        scaler = self.precision.scaler
        losses, waited = running.backward(self.processes, self.accumulate, scaler.scale, state.earlier)
        prefix = f"{running.step.name}." if number else ""
        state.losses |= {f"{prefix}{name}": value for name, value in losses.items()}
        if scaler.update(self.precision.unscale(self.trainable)):
            if self.settings["clip"]:
                clip_gradients(self.trainable, self.settings["clip"])
            for extension in self.extensions.values():
                extension.before_step()
            state.optimizer.step()
            for extension in self.extensions.values():
                extension.after_step()
        state.optimizer.clear_grad(set_to_zero=False)
        return waited

    def _running(self, step: Step) -> Running:
        order = None if step.dataset is None else self._order(step.dataset, step.batch_size)
        return Running(step, order, self.processes.wrap(step.objective, partly=step.objective.partly))

    def _order(self, dataset: Any, batch_size: int | None) -> SampleOrder:
        ranks, sizes = (self.processes.rank, self.processes.count), sizes_of(self.settings["multi_scale"], dataset)
        return SampleOrder(len(dataset), batch_size or self.settings["batch_size"], self.seed, *ranks, sizes)

    def train_mode(self) -> None:
        """Training mode, except for frozen batch normalisations."""
        self.network.train()
        for running in self.state.steps:
            running.step.objective.train()
        for layer in self.frozen_norms:
            layer.eval()

    def _report(self, meter: RunningMeans) -> None:
        means = self.processes.mean(meter.means()).tolist()
        named = dict(zip(meter.names(), means, strict=True))
        images = sum(running.order.whole for running in self.state.steps if running.order) * self.accumulate
        speed = meter.speed(images)
        values = {"iter": self.iteration, "loss": sum(means), "lr": self.state.schedule.at(self.iteration - 1)}
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
        state = self.state
        best = state.best
        if best is None or scores.score > best["score"]:
            best = {"metric": scores.metric, "score": scores.score, "iteration": self.iteration}
        improved = best is not state.best
        state.best, state.stale_evals = best, 0 if improved else state.stale_evals + 1
        self.log.event("eval", iter=self.iteration, **scores.event())
        self.log.say(
            f"[eval]  {self.iteration}/{self.iters}  {scores.headline}  best {best['score']:.4f} at {best['iteration']}"
        )
        return improved

    def _patience_is_over(self) -> bool:
        patience = self.settings["early_stop"]
        return bool(patience) and self.val_dataset is not None and self.state.stale_evals >= patience["patience"]

    def evaluate(self) -> Scores:
        """Scores on the validation dataset, see :func:`mobileseg.training.evaluator.evaluate`."""
        if self.val_dataset is None:
            raise TrainingError("this trainer has no validation dataset", remedy="create it with do_eval=True")
        self.processes.share_statistics(self.network)
        self.network.eval()
        with ExitStack() as stack:
            for extension in self.extensions.values():
                stack.enter_context(extension.evaluated())
            stack.enter_context(self.precision.autocast())
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
            checkpoint = run_state.pack(self.state, self.config, self.processes)
            folder = self.store.save(self.iteration, checkpoint, numbered=numbered, best=best)
            self.log.event("save", iter=self.iteration, folder=str(folder.relative_to(self.run)), best=best)
        self.processes.barrier()

    def _restore(self, folder: Path) -> None:
        foreign = is_paddleseg_checkpoint(folder)
        run_state.unpack(
            self.state,
            read_paddleseg_checkpoint(self.state, folder, self.config, self.log.say)
            if foreign
            else read_checkpoint(folder),
            folder,
            config=self.config,
            processes=self.processes,
            say=self.log.say,
        )
        self.log.event("resume", iter=self.iteration, checkpoint=str(folder))
        continue_line(self.state, self.store, folder, self.processes, self.log.say)

    def _stop_requested(self, stop: StopRequest) -> bool:
        # Processes must agree; asking them costs a reduction, so they are asked only now and then.
        if self.processes.count > 1 and self.iteration % self.settings["log_iters"]:
            return False
        stop.received = self.processes.largest(stop.received)
        return stop.received != 0

    def _announce(self) -> None:
        self.log.say(run_state.environment_line(self.processes, self.config))
        for extension in self.extensions.values():
            if extension.description:
                self.log.say(extension.description)
        self.log.say(group_table(self.state.groups, self.network))
        self.log.event("start", iter=self.iteration, config=self.config.hash, processes=self.processes.count)

    def _result(self, reason: str, signal: int = 0) -> FitResult:
        best = self.best or {"score": None, "metric": None}
        return FitResult(self.iteration, reason, signal, best["score"], best["metric"], self.scores)
