"""Ranking metrics against written-out ones, the task on tiny data, and the sceptics' counts."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch import compose, evaluate, load_run, train
from marketorch.data.events.catalogue import Catalogue, Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import Ragged
from marketorch.engine.trainer import Trainer
from marketorch.errors import ConfigError, DataError
from marketorch.metrics.ranks import mean_ranks, ranks_among
from marketorch.metrics.recommendation import Coverage, Popularity, RankMetric
from marketorch.models.recommenders import item_counts
from marketorch.models.recommenders.base import Positives, VectorRecommender
from marketorch.models.recommenders.item_counts import Markov
from marketorch.models.recommenders.sequential_transformer import SequentialTransformer
from marketorch.optim import optimizers as optim
from marketorch.runs.prediction import predict_file
from marketorch.tasks.catalogue_loss import CatalogueLoss, full_softmax
from marketorch.tasks.recommendation import Recommendation


def written_out(scores: list[float], targets: list[int], k: int) -> dict[str, float]:
    """Recall, NDCG and MRR of one user, ties by the mean of their ranks, in plain Python."""
    ranks = []
    for target in targets:
        above = sum(s > scores[target] for s in scores)
        tied = sum(s == scores[target] for s in scores)
        ranks.append(above + sum(range(1, tied + 1)) / tied)
    cumulative_gains = [1 / math.log2(1 + rank) for rank in ranks if rank <= k]
    ideal = [1 / math.log2(2 + i) for i in range(min(k, len(targets)))]
    return {
        "recall": len(cumulative_gains) / len(targets),
        "ndcg": sum(cumulative_gains) / sum(ideal),
        "mrr": max((1 / rank for rank in ranks if rank <= k), default=0.0),
    }


def padded(rows: list[list[int]]) -> Tensor:
    return Ragged.of(rows).pad(torch.arange(len(rows)))


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("levels", [4, 1000])
def test_metrics_equal_the_written_out_ones_with_and_without_ties(k: int, levels: int) -> None:
    torch.manual_seed(k + levels)
    scores = torch.randint(0, levels, (50, 21)).float()
    scores[:, 0] = -torch.inf
    targets = [(torch.randperm(20)[: 1 + i % 4] + 1).tolist() for i in range(50)]
    ranks = mean_ranks(scores, padded(targets), k)
    expected = [written_out(s, t, k) for s, t in zip(scores.tolist(), targets, strict=True)]
    for kind in ("recall", "ndcg", "mrr"):
        metric = RankMetric(kind, k)
        metric.update(ranks[:20])
        metric.update(ranks[20:])
        mean = sum(row[kind] for row in expected) / len(expected)
        assert float(metric.compute()) == pytest.approx(mean, abs=1e-6), kind


def test_equal_scores_for_everything_are_worth_what_chance_is_worth() -> None:
    scores = torch.zeros(4, 101)
    scores[:, 0] = -torch.inf
    assert mean_ranks(scores, torch.tensor([[1], [50], [99], [100]])).tolist() == [[50.5]] * 4


def test_a_score_that_is_no_number_or_masked_is_a_miss() -> None:
    scores = torch.tensor([[-torch.inf, 1.0, torch.nan, 2.0, -torch.inf]])
    assert (mean_ranks(scores, torch.tensor([[2, 4]])) > 3).all()
    metric = RankMetric("recall", 2)
    metric.update(mean_ranks(scores, torch.tensor([[3, 4]])))
    assert float(metric.compute()) == 0.5  # what cannot be shown stays in the denominator


def test_ranks_beyond_the_list_are_only_known_to_be_beyond() -> None:
    torch.manual_seed(0)
    scores = torch.randint(0, 30, (40, 101)).float()
    targets = torch.randint(1, 101, (40, 3))
    exact, within = mean_ranks(scores, targets), mean_ranks(scores, targets, 10)
    assert torch.equal(exact[exact <= 10], within[exact <= 10])
    assert (within[exact > 10] > 10).all()


def test_users_with_many_targets_are_measured_whatever_the_batches(tmp_path: Path) -> None:
    rows = [(u, (u + s) % 20) for u in range(12) for s in range(4 + u)]
    log = tmp_path / "log.csv"
    pd.DataFrame(rows, columns=["user", "item"]).to_csv(log, index=False)
    recipe = ["experiment=recommender_ml1m", "data=event_log", f"data.path={log}", "model.dim=16"]
    recipe += ["data.protocol=random", "data.test_fraction=0.4", "trainer.epochs=1", "baselines=[]"]
    train(compose([*recipe, "trainer.device=cpu", f"run_dir={tmp_path / 'run'}"]))
    one, many = (
        evaluate(tmp_path / "run", overrides=[f"trainer.eval_batch_size={size}"])["metrics"]
        for size in (3, 12)
    )
    assert one == pytest.approx(many, abs=1e-6)


def test_the_sampled_protocol_ranks_among_the_given_items_alone() -> None:
    scores = torch.tensor([[-torch.inf, 5.0, 4.0, 3.0, 3.0, 1.0]])
    ranks = ranks_among(scores, torch.tensor([[3, 0]]), torch.tensor([[1, 4, 5, 0]]))
    assert ranks.tolist() == [[2.5, math.inf]]  # below 1, tied with 4, above 5; 2 was not given


def test_popularity_of_what_is_shown() -> None:
    metric = Popularity(torch.tensor([0.0, 1.0, 0.5, 0.0]), 2)
    metric.update(torch.tensor([[1, 2, 3], [3, 2, 1]]))
    assert float(metric.compute()) == pytest.approx((0.75 + 0.25) / 2)


def test_coverage_is_the_share_of_items_in_some_list() -> None:
    metric = Coverage(10, 2)
    metric.update(torch.tensor([[1, 2, 3], [2, 4, 5]]))
    assert float(metric.compute()) == pytest.approx(0.3)


# -- models -----------------------------------------------------------------------------------

HISTORIES = Ragged.of([[1, 2, 3, 1], [2, 3], [4]])


def test_the_sceptics_count() -> None:
    popularity, markov = item_counts.Popularity(sizes=Sizes(4)), Markov(sizes=Sizes(4))
    train = EventDataset(HISTORIES, Catalogue(list("abcd")), training=True)
    popularity.fit(train)
    markov.fit(train)
    items = {"items": torch.tensor([[4, 2, 0], [1, 3, 1]])}
    assert popularity(items)[0].tolist() == [0, 2, 2, 2, 1]
    followed = markov(items)
    assert followed.argmax(1).tolist() == [3, 2]  # after 2 came 3, twice; after 1 came 2
    assert followed[0, 3] == 2.5
    assert followed[0].argsort(descending=True).tolist()[-2:] == [4, 0]  # then by popularity


def test_the_future_and_padding_change_nothing() -> None:
    torch.manual_seed(0)
    model = SequentialTransformer(sizes=Sizes(9), dim=16, num_heads=2).eval()
    items = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 0, 0, 0]])
    states = model.states(items)
    torch.testing.assert_close(model.states(items[:, :3]), states[:, :3], rtol=1e-4, atol=1e-5)
    scores = model({"items": items})
    torch.testing.assert_close(model({"items": items[1:, :2]}), scores[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("number", [5, 1500])
def test_the_softmax_in_chunks_is_cross_entropy(number: int) -> None:
    """The same loss and gradients, with several positives a query and padding impossible."""
    torch.manual_seed(0)
    queries = torch.randn(number, 8, requires_grad=True)
    output = torch.nn.Linear(8, 12)
    rows = torch.randint(0, number, (2 * number,)).sort().values
    positives = Positives(queries, rows, torch.randint(1, 12, (2 * number,)))

    class Model(VectorRecommender):
        def catalogue(self, items: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
            return output.weight, output.bias

    wanted = [queries, output.weight, output.bias]
    loss = full_softmax(Model(), positives)
    actual = torch.autograd.grad(2 * loss, wanted)
    scores = output(queries)[rows].index_fill(1, torch.tensor([0]), -torch.inf)
    reference = F.cross_entropy(scores, positives.targets, reduction="sum")
    torch.testing.assert_close(loss, reference, rtol=1e-5, atol=1e-3)
    for gradient, other in zip(actual, torch.autograd.grad(2 * reference, wanted), strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-4)


def test_what_may_be_repeated_is_a_mixture_of_two_distributions() -> None:
    """The loss is −log of what `forward` says of the next item; gradients by the slow way."""
    torch.manual_seed(0)
    model = SequentialTransformer(sizes=Sizes(9), dim=16, num_heads=2, repeats=True).eval()
    items = torch.tensor([[1, 2, 1, 3, 1], [6, 7, 7, 0, 0]])
    positives = model.positives({"items": items})
    loss = full_softmax(model, positives)
    actual = torch.autograd.grad(loss, list(model.parameters()))
    steps = [(row[:n], row[n]) for row in ([1, 2, 1, 3, 1], [6, 7, 7]) for n in range(1, len(row))]
    reference = torch.zeros(())
    for history, target in steps:
        (scores,) = model({"items": torch.tensor([history])})
        torch.testing.assert_close(scores.exp().sum(), torch.ones(()), rtol=1e-4, atol=1e-4)
        reference = reference - scores[target]
    torch.testing.assert_close(loss, reference, rtol=1e-4, atol=1e-4)
    expected = torch.autograd.grad(reference, list(model.parameters()))
    for gradient, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-4)
    with pytest.raises(ConfigError, match=r"repeats needs task\.loss=softmax"):
        CatalogueLoss(9, "gbce")(model, positives)


# -- task -------------------------------------------------------------------------------------


def rings(training: bool) -> EventDataset:
    """Twelve users who walk round a ring of twelve items."""
    rows = [[(start + step) % 12 + 1 for step in range(6)] for start in range(12)]
    targets = None if training else Ragged.of([[(row[-1]) % 12 + 1] for row in rows])
    return EventDataset(
        Ragged.of(rows),
        Catalogue(list("abcdefghijkl")),
        targets=targets,
        training=training,
    )


def test_learns_what_comes_next(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = Recommendation(
        model=lambda sizes: SequentialTransformer(
            sizes=sizes, dim=16, depth=1, num_heads=2, dropout=0.0
        ),
        schema={"num_items": 12},
        at=(1,),
    )
    trainer = Trainer(run_dir=tmp_path, device="cpu", precision="fp32", epochs=80, batch_size=12)
    report = trainer.fit(task, rings(True), rings(False), lambda m: optim.adamw(m, lr=1e-2))
    assert report["metrics"]["val/ndcg@1"] == 1.0


class Cut(BaseException):
    pass


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "gbce"])
def test_a_resumed_run_is_bit_equal(tmp_path: Path, loss: str) -> None:
    """From mid-epoch, with dropout, negatives drawn at random, and averaged weights."""

    def fit(folder: str, stop_at: int = -1, **options: Any) -> Recommendation:
        def stop(name: str, trainer: Trainer) -> None:
            if name == "save" and trainer.position.step == stop_at:
                raise Cut

        torch.manual_seed(0)
        model = partial(SequentialTransformer, dim=16, depth=1, num_heads=2, dropout=0.3)
        schema = {"num_items": 12}
        task = Recommendation(model=model, schema=schema, loss=loss, negatives=5, positions=20)
        how: dict[str, Any] = {"device": "cpu", "precision": "fp32", "ema_decay": 0.9}
        how |= {"epochs": 4, "batch_size": 5, "save_every": 1, "log_every": 1, "on_event": stop}
        trainer = Trainer(run_dir=tmp_path / folder, **how)
        trainer.fit(task, rings(True), rings(False), lambda m: optim.adamw(m, lr=1e-2), **options)
        return task

    whole = fit("whole").state_dict()
    with pytest.raises(Cut):
        fit("cut", stop_at=5)
    resumed = fit("cut", resume=True).state_dict()
    assert resumed.keys() == whole.keys()
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


def test_positions_are_a_sample_of_all(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SequentialTransformer(sizes=Sizes(12), dim=16, depth=1, num_heads=2)
    task = Recommendation(model=lambda sizes: model, schema={"num_items": 12}, positions=7).eval()
    batch = task.encode(rings(True)).__getitems__(list(range(12)))
    assert float(task(batch).weight) == 7
    task.positions = 10_000
    assert float(task(batch).weight) == 12 * 5


def test_what_a_user_has_taken_is_never_shown() -> None:
    torch.manual_seed(0)
    task = Recommendation(
        model=lambda sizes: SequentialTransformer(sizes=sizes, dim=16, num_heads=2),
        schema={"num_items": 12},
        at=(6,),
    ).eval()
    data = rings(False)
    predictions = task.predict(task.encode(data).__getitems__(list(range(12))))
    for history, shown in zip(
        data.histories.pad(torch.arange(12)).tolist(), predictions["items"].tolist(), strict=True
    ):
        assert sorted(history + shown) == list(range(1, 13))
    task.catalogue = data.catalogue
    rows = task.rows(predictions, data)
    assert len(rows[0]["items"]) == len(rows[0]["scores"]) == 6


@pytest.fixture(scope="module")
def ring_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on thirty users who walk round fifteen titled items."""
    folder = tmp_path_factory.mktemp("ring")
    rows = [(f"u{u}", (u + s) % 15, s) for u in range(30) for s in range(8)]
    log, table = folder / "log.csv", folder / "items.csv"
    pd.DataFrame(rows, columns=["user", "item", "time"]).to_csv(log, index=False)
    names = {"item": range(15), "title": [f"title {i}" for i in range(15)]}
    pd.DataFrame(names).to_csv(table, index=False)
    data = ["data=event_log", f"data.path={log}", "data.time=time", f"data.item_table={table}"]
    sizes = ["model.dim=16", "model.depth=1", "trainer.epochs=60", "trainer.precision=fp32"]
    often = ["trainer.eval_every=40", "trainer.save_every=null", "data.title=title"]
    recipe = ["experiment=recommender_ml1m", *data, *sizes, *often, "trainer.device=cpu"]
    train(compose([*recipe, f"run_dir={folder / 'run'}"]))
    return folder / "run"


