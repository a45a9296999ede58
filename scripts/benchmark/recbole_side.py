"""RecBole's half of `recommender.py`: SASRec as RecBole comes, run in RecBole's own environment.

    python recbole_side.py FOLDER NAME MINUTES THREADS SEED CLOCK

Reads ``FOLDER/NAME/NAME.inter`` and prints JSON lines, each after `MARK`: first the size of the
model and what was held out of whom to validate on, then one line an epoch with the seconds since
training began and the validation metrics, last why it stopped. Nothing of RecBole is changed: its
Trainer trains and evaluates, and a subclass reads the clock, ``wall`` or ``cpu``. It stops by
RecBole's own early stopping, or after the epoch in which ``MINUTES`` pass. This file imports
nothing of ours.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

MARK = "@json "
CONVERGED, CUT = "early stopping", "time limit"
SETTINGS = {
    "use_gpu": False,
    "show_progress": False,
    "state": "WARNING",
    "metrics": ["Recall", "NDCG"],
    "topk": [10],
    "valid_metric": "NDCG@10",
    "metric_decimal_place": 6,
    "train_neg_sample_args": None,  # RecBole demands it with the loss CE
}


class TimeIsOver(Exception):
    """Raised between two epochs: the only way out of RecBole's loop before its early stopping."""


def put(**values: Any) -> None:
    """Prints one line for `recommender.py`."""
    print(MARK + json.dumps(values), flush=True)


def held_out(dataset: Any) -> dict[str, str]:
    """The item id that each user id is validated on."""
    fields = (dataset.uid_field, dataset.iid_field)
    users, items = (dataset.id2token(name, dataset.inter_feat[name].numpy()) for name in fields)
    return {str(user): str(item) for user, item in zip(users, items, strict=True)}


def timed(base: Any, minutes: float, now: Callable[[], float]) -> Any:
    """RecBole's trainer class with a clock, ``now``, that starts when training does."""

    class Timed(base):
        def fit(self, *arguments: Any, **keywords: Any) -> Any:
            self.started = now()
            return super().fit(*arguments, **keywords)

        def _train_epoch(self, *arguments: Any, **keywords: Any) -> Any:
            self.epoch_started = now()
            loss = super()._train_epoch(*arguments, **keywords)
            self.epoch_trained = now()
            return loss

        def _valid_epoch(self, *arguments: Any, **keywords: Any) -> Any:
            score, result = super()._valid_epoch(*arguments, **keywords)
            done = now()
            put(
                seconds=done - self.started,
                train_seconds=self.epoch_trained - self.epoch_started,
                eval_seconds=done - self.epoch_trained,
                **{name: float(value) for name, value in result.items()},
            )
            return score, result

        def stop_if_over(self, epoch: int, score: float) -> None:
            over = now() - self.started >= 60 * minutes
            if over and self.cur_step <= self.stopping_step:
                raise TimeIsOver

    return Timed


def main(folder: str, name: str, minutes: float, threads: int, seed: int, clock: str) -> None:
    """Trains and prints."""
    import torch
    from recbole.config import Config  # type: ignore[import-not-found]
    from recbole.data import create_dataset, data_preparation  # type: ignore[import-not-found]
    from recbole.trainer import Trainer  # type: ignore[import-not-found]
    from recbole.utils import get_model, init_seed  # type: ignore[import-not-found]

    torch.set_num_threads(threads)
    settings = SETTINGS | {"data_path": folder, "seed": seed}
    config = Config(model="SASRec", dataset=name, config_dict=settings)
    torch.set_num_threads(threads)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, valid, _ = data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train._dataset).to(config["device"])
    put(
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        parameters=sum(p.numel() for p in model.parameters()),
        examples=len(train._dataset),
        items=dataset.item_num - 1,  # number 0 is padding
        masks_seen=valid.collate_fn([0])[1] is not None,
        held_out=held_out(valid._dataset),
    )
    now = time.process_time if clock == "cpu" else time.perf_counter
    trainer = timed(Trainer, minutes, now)(config, model)
    try:
        trainer.fit(train, valid, verbose=False, callback_fn=trainer.stop_if_over)
        put(stopped=CONVERGED if trainer.cur_step > trainer.stopping_step else "last epoch")
    except TimeIsOver:
        put(stopped=CUT)


if __name__ == "__main__":
    sys.argv[1:], values = [], sys.argv[1:]  # RecBole reads the command line itself
    os.environ.setdefault("OMP_NUM_THREADS", values[3])
    main(values[0], values[1], float(values[2]), int(values[3]), int(values[4]), values[5])
