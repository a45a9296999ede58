"""Runs that were trained before modules moved still load."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketorch import evaluate, load_run
from marketorch.config.moved import MOVED, current, with_current_targets
from marketorch.config.targets import locate

STORED = Path(__file__).parent / "stored_run"
TARGETS = (STORED / "targets.txt").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_of_the_configs_before_the_move_is_found(target: str) -> None:
    assert locate(current(target)).__name__ == target.rpartition(".")[2]


def test_the_table_of_moves_has_no_chains() -> None:
    assert all(new not in MOVED for new in MOVED.values())


def test_a_run_of_before_loads_and_measures_what_it_measured(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "checkpoints/best.safetensors"):
        (run / name).write_bytes((STORED / name).read_bytes())
    assert "marketorch.data.synthetic.customer_data" in (run / "config.yaml").read_text()
    assert "marketorch.models.tabm" in (run / "config.yaml").read_text()
    assert load_run(run).config.name == "propensity"
    measured = evaluate(run, "validation", baselines=False)["metrics"]
    assert measured["log_loss"] == pytest.approx(0.392765, abs=1e-4)
    assert measured["lift@10%"] == pytest.approx(2.5)


def test_arguments_of_data_are_called_as_they_are_now() -> None:
    """Where both names are there, the old one stays and is refused as unknown."""
    old = {"_target_": "marketorch.data.events.EventData", "test_share": 0.2, "data_seed": 3}
    assert with_current_targets({"data": old}) == {
        "data": {
            "_target_": "marketorch.data.events.source.EventData",
            "test_fraction": 0.2,
            "seed": 3,
        }
    }
    both = {"_target_": "marketorch.data.text.TextData", "split_seed": 1, "seed": 0}
    assert with_current_targets(both)["split_seed"] == 1
    other = {"_target_": "marketorch.engine.trainer.Trainer", "limit": 1}
    assert with_current_targets(other) == other
