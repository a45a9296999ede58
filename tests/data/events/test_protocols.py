"""What every protocol holds out, that training never sees it, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from marketorch.data.events.dataset import EventDataset
from marketorch.data.events.protocols import not_taken
from marketorch.data.events.source import PROTOCOLS, EventData
from marketorch.data.ragged import Ragged
from marketorch.errors import DataError

Pair = tuple[Any, Any]


def written(path: Path, **columns: Any) -> str:
    pd.DataFrame(columns).to_parquet(path)
    return str(path)


def source(folder: Path, protocol: str, **options: Any) -> EventData:
    """Forty users with twelve events each; nobody takes an item twice."""
    generator = np.random.default_rng(0)
    user = np.repeat(np.arange(40), 12)
    item = np.concatenate([generator.permutation(30)[:12] for _ in range(40)])
    time = generator.permutation(480)
    path = written(folder / "log.parquet", user=user, item=item, time=time)
    if protocol == "given":
        test = {"user": np.arange(40), "item": 40 + np.arange(40) % 5, "time": np.full(40, 999)}
        options["test"] = written(folder / "test.parquet", **test)
    return EventData(path=path, time="time", protocol=protocol, **options)


def held_out(dataset: EventDataset) -> set[Pair]:
    assert dataset.ids is not None
    assert dataset.targets is not None
    return set(zip(*columns(dataset, dataset.targets), strict=True))


def history(dataset: EventDataset) -> set[Pair]:
    return set(zip(*columns(dataset, dataset.histories), strict=True))


def columns(dataset: EventDataset, sequences: Any) -> tuple[list[Any], list[Any]]:
    users = np.repeat(np.asarray(dataset.ids), sequences.lengths.numpy()).tolist()
    return users, [dataset.catalogue.items[n - 1] for n in sequences.values.tolist()]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_training_sees_nothing_that_is_held_out(tmp_path: Path, protocol: str) -> None:
    data = source(tmp_path, protocol, test_fraction=0.2, validation_fraction=0.2)
    train, validation, test = (data.split(name) for name in ("train", "validation", "test"))
    assert train is not None
    assert validation is not None
    assert test is not None
    learnt, validated, tested = history(train), held_out(validation), held_out(test)
    assert validated
    assert tested
    assert not learnt & (validated | tested)
    assert not validated & tested
    assert not history(validation) & (validated | tested)
    assert not history(test) & tested
    assert data.schema["num_examples"] == len(learnt)


def test_random_takes_a_share_of_each_user(tmp_path: Path) -> None:
    data = source(tmp_path, "random", test_fraction=0.25, validation_fraction=0.1)
    test = data.split("test")
    assert test is not None
    assert test.targets is not None
    assert set(test.targets.lengths.tolist()) == {3}
    again = source(tmp_path, "random", test_fraction=0.25, validation_fraction=0.1).split("test")
    other = source(tmp_path, "random", test_fraction=0.25, seed=1).split("test")
    assert again is not None
    assert other is not None
    assert held_out(again) == held_out(test) != held_out(other)


def test_temporal_cuts_at_one_date_for_all(tmp_path: Path, capsys: Any) -> None:
    data = source(tmp_path, "temporal", test_from="400", validation_fraction=0.1)
    test = data.split("test")
    assert test is not None
    events = pd.read_parquet(data.path)
    late = events[events.time >= 400]
    assert held_out(test) == set(zip(late.user.tolist(), late.item.tolist(), strict=True))
    assert "80 events from 400.0 on are test events" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(DataError, match=r"data\.test_from=9999\.0 leaves no event"):
        source(tmp_path, "temporal", test_from="9999").split("train")
    with pytest.raises(DataError, match=r"temporal needs data\.time"):
        EventData(path=data.path, protocol="temporal").split("train")


def test_new_users_are_held_out_whole(tmp_path: Path, capsys: Any) -> None:
    data = source(
        tmp_path, "new_users", test_fraction=0.2, validation_fraction=0.1, history_events=2
    )
    train, test = data.split("train"), data.split("test")
    assert train is not None
    assert test is not None
    assert train.ids is not None
    assert test.ids is not None
    assert test.targets is not None
    assert not set(train.ids) & set(test.ids)
    assert len(test.ids) == 8
    assert test.histories.lengths.tolist() == [2] * 8
    assert test.targets.lengths.tolist() == [10] * 8
    assert test.users is not None
    assert not test.users.any()
    assert "8 of 8 test users are new" in " ".join(capsys.readouterr().out.split())


def test_given_negatives_stand_beside_the_targets(tmp_path: Path) -> None:
    log = written(tmp_path / "train.parquet", user=[1, 1, 2, 2], item=[7, 8, 7, 9])
    rows = {"user": [2, 1], "item": [8, 9], "others": [[10, 7], [11, 12]]}
    test = written(tmp_path / "test.parquet", **rows)
    options = {"protocol": "given", "test": test, "negatives": "others"}
    data = EventData(path=log, validate=False, **options)
    test = data.split("test")
    assert data.split("validation") is None
    assert test is not None
    assert test.negatives is not None
    assert data.catalogue.items == [7, 8, 9, 10, 11, 12]
    assert test.ids == [1, 2]
    rows_of_numbers = test.negatives.pad(torch.arange(2))
    assert [[data.catalogue.items[n - 1] for n in row] for row in rows_of_numbers.tolist()] == [
        [11, 12],
        [10, 7],
    ]


def test_given_validates_on_last_events_among_drawn_negatives(tmp_path: Path) -> None:
    log = written(tmp_path / "train.parquet", user=[1, 1, 1, 2, 2, 3], item=[1, 2, 3, 1, 4, 5])
    rows = {"user": [1, 2], "item": [4, 3], "others": [[5, 6, 7], [6, 7, 8]]}
    options = {"test": written(tmp_path / "test.parquet", **rows), "negatives": "others"}
    data = EventData(path=log, protocol="given", validation_from="last", **options)
    train, validation = data.split("train"), data.split("validation")
    assert train is not None
    assert validation is not None
    assert held_out(validation) == {(1, 3), (2, 4)}  # user 3 has no other event to learn from
    assert history(train) == {(1, 1), (1, 2), (2, 1), (3, 5)}
    assert validation.negatives is not None
    drawn = columns(validation, validation.negatives)
    assert validation.negatives.lengths.tolist() == [3, 3]
    assert not set(zip(*drawn, strict=True)) & (history(validation) | held_out(validation))
    again = EventData(path=log, protocol="given", validation_from="last", **options)
    other = again.split("validation")
    assert other is not None
    assert other.negatives is not None
    assert torch.equal(other.negatives.values, validation.negatives.values)


def test_who_has_taken_everything_has_no_negatives() -> None:
    taken = Ragged.of([[1, 2, 3], [1], []])
    negatives = not_taken(taken, 4, 3, np.random.default_rng(0))
    assert negatives.lengths.tolist() == [0, 4, 4]
    assert not (negatives.pad(torch.tensor([1])) == 1).any()


def test_what_had_been_taken_before_is_counted(tmp_path: Path, capsys: Any) -> None:
    log = written(tmp_path / "log.parquet", user=[1] * 4, item=["a", "b", "c", "a"])
    EventData(path=log).split("test")
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 1 test items had been taken before" in said


def test_wrong_protocols_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'radnom'.*Did you mean 'random'"):
        EventData(path="x.csv", protocol="radnom")
    with pytest.raises(DataError, match="validation_from is 'first'"):
        EventData(path="x.csv", validation_from="first")
    with pytest.raises(DataError, match=r"last is for data\.protocol=given, not random"):
        EventData(path="x.csv", protocol="random", validation_from="last")
    with pytest.raises(DataError, match="need each other"):
        EventData(path="x.csv", protocol="given")
