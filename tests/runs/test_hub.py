"""Runs by their address on the hub; the hub itself is replaced by what records its calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from httpx import ConnectError
from huggingface_hub.errors import LocalEntryNotFoundError

from marketorch import CheckpointError, ConfigError, UserError, compose, load_run
from marketorch.config.targets import locate
from marketorch.runs import find_run, hub


class Snapshots:
    """Stands for `snapshot_download`."""

    def __init__(self, folder: Path, error: Exception | None = None) -> None:
        self.folder, self.error = folder, error
        self.calls: list[tuple[str, Any]] = []

    def __call__(self, name: str, *, revision: Any, allow_patterns: list[str]) -> str:
        assert all("*" not in part or part.endswith(".json") for part in allow_patterns)
        self.calls.append((name, revision))
        if self.error:
            raise self.error
        return str(self.folder)


@pytest.mark.parametrize(
    ("address", "call"),
    [
        ("hf://anna/mood", ("anna/mood", None)),
        ("hf://anna/mood@1f0c", ("anna/mood", "1f0c")),
    ],
)
def test_an_address_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, call: Any
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").touch()
    (tmp_path / "checkpoints" / "best.safetensors").touch()
    snapshots = Snapshots(tmp_path)
    monkeypatch.setattr(hub, "snapshot_download", snapshots)
    assert find_run(address) == tmp_path
    assert snapshots.calls == [call]


def test_a_mistyped_folder_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = Snapshots(Path("x"))
    monkeypatch.setattr(hub, "snapshot_download", snapshots)
    with pytest.raises(CheckpointError, match="run=runs/frist: there is no such folder"):
        load_run("runs/frist")
    assert snapshots.calls == []


def test_what_is_no_run_is_told_from_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "snapshot_download", Snapshots(tmp_path))
    with pytest.raises(CheckpointError, match="run=hf://anna/mood is not a finished run"):
        load_run("hf://anna/mood")


@pytest.mark.parametrize("error", [LocalEntryNotFoundError("not in the cache\nmore"), ValueError()])
def test_a_failure_of_the_hub_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(hub, "snapshot_download", Snapshots(tmp_path, error))
    expected = str(error).splitlines()[0] if str(error) else "ValueError"
    with pytest.raises(CheckpointError) as told:
        load_run("hf://anna/mood")
    assert str(told.value) == f"run=hf://anna/mood could not be fetched: {expected}"


def test_offline_it_is_told_at_once_that_nothing_was_fetched_before() -> None:
    """The tests are offline."""
    for address, reason in (("anna/mood", "Cannot find .* cached"), ("an na/mood", "Repo id must")):
        with pytest.raises(CheckpointError, match=f"run=hf://{address} could not .*: {reason}"):
            load_run(f"hf://{address}")


class Hub:
    """Stands for `HfApi`."""

    calls: list[tuple[str, dict[str, Any]]]
    error: Exception | None = None

    def create_repo(self, name: str, **options: Any) -> str:
        self.calls.append((name, options))
        return f"https://hub/{name}"

    def upload_folder(self, **options: Any) -> None:
        if self.error:
            raise self.error
        self.calls.append(("upload", options))


def test_a_folder_is_pushed_into_a_private_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hub, "calls", [], raising=False)
    monkeypatch.setattr(hub, "HfApi", Hub)
    assert hub.push_to_hub(tmp_path, "anna/mood") == "https://hub/anna/mood"
    made, (_, upload) = Hub.calls
    assert made == ("anna/mood", {"private": True, "exist_ok": True})
    assert upload == {"repo_id": "anna/mood", "folder_path": tmp_path, "allow_patterns": hub.FILES}
    monkeypatch.setattr(Hub, "error", ConnectError("401 Unauthorized\nmore"))
    with pytest.raises(UserError, match=r"push=anna/mood: 401 Unauthorized .* is complete"):
        hub.push_to_hub(tmp_path, "anna/mood")


def test_an_address_may_be_what_a_run_starts_from() -> None:
    assert compose(["init_from=hf://anna/mood@1f0c"]).init_from == "hf://anna/mood@1f0c"


@pytest.mark.parametrize(
    "target",
    [
        "marketorch.config.targets.import_module",
        "marketorch.runs.provenance.version",
        "marketorch.config.composition.hydra",
    ],
)
def test_a_config_builds_only_what_marketorch_defines(target: str) -> None:
    with pytest.raises(ConfigError, match="only imports"):
        locate(target)
