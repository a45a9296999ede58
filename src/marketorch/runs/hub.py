"""Runs on the Hugging Face hub: fetched by their address, ``hf://owner/name``, and pushed there.

What goes over is text (YAML, JSON, Markdown) and safetensors, never a pickle, so that nothing that
comes from there can run code.
"""

from __future__ import annotations

from pathlib import Path

from httpx import HTTPError
from huggingface_hub import HfApi, snapshot_download

from marketorch.errors import CheckpointError, UserError

FILES = ["README.md", "config.yaml", "report.json", "checkpoints/best.safetensors"]
FILES += ["evaluation/*.json"]
FAILURES = (OSError, ValueError, HTTPError)  # of the network, of a name, of the hub's own answers


def fetch(address: str) -> Path:
    """Downloads ``hf://owner/name``, or ``hf://owner/name@revision``, into the hub's cache.

    Offline (``HF_HUB_OFFLINE=1``) it is taken from the cache alone.

    Raises:
        CheckpointError: there is no such repository, or it cannot be reached.
    """
    name, _, revision = address.partition("://")[2].partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=FILES))
    except FAILURES as error:
        raise CheckpointError(f"run={address} could not be fetched: {_first(error)}") from error


def push_to_hub(folder: str | Path, name: str) -> str:
    """Uploads a folder that `marketorch.sharing.hub_folder` wrote; returns its address on the web.

    A repository that is not there yet is created, and is private: its owner opens it.

    Args:
        name: ``owner/name``.

    Raises:
        UserError: the hub does not take it.
    """
    try:
        hub = HfApi()
        url = hub.create_repo(name, private=True, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=folder, allow_patterns=FILES)
    except FAILURES as error:
        raise UserError(
            f"push={name}: {_first(error)} {folder} is complete: upload it, or remove it and retry."
        ) from error
    return str(url)


def _first(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
