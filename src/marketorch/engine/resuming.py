"""What a resumed run does differently: an exact continuation changes nothing that counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marketorch.console import say

GROUPS = ("seed", "task", "model", "data", "optim", "trainer")
HARMLESS = {
    f"trainer.{name}"
    for name in (
        *("max_minutes", "save_every", "eval_every", "log_every"),
        *("device", "num_workers", "backends"),
    )
}
"""They say where, how long and how often, not what is computed."""
UNSET = "(not set)"


def announce_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Says, in one line, which settings differ between two checkpoint records."""
    found = list(changes(old.get("config", {}), new.get("config", {})))
    if old.get("data_fingerprint") != new.get("data_fingerprint"):
        found.append("the training data")
    if found:
        say(f"changed   {', '.join(found)}: from here on this is another run, not an exact resume")


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yields ``trainer.epochs 5 → 8`` for every setting that differs and counts."""
    before, after = dict(_flat(old)), dict(_flat(new))
    for name in [*before, *(name for name in after if name not in before)]:
        if name.split(".")[0] not in GROUPS or name in HARMLESS:
            continue
        if before.get(name, UNSET) != after.get(name, UNSET):
            yield f"{name} {before.get(name, UNSET)} → {after.get(name, UNSET)}"


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
