"""Names and numbers: ids of any kind, attributes as tokens, tables, and the way through bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketorch.data.events.catalogue import Attributes, Catalogue
from marketorch.data.events.source import EventData
from marketorch.errors import DataError


def test_attributes_are_tokens_and_many_numbers_are_bins() -> None:
    table = pd.DataFrame({"genres": ["A|B", "B", None], "price": [1.0, 2.0, 3.0]})
    wide = pd.DataFrame({"genres": ["A"] * 100, "price": range(100)})
    attributes = Attributes.learnt(table, ["genres", "price"])
    assert sorted(attributes.vocabulary)[:2] == ["genres=A", "genres=B"]
    tokens = attributes.tokens(table)
    assert tokens.shape == (3, 3)
    assert (tokens > 0).sum(1).tolist() == [3, 2, 1]
    strange = pd.DataFrame({"genres": ["Z|A"], "price": [7.0]})
    assert (attributes.tokens(strange) > 0).sum() == 1  # Z and 7.0 were never seen
    binned = Attributes.learnt(wide, ["price"])
    assert len(binned.vocabulary) == 20
    rows = binned.tokens(wide)[:, 0]
    assert rows[:5].unique().numel() == 1
    assert rows.unique(return_counts=True)[1].tolist() == pytest.approx([5] * 20, abs=1)


def test_lists_are_several_words() -> None:
    lists = pd.DataFrame({"genres": [np.array(["A", "B"]), np.array([]), None]})
    attributes = Attributes.learnt(lists, ["genres"])
    assert sorted(attributes.vocabulary) == ["genres=A", "genres=B"]
    bars = pd.DataFrame({"genres": ["A|B", "", None]})
    assert attributes.tokens(lists).equal(attributes.tokens(bars))


def test_a_catalogue_survives_bytes() -> None:
    attributes = Attributes.learnt(pd.DataFrame({"a": ["x", "y"]}), ["a"])
    catalogue = Catalogue([3, 7], ["ann"], ["Brücke", "—"], None, attributes)
    again = Catalogue.from_bytes(catalogue.to_bytes())
    assert again == catalogue
    assert again.sizes == catalogue.sizes
    assert again.sizes.user_tokens == 2


def test_seven_and_the_word_seven_are_the_same_item() -> None:
    catalogue = Catalogue([3, 7])
    assert catalogue.item_numbers(["7", 3, "x"]) == [2, 1, 0]
    with pytest.raises(DataError, match=r"input: the catalogue has no item 33.*Did you mean '3'"):
        catalogue.check_items(["33"], "input")


@pytest.mark.parametrize("ids", [[3, 4, 5], ["a", "b", "c"], ["3", "5", "b"]])
def test_a_table_names_items_whatever_their_ids_are(tmp_path: Path, ids: list[Any]) -> None:
    log, table = tmp_path / "log.csv", tmp_path / "items.csv"
    pd.DataFrame({"user": [1, 1, 1], "item": ids}).to_csv(log, index=False)
    new = 9 if ids == [3, 4, 5] else "zz"
    named = pd.DataFrame({"item": [*ids, new], "name": [*"ABC", "New"]})
    named.to_csv(table, index=False)
    data = EventData(path=str(log), item_table=str(table), title="name", item_attributes=["name"])
    assert data.catalogue.items == [*ids, new]
    assert data.catalogue.titles == ["A", "B", "C", "New"]
    assert data.item_tokens is not None
    assert data.item_tokens.shape == (5, 1)
    assert len(set(data.item_tokens[1:, 0].tolist())) == 4


def test_bad_tables_are_named(tmp_path: Path) -> None:
    log, table = tmp_path / "log.csv", tmp_path / "items.csv"
    pd.DataFrame({"user": [1, 1, 1], "item": [3, 4, 5]}).to_csv(log, index=False)
    pd.DataFrame({"item": ["3", "x"], "name": ["A", "B"]}).to_csv(table, index=False)
    with pytest.raises(DataError, match="'x' is no id like the log's 3"):
        EventData(path=str(log), item_table=str(table), title="name").split("train")
    with pytest.raises(DataError, match=r"no column 'nam'.*Did you mean 'name'"):
        EventData(path=str(log), item_table=str(table), title="nam").split("train")
    pd.DataFrame({"item": [3, 3], "name": ["A", "B"]}).to_csv(table, index=False)
    with pytest.raises(DataError, match=r"items\.csv, row 2: '3' stands there twice"):
        EventData(path=str(log), item_table=str(table), title="name").split("train")
