"""Histories as a model reads them: windows to learn from, or one a user to continue."""

from __future__ import annotations

import torch

from marketorch.console import say
from marketorch.data.events.catalogue import Catalogue
from marketorch.data.events.dataset import EventDataset
from marketorch.data.events.requests import Requests
from marketorch.data.ragged import Ragged, select_rows, windows
from marketorch.engine.task import Batch
from marketorch.errors import DataError


class HistoryDataset:
    """Histories to learn from or to continue; a batch is one index, whatever its size.

    Batches hold ``items (B, L)``, ``users (B,)``, ``index (B,)``, where there are any
    ``user_tokens (B, F)`` and, to evaluate, ``seen (B, S)``, ``targets (B, T)``,
    ``negatives (B, M)`` and ``excluded (B, E)``.
    """

    def __init__(self, dataset: EventDataset, length: int | None) -> None:
        self.dataset, self.ids, self.width = dataset, dataset.ids, length
        self.histories, self.owners = dataset.histories, torch.arange(len(dataset))
        if dataset.training and length is not None:
            pieces, owners = windows(dataset.histories, length)
            taught = pieces.lengths > 1  # a single event leads nowhere
            self.histories, self.owners = select_rows(pieces, taught), owners[taught]
            self.width = length + 1  # a history of L steps has L + 1 items
            self.ids = None if self.ids is None else [self.ids[i] for i in self.owners.tolist()]
        # Of one width in all batches, so that the ranks of a whole split are one tensor.
        targets = dataset.targets
        self.most = int(targets.lengths.max()) if targets is not None and len(targets) else 1
        lengths = self.histories.lengths
        self.lengths = lengths if self.width is None else lengths.clamp_max(self.width)

    def __len__(self) -> int:
        return len(self.histories)

    def __getitems__(self, indices: list[int]) -> Batch:
        index = torch.as_tensor(indices, dtype=torch.int64)
        owners, data = self.owners[index], self.dataset
        users = torch.zeros_like(owners) if data.users is None else data.users[owners]
        batch = {"index": index, "items": self.histories.pad(index, self.width), "users": users}
        if data.user_tokens is not None:
            batch["user_tokens"] = data.user_tokens[owners]
        if data.training:
            return batch
        if data.targets is not None:
            batch["targets"] = data.targets.pad(index, width=self.most)
        if data.negatives is not None:
            batch["negatives"] = data.negatives.pad(index)
        batch["seen"] = self.histories.pad(index)
        if data.excluded:
            batch["excluded"] = torch.tensor(data.excluded).expand(len(index), -1)
        if data.similar:
            batch["similar"] = batch["items"][:, 0]
        return batch


def numbered(requests: Requests, catalogue: Catalogue) -> EventDataset:
    """Requests in numbers; items that the catalogue has not are skipped aloud, or refused.

    Raises:
        DataError: an item that was typed in is not in the catalogue, or none of a file is.
    """
    rows = [catalogue.item_numbers(history) for history in requests.histories]
    total, known = sum(map(len, rows)), sum(sum(map(bool, row)) for row in rows)
    if requests.users is None or requests.similar:
        for history in requests.histories:
            catalogue.check_items(history, "input")
    elif total and not known:
        raise DataError("input: the catalogue has none of its items.")
    elif known < total:
        say(f"{total - known:,} of {total:,} events are of unknown items: skipped.")
    catalogue.check_items(requests.excluded, "exclude")
    learnt, table = catalogue.user_attributes, requests.attributes
    users = requests.users or [None] * len(rows)
    return EventDataset(
        histories=Ragged.of([[number for number in row if number] for row in rows]),
        catalogue=catalogue,
        users=torch.tensor([catalogue.user_number(user) for user in users]),
        ids=requests.users,
        user_tokens=None if learnt is None or table is None else learnt.tokens(table),
        similar=requests.similar,
        excluded=catalogue.item_numbers(requests.excluded),
    )
