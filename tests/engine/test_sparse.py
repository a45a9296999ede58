"""Tables with sparse gradients: exact norms, lazy rows, exact resumption, also on two ranks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from marketorch import distributed
from marketorch.data.events.catalogue import Catalogue
from marketorch.data.events.dataset import EventDataset
from marketorch.data.ragged import Ragged
from marketorch.engine.trainer import Trainer
from marketorch.engine.update import Update, check_sparse
from marketorch.errors import ConfigError
from marketorch.models.recommenders.sequential_transformer import SequentialTransformer
from marketorch.optim import optimizers as optim
from marketorch.tasks.recommendation import Recommendation

HERE = Path(__file__)
NUM_ITEMS, NUM_USERS, NEGATIVES = 500, 30, 16
FACTORIES = {
    "adamw": partial(optim.adamw, lr=0.1, weight_decay=0.5),
    "muon": partial(optim.muon, lr=0.1, adamw_lr=0.1, weight_decay=0.5),
}


class Tables(nn.Module):
    """Two tables, one of them used twice, and a matrix."""

    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.items = nn.Embedding(20, 4, padding_idx=0, sparse=sparse)
        self.bags = nn.EmbeddingBag(20, 4, mode="sum", sparse=sparse)
        self.linear = nn.Linear(4, 3)

    def forward(self, rows: Tensor) -> Tensor:
        x = self.items(rows) + self.items(rows // 2) + self.bags(rows[:, None])
        return self.linear(x).exp().sum()


def tables(sparse: bool) -> Tables:
    torch.manual_seed(0)
    return Tables(sparse)


def sgd(module: nn.Module) -> list[Any]:
    groups = [{"params": list(module.parameters()), "peak_lr": 0.1}]
    return [torch.optim.SGD(groups, lr=0.1)]


def step(module: Tables, update: Update, *batches: list[int]) -> Tensor:
    for rows in batches:
        module(torch.tensor(rows)).backward()
        update.add(torch.tensor(float(len(rows))))
    return update.apply(1.0, 0)


def moved(one: Tensor, other: Tensor) -> list[int]:
    """The rows in which two tables differ."""
    return (one != other).any(1).nonzero().flatten().tolist()


@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_norm_and_clipping_are_those_of_dense_gradients(clip_norm: float | None) -> None:
    """Rows that come again, in a batch, in a second use and in a second batch, are added first."""
    norms, weights = [], []
    for sparse in (True, False):
        module = tables(sparse)
        update = Update(module, sgd, clip_norm=clip_norm)
        norms.append(step(module, update, [3, 3, 6, 0], [5, 7, 3]))
        weights.append(module.state_dict())
    torch.testing.assert_close(*norms)
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name])


@pytest.mark.parametrize("name", FACTORIES)
def test_rows_that_a_batch_has_not_stay_as_they_are(name: str) -> None:
    module = tables(True)
    update = Update(module, FACTORIES[name], clip_norm=1.0)
    before = [t.weight.detach().clone() for t in (module.items, module.bags)]
    step(module, update, [3, 5])
    step(module, update, [14])  # 3 and 5 have momentum by now
    first = [t.weight.detach().clone() for t in (module.items, module.bags)]
    step(module, update, [14])
    changed = [moved(t.weight, b) for t, b in zip((module.items, module.bags), before, strict=True)]
    assert changed == [[1, 2, 3, 5, 7, 14], [3, 5, 14]]
    changed = [moved(t.weight, b) for t, b in zip((module.items, module.bags), first, strict=True)]
    assert changed == [[7, 14], [14]]


def test_a_first_step_is_that_of_adam_without_decay() -> None:
    weights = []
    for sparse in (True, False):
        module = tables(sparse)
        factory = partial(optim.adamw, lr=0.1, no_decay=["items", "bags"], lr_scale={"items": 3})
        step(module, Update(module, factory), [3, 3, 5])
        weights.append(module.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name])


@pytest.mark.parametrize("name", FACTORIES)
def test_the_schedule_reaches_every_group(name: str) -> None:
    module = tables(True)
    optimizers = FACTORIES[name](module)
    optim.set_lr(optimizers, 0.25)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    assert all(group["lr"] == pytest.approx(0.025) for group in groups)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(map(id, module.parameters()))
    (rows,) = [o for o in optimizers if isinstance(o, torch.optim.SparseAdam)]
    assert len(rows.param_groups[0]["params"]) == 2


def test_a_frozen_table_is_left_out() -> None:
    module = tables(True)
    module.items.requires_grad_(False)
    assert optim.sparse_parameters(module) == [module.bags.weight]
    Update(tables(False), sgd, ema_decay=0.9)


def test_averaged_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.ema_decay=0\.9 .*model\.sparse=false"):
        Update(tables(True), sgd, ema_decay=0.9)


def test_several_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_sparse(torch.device("cuda"), 0.0)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    check_sparse(torch.device("cpu"), 0.0)
    with pytest.raises(ConfigError, match="NCCL"):
        check_sparse(torch.device("cuda"), 0.0)


# -- a recommender ----------------------------------------------------------------------------


def shoppers() -> EventDataset:
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(2, 12, (NUM_USERS,), generator=generator).tolist()
    histories = [torch.randint(1, 60, (n,), generator=generator).tolist() for n in lengths]
    catalogue = Catalogue(list(range(NUM_ITEMS)), list(range(NUM_USERS)))
    return EventDataset(Ragged.of(histories), catalogue, training=True)


def recommendation(**options: Any) -> Recommendation:
    torch.manual_seed(1)
    model = partial(SequentialTransformer, length=6, dim=8, depth=1, sparse=True)
    schema = {"num_items": NUM_ITEMS, "num_users": NUM_USERS}
    settings = {"loss": "sampled_softmax", "negatives": NEGATIVES, "in_batch": True}
    return Recommendation(model=model, schema=schema, **settings | options)


class Killed(BaseException):
    pass


def train(
    folder: Path, *, stop: int | None = None, resume: bool = False, **options: Any
) -> dict[str, Any]:
    """What ``last.pt`` holds at the end, or at a cut after ``stop`` steps."""

    def cut(name: str, trainer: Trainer) -> None:
        if name == "save" and trainer.position.step == stop:
            raise Killed

    trainer = Trainer(
        run_dir=folder,
        device="cpu",
        precision="fp32",
        epochs=2,
        batch_size=8,
        accumulate=2,
        save_every=1,
        on_event=cut,
    )
    optimizer = partial(optim.adamw, lr=0.01)
    with contextlib.suppress(Killed):
        trainer.fit(recommendation(**options), shoppers(), None, optimizer, resume=resume)
    return torch.load(folder / "checkpoints/last.pt", weights_only=True)


def tensors(state: Any, name: str = "") -> dict[str, Tensor]:
    """Every tensor and number of a nested checkpoint by its path; without the clock."""
    if isinstance(state, (dict, list, tuple)):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        parts = [tensors(v, f"{name}/{key}") for key, v in items if key != "seconds"]
        return {key: value for part in parts for key, value in part.items()}
    return {name: state if isinstance(state, Tensor) else torch.tensor(hash(state))}


def assert_bit_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    torch.testing.assert_close(tensors(one), tensors(other), rtol=0, atol=0)


@pytest.mark.parametrize("popularity", [0.0, 0.5])
def test_a_resumed_run_is_bit_equal(tmp_path: Path, popularity: float) -> None:
    whole = train(tmp_path / "whole", popularity=popularity)
    cut = train(tmp_path / "cut", stop=3, popularity=popularity)
    assert cut["position"]["step"] == 3 < whole["position"]["step"]
    assert_bit_equal(train(tmp_path / "cut", resume=True, popularity=popularity), whole)


def test_items_that_no_batch_has_are_not_touched(tmp_path: Path) -> None:
    """Items from 60 on have no event: on the way in they stay, on the way out a few are drawn."""
    task = recommendation()
    state = train(tmp_path)
    names = ("model.embedding.weight", "model.output.weight")
    inputs, outputs = (moved(task.state_dict()[name], state["task"][name]) for name in names)
    assert 0 < max(inputs) < 60
    drawn = state["position"]["step"] * 2 * NEGATIVES  # two batches an update
    assert sum(row >= 60 for row in outputs) <= drawn < NUM_ITEMS - 60


def test_the_full_softmax_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.sparse=true .*task\.loss=sampled_softmax"):
        train(tmp_path, loss="softmax")


# -- two ranks --------------------------------------------------------------------------------


def rank_weights() -> dict[str, Tensor]:
    """Weights after two steps of two accumulated batches each; each rank has its rows of them."""
    module = tables(True)
    wrapped = distributed.wrap(module, torch.device("cpu"))
    update = Update(module, FACTORIES["adamw"], clip_norm=0.5)
    rank, world = distributed.rank(), distributed.world_size()
    for batches in ([[3, 5, 3, 7], [5, 9, 1, 2]], [[5, 5, 4, 4], [8, 3, 11, 12]]):
        for number, rows in enumerate(batches):
            own = torch.tensor(rows[rank::world])
            with distributed.accumulate(wrapped, number == 1):
                wrapped(own).backward()
            update.add(torch.tensor(float(len(own))))
        update.apply(1.0, 0)
    return module.state_dict()


def test_two_ranks_exchange_sparse_gradients(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    run = subprocess.run(
        [*command, "--nproc-per-node", "2", str(HERE), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), *sys.path])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for name in ("rows", "whole"):
        assert_bit_equal(ranks[0][name], ranks[1][name])
    torch.testing.assert_close(ranks[0]["rows"], dict(rank_weights()), rtol=1e-4, atol=1e-6)
    for rank in ranks:
        assert_bit_equal(rank["resumed"], rank["whole"])


def run_rank(folder: Path) -> None:
    """What each of two ranks does, and leaves in ``folder``."""
    results = {"rows": dict(rank_weights()), "whole": train(folder / "whole")}
    train(folder / "cut", stop=3)
    results["resumed"] = train(folder / "cut", resume=True)
    torch.save(results, folder / f"{distributed.rank()}.pt")


if __name__ == "__main__":
    with distributed.process_group(torch.device("cpu")):
        run_rank(Path(sys.argv[1]))
