"""The only training loop of the project.

`Trainer.fit` reads top to bottom: prepare or resume, then epochs of batches, each batch a forward
and a backward, each ``accumulate`` batches an update, with logs, evaluations and checkpoints
between updates. It knows the clock, the device, precision and the optimizer; it never learns what
is in a batch.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from marketorch import distributed
from marketorch.console import say
from marketorch.engine import checkpoint, hardware, loading, resuming
from marketorch.engine.evaluation import autocast, evaluate, predict_all, resolve_precision
from marketorch.engine.loss_window import LossWindow
from marketorch.engine.monitor import Best, Monitor
from marketorch.engine.position import Position
from marketorch.engine.settings import Settings
from marketorch.engine.stopping import StopSignals
from marketorch.engine.task import Batch, Dataset, Step, Task, check_not_empty, prepare, refresh
from marketorch.engine.tracking import Tracker
from marketorch.engine.update import Update
from marketorch.errors import Interrupted
from marketorch.optim import optimizers as optim


class Trainer(Settings):
    """Trains any `Task`, as its `Settings` say.

    Example:
        >>> trainer = Trainer(run_dir="runs/mine", epochs=3)
        >>> report = trainer.fit(task, train, validation, partial(adamw, lr=1e-3))
        >>> report["metrics"]["val/accuracy"]
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.run_dir = Path(self.run_dir)
        self.torch_device = distributed.resolve_device(self.device)
        self.dtype = resolve_precision(self.precision, self.torch_device)
        self.metric_monitor = Monitor(self.monitor, mode=self.mode, patience=self.patience)
        self.position = Position()
        if self.num_threads:
            torch.set_num_threads(self.num_threads)

    # -- the loop -----------------------------------------------------------------------------

    def fit(
        self,
        task: Task,
        train: Dataset,
        validation: Dataset | None,
        optimizer: optim.OptimizerFactory,
        *,
        resume: bool = False,
        record: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Trains ``task`` and returns what belongs into report.json.

        Args:
            resume: continue from ``run_dir/checkpoints`` instead of preparing the task.
            record: kept in every checkpoint (config, versions, data fingerprint).

        Raises:
            NonFiniteError: the loss or gradient became NaN or infinite.
            CheckpointError: a checkpoint could not be read or written.
            Interrupted: SIGTERM or Ctrl-C came; the run is saved after the step it came in.
        """
        check_not_empty(train, "train")
        if validation is not None:
            check_not_empty(validation, "validation")
        self.task, self.record = task, record or {}
        self.metric_monitor.watch(task)
        state = checkpoint.load_last(self.checkpoints, say) if resume else None
        self._prepare(train, state)
        self.train: Dataset = task.encode(train)
        self.validation: Dataset | None = None if validation is None else task.encode(validation)
        self._build(optimizer, state)
        self._event("start")
        try:
            with StopSignals() as self.signals:
                if self.position.step >= self.total_steps and not state:
                    self._evaluate_and_save()
                while not self._finished():
                    self._run_epoch(self.position.epoch, start=self.position.batch)
            self._check_and_log()
            self._finish()
        finally:
            self.tracker.close()
        self._event("end")
        return self.report()

    def _run_epoch(self, epoch: int, start: int) -> None:
        """Runs an epoch from batch ``start`` on, to its end or to that of the run."""
        self.task.train()
        if not start:
            refresh(self.task, self.train)
        keys = loading.epoch_keys(
            self.train, self.batch_size, seed=self.seed, epoch=epoch, start=start
        )
        batches = loading.load(
            self.train, keys, device=self.torch_device, num_workers=self.num_workers
        )
        for key, batch in batches:
            ends_epoch = key.batch + 1 == len(keys.batches)
            ends_step = ends_epoch or (key.batch + 1) % self.accumulate == 0
            self._backward(key, batch, ends_step)
            self.position.batch = key.batch + 1
            if not ends_step:
                continue
            norm = self.update.apply(self.factor(self.position.step), self.position.step)
            self.window.end_step(norm)
            self.position.step += 1
            if ends_epoch:
                self.position.epoch, self.position.batch = self.position.epoch + 1, 0
            self._after_step(ends_epoch)
            if self._finished():
                return

    def _backward(self, key: loading.Key, batch: Batch, ends_step: bool) -> None:
        """One forward and backward; gradients of sums pile up until the update."""
        loading.seed_batch(self.torch_device, self.seed, key.epoch, key.batch, distributed.rank())
        if self.channels_last:
            batch = hardware.channels_last(batch)
        with distributed.accumulate(self.wrapped, ends_step):
            with autocast(self.torch_device, self.dtype):
                step: Step = self.wrapped(batch)
            share = float(key.real)
            (step.loss_sum * share).backward()
        weight, sums = step.weight.detach() * share, {"loss": step.loss_sum} | step.logs
        self.window.add(key, weight, {name: v.detach() * share for name, v in sums.items()})
        self.update.add(weight)
        self.position.examples += len(key.indices) * distributed.world_size() * key.real

    def _after_step(self, ends_epoch: bool) -> None:
        """Logs, evaluates and saves when it is time to."""
        step, final = self.position.step, self.position.step >= self.total_steps
        self._tick()
        if step % self.log_every == 0:
            self._check_and_log()
        out_of_time, interrupted = self._out_of_time(), self._interrupted()
        due = step % self.eval_every == 0 if self.eval_every else ends_epoch
        if due or final or out_of_time:
            self._evaluate_and_save()
        elif interrupted or (self.save_every and step % self.save_every == 0):
            self._check_and_log()
            self._save()
        self.time_is_over = out_of_time
        if interrupted:
            raise interrupted

    # -- parts of fit -------------------------------------------------------------------------

    def _prepare(self, train: Dataset, state: dict[str, Any] | None) -> None:
        """Fits the task on the training split (rank 0, then shared) or restores it."""
        if state is None:
            prepare(self.task, train)
        else:
            with checkpoint.fitting(self.checkpoints):
                resuming.announce_changes(state, self.record)
                self.task.load_state_dict(state["task"])
        hardware.lay_out(self.task, self.torch_device, self.channels_last)

    def _build(self, factory: optim.OptimizerFactory, state: dict[str, Any] | None) -> None:
        """Optimizers, length of the run, and a restored state if there is one."""
        self.update = Update(self.task, factory, clip_norm=self.clip_norm, ema_decay=self.ema_decay)
        trainable = bool(self.update.parameters)
        batches = math.ceil(len(self.train) / self.batch_size)
        steps = math.ceil(batches / self.accumulate) * self.epochs if trainable else 0
        self.total_steps = min(steps, steps if self.max_steps is None else self.max_steps)
        self.factor = optim.schedule(
            self.schedule, warmup=self.warmup, total_steps=self.total_steps, final=self.final_lr
        )
        if self.compile:
            self.task.compile(dynamic=True)
        self.wrapped = distributed.wrap(self.task, self.torch_device) if trainable else self.task
        self.position, self.window, self.time_is_over = Position(), LossWindow(), False
        if state is not None:
            with checkpoint.fitting(self.checkpoints):
                self.update.restore(state)
                self.position = Position(**state["position"])
                self.metric_monitor.best = Best(**state["best"])
        self.started = time.perf_counter() - self.position.seconds
        steps, start = self.total_steps, self.position.step
        self.tracker = Tracker(
            self.run_dir, total_steps=steps, start_step=start, backends=self.backends
        )

    def _evaluate_and_save(self) -> None:
        """Measures the (averaged) weights on validation and keeps them if they are the best."""
        self._check_and_log()
        with checkpoint.swapped(self.task, self.update.evaluated()):
            metrics = self._evaluate()
            if self.metric_monitor.improves(metrics, self.position.step) and distributed.is_main():
                metadata = {"schema": self.task.schema, "step": self.position.step}
                checkpoint.save_best(self.checkpoints, self.task, metadata)
        self._tick()
        self._save()
        self._event("evaluate")

    def _finish(self) -> None:
        """Leaves the task at its best weights, calibrated on the validation split."""
        state, metadata = checkpoint.load_best(self.checkpoints / checkpoint.BEST)
        self.task.load_state_dict(state)
        if self.validation is None or not self.task.calibrates:
            return
        predictions = predict_all(self.task, self.validation, **self._loop)
        if not self.task.calibrate(predictions, self.validation):
            return
        self.best.metrics = self._evaluate("calibrated")
        if distributed.is_main():
            checkpoint.save_best(self.checkpoints, self.task, metadata)
        distributed.barrier()

    @property
    def _loop(self) -> dict[str, Any]:
        return {
            "batch_size": self.eval_batch_size,
            "device": self.torch_device,
            "precision": self.precision,
            "num_workers": self.num_workers,
        }

    def _evaluate(self, weights: str = "") -> dict[str, float]:
        if self.validation is None:
            return {}
        started = time.perf_counter()
        metrics = evaluate(self.task, self.validation, dear=self._dear_is_due(), **self._loop)
        metrics = {f"val/{name}": value for name, value in metrics.items()}
        self._tick()
        epoch = self.position.epoch + self.position.batch * self.batch_size / len(self.train)
        timing = {"seconds": self.position.seconds, "eval_seconds": time.perf_counter() - started}
        place = {"epoch": round(epoch, 2)} | ({"weights": weights} if weights else {})
        self.tracker.log(self.position.step, place | metrics | timing)
        self.tracker.announce(self.position.step, epoch, self.position.seconds, metrics, weights)
        self.task.train()
        return metrics

    def _dear_is_due(self) -> bool:
        """Whether this evaluation has the dear metrics: every so many, and the last."""
        step = self.position.step
        number = step // self.eval_every if self.eval_every else self.position.epoch
        return number % self.dear_every == 0 or step >= self.total_steps

    def _save(self) -> None:
        """Writes ``last.pt``; only ever called between updates."""
        if distributed.is_main():
            state = {
                "task": self.task.state_dict(),
                "position": asdict(self.position),
                "best": asdict(self.best),
            }
            checkpoint.save_last(self.checkpoints, state | self.update.state() | self.record)
        distributed.barrier()
        self._event("save")

    def _check_and_log(self) -> None:
        """Logs the losses since the last call; stops at the first that is not finite."""
        if not self.window:
            return
        step, ids = self.position.step, getattr(self.train, "ids", None)
        averages = self.window.averages(self.torch_device, step=step, ids=ids)
        values: dict[str, Any] = {"epoch": self.position.epoch}
        values |= {f"train/{name}": value for name, value in averages.items()}
        values |= {"lr_factor": self.factor(step), "seconds": self.position.seconds}
        values["examples_per_second"] = self.position.examples_per_second
        self.tracker.log(step, values)
        self.tracker.advance(step, f"loss {averages['loss']:.4f}")
        self._event("log")

    # -- small things -------------------------------------------------------------------------

    @property
    def best(self) -> Best:
        """The best evaluation so far."""
        return self.metric_monitor.best

    @property
    def checkpoints(self) -> Path:
        """Folder of this run's checkpoints."""
        return self.run_dir / "checkpoints"

    def _tick(self) -> None:
        self.position.seconds = time.perf_counter() - self.started

    def _out_of_time(self) -> bool:
        """Whether ``max_minutes`` are over; rank 0's clock decides, at log steps only."""
        if self.max_minutes is None:
            return False
        if distributed.world_size() > 1 and self.position.step % self.log_every:
            return False
        return bool(distributed.broadcast(self.position.seconds >= 60 * self.max_minutes))

    def _interrupted(self) -> Interrupted | None:
        """What a signal to any rank ends the run with; several GPUs agree at log steps only."""
        step, several = self.position.step, distributed.world_size() > 1
        if several and self.torch_device.type == "cuda" and step % self.log_every:
            return None
        number = distributed.largest(self.signals.received, self.torch_device)
        return (
            Interrupted(f"saved after step {step} of {self.total_steps}", number)
            if number
            else None
        )

    def _finished(self) -> bool:
        done = self.position.step >= self.total_steps
        return done or self.time_is_over or self.metric_monitor.out_of_patience

    def _event(self, name: str) -> None:
        if self.on_event:
            self.on_event(name, self)

    def report(self) -> dict[str, Any]:
        """What this run reached and what it cost."""
        return {
            "metrics": self.best.metrics,
            "best_step": self.best.step,
            "step": self.position.step,
            "epoch": self.position.epoch,
            "seconds": round(self.position.seconds, 2),
            "examples_per_second": round(self.position.examples_per_second, 1),
            "parameters": sum(p.numel() for p in self.task.parameters()),
            "seed": self.seed,
            **hardware.used(self.torch_device, self.dtype),
        }