def test_a_run_beats_its_baselines_and_recommends_without_its_log(ring_run: Path) -> None:
    result = evaluate(ring_run)
    assert result["metrics"]["ndcg@10"] > result["baselines"]["popularity"]["ndcg@10"]
    assert (ring_run / "evaluation" / "found.png").stat().st_size > 10_000
    log = ring_run.parent / "log.csv"
    hidden = log.rename(log.with_suffix(".hidden"))
    run = load_run(ring_run)
    (row,) = run.predict("3 4 5")
    assert row["items"][0] == 6
    assert row["titles"][0] == "title 6"
    assert not {3, 4, 5} & set(row["items"])
    assert run.predict([[3, 4, 5], ["3", "4", "5"]])[1]["items"] == row["items"]
    (without,) = predict_file(run, "3 4 5", exclude="6, 7")
    assert not {6, 7} & set(without["items"])
    (near,) = run.predict("item:3")
    assert 3 not in near["items"]
    with pytest.raises(DataError, match="catalogue has no item 77"):
        run.predict("3 77")
    with pytest.raises(DataError, match="exclude: the catalogue has no item x"):
        predict_file(run, "3", exclude="x")
    hidden.rename(log)


def test_users_of_the_log_and_logs_of_strangers(ring_run: Path, capsys: Any) -> None:
    run = load_run(ring_run)
    rows = run.predict("user:u0,u3")
    assert [row["user"] for row in rows] == ["u0", "u3"]
    assert rows[0]["items"][0] == 8  # u0 has taken 0 to 7
    with pytest.raises(DataError, match=r"has no user q7.*Give a history"):
        run.predict("user:q7")
    new = ring_run.parent / "new.csv"
    events = {"user": ["x"] * 3, "item": [1, 99, 2], "time": [1, 2, 3]}
    pd.DataFrame(events).to_csv(new, index=False)
    rows = predict_file(run, str(new))
    assert rows[0]["user"] == "x"
    assert rows[0]["items"][0] == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 3 events are of unknown items: skipped" in said
    pd.DataFrame({"user": ["x"], "item": [99], "time": [1]}).to_csv(new, index=False)
    with pytest.raises(DataError, match="the catalogue has none of its items"):
        run.predict(str(new))
