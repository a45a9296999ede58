"""A disk cache for what is dear to compute: tokenised texts of large data sets."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from marketorch.data.ragged import Ragged


def cache_dir() -> Path:
    """``$MARKETORCH_CACHE`` or ``~/.cache/marketorch``; safe to delete at any time."""
    return Path(os.environ.get("MARKETORCH_CACHE", Path.home() / ".cache" / "marketorch"))


def cached_ragged(parts: Iterable[str], compute: Callable[[], Ragged]) -> Ragged:
    """Returns ``compute()``, or what an earlier call with the same ``parts`` computed."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    path = cache_dir() / f"{digest.hexdigest()}.safetensors"
    try:
        return Ragged(**load_file(path))
    except (OSError, SafetensorError, TypeError):
        ragged = compute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        save_file({"values": ragged.values, "offsets": ragged.offsets}, temporary)
        os.replace(temporary, path)
    except (OSError, SafetensorError):
        pass  # a cache that cannot be written costs time, nothing else
    return ragged
