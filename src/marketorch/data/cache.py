"""A disk cache for what is dear to compute: tokens of large data sets, faces found in photos."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import get_ident

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor


def cache_dir() -> Path:
    """``$MARKETORCH_CACHE`` or ``~/.cache/marketorch``; safe to delete at any time."""
    return Path(os.environ.get("MARKETORCH_CACHE", Path.home() / ".cache" / "marketorch"))


def cached(
    kind: str, parts: Iterable[str | bytes], compute: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Returns ``compute()``, or what an earlier call with the same ``kind`` and ``parts`` computed.

    Args:
        kind: folder in the cache.
        parts: everything that the result depends on.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    path = cache_dir() / kind / f"{digest.hexdigest()}.safetensors"
    try:
        return load_file(path)
    except (OSError, SafetensorError):
        tensors = compute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.{get_ident()}.tmp")
        save_file(tensors, temporary)
        os.replace(temporary, path)
    except (OSError, SafetensorError):
        pass  # a cache that cannot be written costs time, nothing else
    return tensors
