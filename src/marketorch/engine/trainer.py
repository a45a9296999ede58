"""The only training loop of the project.

`Trainer.fit` reads top to bottom: prepare or resume, then epochs of batches, each batch a forward
and a backward, each ``accumulate`` batches an update, with logs, evaluations and checkpoints
between updates. It knows the clock, the device, precision and the optimizer; it never learns what
is in a batch.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from marketorch.engine import checkpoint, distributed, loading, optim
from marketorch.engine.evaluation import (
    autocast,
    evaluate,
    join,
    predict_loop,
    resolve_precision,
)
from marketorch.engine.task import Batch, Dataset, Predictions, Step, Task
from marketorch.engine.tracking import Tracker, say
from marketorch.errors import ConfigError, NonFiniteError


@dataclass
class Position:
    """Where a run stands: ``batch`` batches of ``epoch`` are done, ``step`` updates in all."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    examples: int = 0


@dataclass
class Best:
    """The best evaluation so far and the evaluations since then."""

    value: float | None = None
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    evaluations_since: int = 0


class Trainer:
    """Trains any `Task`.

    Args:
        run_dir: the run directory; checkpoints go to ``run_dir/checkpoints``.
        seed: with the position in the run, the source of all randomness.
        device: ``auto``, ``cpu``, ``gpu`` or ``cuda:<number>``.
        precision: ``auto`` (bf16 where the hardware has it), ``fp32`` or ``bf16``.
        epochs: passes over the training split; the schedule spans them.
        max_steps: cuts the run, and with it the schedule, to so many updates.
        max_minutes: stops early; changes nothing but where the run stops.
        batch_size: examples a forward pass sees, over all ranks together.
        eval_batch_size: examples a forward pass of an evaluation sees on one rank.
        accumulate: batches an update.
        schedule: ``cosine``, ``linear`` or ``constant`` after ``warmup`` (a share or steps).
        clip_norm: largest gradient norm, or None.
        ema_decay: decay of the averaged weights that are evaluated and kept as best; 0 is off.
        eval_every: steps between evaluations; None: after each epoch.
        save_every: steps between checkpoints; None: after each evaluation.
        log_every: steps between lines in metrics.jsonl; losses are checked for NaN then.
        patience: evaluations without improvement before the run stops; None: never.
        monitor: metric that picks the best weights; None: the task's main metric. ``last`` keeps
            the final weights.
        mode: ``max`` or ``min``; None: as the task says.
        backends: further places to log to, see `Tracker`.
        on_event: called as ``on_event(name, trainer)`` at ``start log evaluate save end``.
    """

    def __init__(
        self,
        *,
        run_dir: str | Path,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        epochs: int = 10,
        max_steps: int | None = None,
        max_minutes: float | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 256,
        accumulate: int = 1,
        schedule: str = "cosine",
        warmup: float = 0.06,
        final_lr: float = 0.0,
        clip_norm: float | None = 1.0,
        ema_decay: float = 0.0,
        eval_every: int | None = None,
        save_every: int | None = None,
        log_every: int = 20,
        patience: int | None = None,
        monitor: str | None = None,
        mode: str | None = None,
        channels_last: bool = False,
        compile: bool = False,
        num_workers: int = 0,
        num_threads: int | None = None,
        backends: Sequence[str] = (),
        on_event: Callable[[str, Trainer], None] | None = None,
    ) -> None:
        for name in ("batch_size", "eval_batch_size", "accumulate", "log_every"):
            if locals()[name] < 1:
                raise ConfigError(f"trainer.{name} is {locals()[name]}; expected at least 1.")
        if patience is not None and patience < 1:
            raise ConfigError(f"trainer.patience is {patience}; expected at least 1, or null.")
        if mode not in (None, "max", "min"):
            raise ConfigError(f"trainer.mode is '{mode}'; expected max, min or null.")
        self.run_dir, self.seed, self.epochs = Path(run_dir), seed, epochs
        self.device = distributed.resolve_device(device)
        self.precision, self.dtype = precision, resolve_precision(precision, self.device)
        self.max_steps, self.max_minutes = max_steps, max_minutes
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.accumulate, self.num_workers = accumulate, num_workers
        self.schedule, self.warmup, self.final_lr = schedule, warmup, final_lr
        self.clip_norm, self.ema_decay = clip_norm, ema_decay
        self.eval_every, self.save_every, self.log_every = eval_every, save_every, log_every
        self.patience, self.monitor, self.mode = patience, monitor, mode
        self.channels_last, self.compile = channels_last, compile
        self.backends, self.on_event = backends, on_event
        self.tracker: Tracker
        self.stopped = False
        if num_threads:
            torch.set_num_threads(num_threads)

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
        """
        self.task, self.record = task, record or {}
        self.position, self.best = Position(), Best()
        state = checkpoint.load_last(self.checkpoints, say) if resume else None
        self._prepare(train, state)
        self.train, self.validation = task.encode(train), validation and task.encode(validation)
        self._build(optimizer, state)
        self._event("start")
        try:
            if self.position.step >= self.total_steps and not state:
                self._evaluate_and_save()
            while self.position.step < self.total_steps and not self._finished():
                start = self.position.batch
                keys = loading.epoch_keys(
                    self.train,
                    self.batch_size,
                    seed=self.seed,
                    epoch=self.position.epoch,
                    start=start,
                )
                self._run_epoch(keys, last=start + len(keys) - 1)
            self._check_and_log()
            self._finish()
        finally:
            self.tracker.close()
        self._event("end")
        return self.report()

    def _run_epoch(self, keys: list[loading.Key], last: int) -> None:
        """Runs the batches ``keys``; ``last`` is the number of the epoch's final batch."""
        self.task.train()
        batches = loading.load(self.train, keys, device=self.device, num_workers=self.num_workers)
        for key, batch in batches:
            ends_step = (key.batch + 1) % self.accumulate == 0 or key.batch == last
            self._backward(key, batch, ends_step)
            self.position.batch = key.batch + 1
            if not ends_step:
                continue
            self._update()
            ends_epoch = key.batch == last
            if ends_epoch:
                self.position.epoch, self.position.batch = self.position.epoch + 1, 0
            self._after_step(ends_epoch)
            if self._finished():
                return

    def _backward(self, key: loading.Key, batch: Batch, ends_step: bool) -> None:
        """One forward and backward; gradients of sums pile up until `_update`."""
        loading.seed_batch(self.device, self.seed, key.epoch, key.batch, distributed.rank())
        if self.channels_last:
            batch = {name: _channels_last(value) for name, value in batch.items()}
        with distributed.accumulate(self.wrapped, ends_step):
            with autocast(self.device, self.dtype):
                step: Step = self.wrapped(batch)
            share = float(key.real)
            (step.loss_sum * share).backward()
        logs = {"loss": step.loss_sum} | step.logs
        self.window.append(
            (key, step.weight.detach() * share, {k: v.detach() * share for k, v in logs.items()})
        )
        self.pending.append(self.window[-1][1])
        self.position.examples += len(key.indices) * distributed.world_size() * key.real

    def _update(self) -> None:
        """Divides the summed gradients by the summed weight, clips, and steps, without a sync."""
        own = torch.stack([w.to(torch.float32) for w in self.pending]).sum()
        self.pending.clear()
        scale = distributed.world_size() / distributed.reduce_sum(own.clone()).clamp_min(1e-12)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients) * scale
        if self.clip_norm is not None:
            scale = scale * (self.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_(gradients, scale)
        optim.set_lr(self.optimizers, self.factor(self.position.step))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.window[-1][2]["gradient_norm"] = norm * own
        self.position.step += 1
        if self.ema is not None:
            decay = min(self.ema_decay, (1 + self.position.step) / (10 + self.position.step))
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(self.ema.values()), list[Tensor](self.parameters), 1 - decay
                )

    def _after_step(self, ends_epoch: bool) -> None:
        """Logs, evaluates and saves when it is time to."""
        step, final = self.position.step, self.position.step >= self.total_steps
        self._tick()
        if step % self.log_every == 0:
            self._check_and_log()
        out_of_time = self._out_of_time()
        due = step % self.eval_every == 0 if self.eval_every else ends_epoch
        if due or final or out_of_time:
            self._evaluate_and_save()
        elif self.save_every and step % self.save_every == 0:
            self._check_and_log()
            self._save()
        self.stopped = self.stopped or out_of_time

    # -- parts of fit -------------------------------------------------------------------------

    def _prepare(self, train: Dataset, state: dict[str, Any] | None) -> None:
        """Fits the task on the training split (rank 0, then shared) or restores it."""
        if state is None:
            if distributed.is_main():
                self.task.prepare(train)
            state = {"task": distributed.broadcast(self.task.state_dict())}
        self.task.load_state_dict(state["task"])
        self.task.to(self.device)
        if self.channels_last:
            self.task.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _build(self, factory: optim.OptimizerFactory, state: dict[str, Any] | None) -> None:
        """Optimizers, averaged weights, length of the run, and a restored state if there is one."""
        named = {n: p for n, p in self.task.named_parameters() if p.requires_grad}
        self.parameters = list(named.values())
        self.optimizers = factory(self.task) if named else []
        self.ema = {n: p.detach().clone() for n, p in named.items()} if self.ema_decay else None
        batches = math.ceil(len(self.train) / self.batch_size)
        steps = math.ceil(batches / self.accumulate) * self.epochs
        self.total_steps = min(steps, steps if self.max_steps is None else self.max_steps)
        self.total_steps *= bool(named)
        self.factor = optim.schedule(
            self.schedule,
            warmup=self.warmup,
            total_steps=self.total_steps,
            final=self.final_lr,
        )
        if self.compile:
            self.task.compile(dynamic=True)
        self.wrapped = distributed.wrap(self.task, self.device) if named else self.task
        if state is not None:
            self._restore(state)
        self.window: list[tuple[loading.Key, Tensor, dict[str, Tensor]]] = []
        self.pending: list[Tensor] = []
        self.started = time.perf_counter() - self.position.seconds
        self.stopped = self._patience_is_over()
        self.tracker = Tracker(
            self.run_dir,
            total_steps=self.total_steps,
            start_step=self.position.step,
            backends=self.backends,
        )

    def _restore(self, state: dict[str, Any]) -> None:
        same_ema = (self.ema is None) == (state["ema"] is None)
        if not same_ema or len(self.optimizers) != len(state["optimizers"]):
            raise ConfigError(
                "resume: this run was trained with another kind of optimizer or ema_decay; "
                "continue it with its own, or start anew from its weights with init_from."
            )
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.ema is not None:
            for name, value in state["ema"].items():
                self.ema[name].copy_(value)
        self.position, self.best = Position(**state["position"]), Best(**state["best"])

    def _evaluate_and_save(self) -> None:
        """Measures the (averaged) weights on validation and keeps them if they are the best."""
        self._check_and_log()
        with checkpoint.swapped(self.task, self.ema):
            metrics = self._evaluate()
            if self._improves(metrics) and distributed.is_main():
                metadata = {"schema": self.task.schema, "step": self.position.step}
                checkpoint.save_best(self.checkpoints, self.task, metadata)
        self._tick()
        self._save()
        self._event("evaluate")

    def _finish(self) -> None:
        """Leaves the task at its best weights, calibrated on the validation split."""
        state, metadata = checkpoint.load_best(self.checkpoints / checkpoint.BEST)
        self.task.load_state_dict(state)
        if self.validation is None or not self.task.calibrate(self._predict(), self.validation):
            return
        self.best.metrics = self._evaluate()
        if distributed.is_main():
            checkpoint.save_best(self.checkpoints, self.task, metadata)
        distributed.barrier()

    def _predict(self) -> Predictions:
        """Predictions on the whole validation split, on every rank."""
        loop = predict_loop(self.task, self.validation, **self._loop)  # type: ignore[arg-type]
        own = [loading.to_device(dict(p), torch.device("cpu")) for p, _ in loop]
        return join(list(chain.from_iterable(distributed.gather(own))))

    @property
    def _loop(self) -> dict[str, Any]:
        return {
            "batch_size": self.eval_batch_size,
            "device": self.device,
            "precision": self.precision,
            "num_workers": self.num_workers,
        }

    def _evaluate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        started = time.perf_counter()
        metrics = evaluate(self.task, self.validation, **self._loop)
        metrics = {f"val/{name}": value for name, value in metrics.items()}
        self._tick()
        epoch = self.position.epoch + self.position.batch * self.batch_size / max(
            1, len(self.train)
        )
        shown = {"epoch": round(epoch, 2)} | {k: v for k, v in metrics.items() if k.count("/") == 1}
        timing = {"seconds": self.position.seconds, "eval_seconds": time.perf_counter() - started}
        self.tracker.log(self.position.step, shown | metrics | timing)
        say(
            f"step {self.position.step:>6}  epoch {epoch:5.2f}  {self.position.seconds:6.0f} s  "
            + "  ".join(f"{k} {v:.4f}" for k, v in list(shown.items())[1:7])
        )
        self.task.train()
        return metrics

    def _improves(self, metrics: dict[str, float]) -> bool:
        """Updates the record of the best evaluation; True if this is one to keep."""
        name = self.monitor or f"val/{self.task.main_metric}"
        name = name if name == "last" or name.startswith("val/") else f"val/{name}"
        if name == "last" or not metrics:
            self.best = Best(None, self.position.step, metrics)
            return True
        if name not in metrics:
            raise ConfigError(f"trainer.monitor is '{name}'; measured are {sorted(metrics)}.")
        lower = self.mode == "min" if self.mode else self.task.lower_is_better
        value, best = metrics[name], self.best.value
        better = best is None or math.isnan(best) or (value < best if lower else value > best)
        if (better and not math.isnan(value)) or not self.best.metrics:
            self.best = Best(value, self.position.step, metrics)
            return True
        self.best.evaluations_since += 1
        self.stopped = self._patience_is_over()
        return False

    def _patience_is_over(self) -> bool:
        return self.patience is not None and self.best.evaluations_since >= self.patience

    def _save(self) -> None:
        """Writes ``last.pt``; only ever called between updates."""
        if distributed.is_main():
            state = {
                "task": self.task.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "ema": self.ema,
                "position": asdict(self.position),
                "best": asdict(self.best),
            }
            checkpoint.save_last(self.checkpoints, state | self.record)
        distributed.barrier()
        self._event("save")

    def _check_and_log(self) -> None:
        """Reads the losses since the last call, in one sync; stops at the first that is not finite."""
        if not self.window:
            return
        names = list(dict.fromkeys(name for _, _, logs in self.window for name in logs))
        nothing = torch.zeros((), device=self.device)
        values = torch.stack(
            [
                torch.stack([w.float(), *(logs.get(n, nothing).float() for n in names)])
                for _, w, logs in self.window
            ]
        ).cpu()
        bad = (~torch.isfinite(values)).any(1).nonzero()
        if len(bad):
            self._stop_for(self.window[int(bad[0]) :])
        sums = distributed.reduce_sum(values.double().sum(0).to(self.device)).tolist()
        self.window.clear()
        averages = {
            f"train/{n}": s / max(sums[0], 1e-12) for n, s in zip(names, sums[1:], strict=True)
        }
        rate = self.position.examples / max(self.position.seconds, 1e-9)
        self.tracker.log(
            self.position.step,
            {"epoch": self.position.epoch, **averages}
            | {"lr_factor": self.factor(self.position.step), "seconds": self.position.seconds}
            | {"examples_per_second": rate},
        )
        self.tracker.advance(self.position.step, f"loss {averages['train/loss']:.4f}")
        self._event("log")

    def _stop_for(self, window: list[tuple[loading.Key, Tensor, dict[str, Tensor]]]) -> None:
        """Names the first batch of ``window``; a batch that ends a step has a gradient norm."""
        key, ids = window[0][0], getattr(self.train, "ids", None)
        examples = [ids[i] if ids is not None else i for i in key.indices]
        step = self.position.step + 1 - sum("gradient_norm" in logs for *_, logs in window)
        raise NonFiniteError(
            f"The loss or gradient is not finite at step {step} (epoch {key.epoch}, batch "
            f"{key.batch}). Examples: {examples}. Nothing was saved since; resume continues from "
            "the last checkpoint. Look at these examples, or lower optim.lr or trainer.clip_norm."
        )

    # -- small things -------------------------------------------------------------------------

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

    def _finished(self) -> bool:
        return self.stopped or self.position.step >= self.total_steps

    def _event(self, name: str) -> None:
        if self.on_event:
            self.on_event(name, self)

    def report(self) -> dict[str, Any]:
        """What this run reached and what it cost."""
        gpu = self.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated() if gpu else 0
        return {
            "metrics": self.best.metrics,
            "best_step": self.best.step,
            "step": self.position.step,
            "epoch": self.position.epoch,
            "seconds": round(self.position.seconds, 2),
            "examples_per_second": round(
                self.position.examples / max(self.position.seconds, 1e-9), 1
            ),
            "parameters": sum(p.numel() for p in self.task.parameters()),
            "peak_memory_bytes": peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "seed": self.seed,
            "precision": "bf16" if self.dtype == torch.bfloat16 else "fp32",
            "device": torch.cuda.get_device_name(self.device) if gpu else "cpu",
            "world_size": distributed.world_size(),
        }


def _channels_last(value: Any) -> Any:
    if isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point():
        return value.to(memory_format=torch.channels_last)
    return value
