"""Every example counts exactly once, whatever the batch size; nothing is left changed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toy import Points, PointTask

from marketorch.engine.evaluation import (
    evaluate,
    flatten,
    join,
    predict_all,
    predict_loop,
    resolve_precision,
)
from marketorch.errors import ConfigError
from marketorch.metrics.probabilities import Brier
from marketorch.tasks.sampling import uniform

CPU = torch.device("cpu")
LOOP: dict[str, Any] = {"device": CPU, "precision": "fp32"}


@pytest.fixture
def task() -> PointTask:
    torch.manual_seed(0)
    task = PointTask(batch_norm=True, dropout=0.5)
    task.prepare(Points(50))
    return task


def test_metrics_do_not_depend_on_the_batch_size(task: PointTask) -> None:
    data = Points(101)
    whole = evaluate(task, data, batch_size=1000, **LOOP)
    assert set(whole) == {"accuracy", "auroc", "auprc", "log_loss"}
    for size in (1, 7, 100, 101):
        assert evaluate(task, data, batch_size=size, **LOOP) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_example_is_predicted_once_and_in_order(task: PointTask, num_workers: int) -> None:
    data = Points(37)
    data.lengths = torch.arange(37) % 5  # evaluated from long to short
    collected: list[Any] = []
    evaluate(task, data, batch_size=8, num_workers=num_workers, collect=collected, **LOOP)
    assert collected[0]["index"].tolist() != list(range(8))
    joined = join(collected)
    assert joined["index"].tolist() == list(range(37))
    expected = task.eval().predict(data.__getitems__(list(range(37))))
    torch.testing.assert_close(joined["probabilities"], expected["probabilities"])


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_restored(task: PointTask, training: bool) -> None:
    task.train(training)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    evaluate(task, Points(20), batch_size=8, **LOOP)
    assert task.training is training
    assert all(torch.equal(v, task.state_dict()[n]) for n, v in before.items())  # BatchNorm, too


def test_the_mode_is_restored_after_an_error(
    task: PointTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "predict", lambda batch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(task.train(), Points(20), batch_size=8, **LOOP)
    assert task.training


def test_no_gradients_are_kept(task: PointTask) -> None:
    for predictions, _ in predict_loop(task, Points(20), batch_size=8, **LOOP):
        assert not predictions["probabilities"].requires_grad


def test_precisions() -> None:
    assert resolve_precision("fp32", CPU) == torch.float32
    assert resolve_precision("bf16", CPU) == torch.bfloat16
    assert resolve_precision("auto", CPU) in (torch.float32, torch.bfloat16)
    with pytest.raises(ConfigError, match=r"precision is 'fp61'; expected auto, fp32 or bf16"):
        resolve_precision("fp61", CPU)


def test_bf16_is_close_to_fp32(task: PointTask) -> None:
    exact = evaluate(task, Points(100), batch_size=32, **LOOP)
    coarse = evaluate(task, Points(100), batch_size=32, **LOOP | {"precision": "bf16"})
    assert coarse != exact
    assert coarse["log_loss"] == pytest.approx(exact["log_loss"], abs=0.02)


def test_metrics_of_metrics_are_flattened() -> None:
    found = flatten({"f1": torch.tensor(0.5), "classes": {"recall/a": torch.tensor(1.0)}})
    assert found == {"f1": 0.5, "recall/a": 1.0}


def test_joining_nothing_is_nothing() -> None:
    assert join([]) == {}


class Words(PointTask):
    """Answers with texts, with sampled numbers, and with tensors as long as the batch is large."""

    def predict(self, batch: Any) -> Any:
        index = batch["index"]
        return {
            "index": index,
            "words": ["x" * int(i) for i in index],
            "drawn": uniform(index, 2),
            "padded": index[:, None].expand(-1, len(index)),
        }


def test_answers_of_any_length_join_in_order_and_samples_repeat() -> None:
    task, data = Words(), Points(29)
    whole, *parts = (predict_all(task, data, batch_size=n, **LOOP) for n in (29, 1, 7))
    assert whole["words"] == ["x" * i for i in range(29)]
    assert whole["padded"].shape == (29, 29)
    for part in parts:
        assert part["words"] == whole["words"]
        assert torch.equal(part["drawn"], whole["drawn"])
    assert [len(own) for own in parts[1]["padded"]] == [7] * 28 + [1]
    assert [int(own[0]) for own in parts[1]["padded"]] == list(range(29))


def test_dear_metrics_are_left_out_where_they_are_not_wanted(
    task: PointTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "dear_metrics", lambda: {"brier": Brier()}, raising=False)
    assert "brier" in evaluate(task, Points(20), batch_size=8, **LOOP)
    assert "brier" not in evaluate(task, Points(20), batch_size=8, dear=False, **LOOP)
