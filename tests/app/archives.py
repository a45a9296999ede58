"""Zips that tests upload: honest ones, and such as somebody hostile would build."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path


def zipped(path: Path, files: Mapping[str, bytes | str]) -> Path:
    """A zip with files by their names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def with_link(path: Path, name: str, target: str) -> Path:
    """A zip with a link to ``target``, as `zip --symlinks` writes it."""
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, target)
    return path


def lying(path: Path, name: str, content: bytes, size: int) -> Path:
    """A zip that says that its one file, which is longer, has ``size`` bytes."""
    zipped(path, {name: content})
    data = path.read_bytes()
    path.write_bytes(data.replace(len(content).to_bytes(4, "little"), size.to_bytes(4, "little")))
    return path


def locked(path: Path, name: str) -> Path:
    """A zip that says that its one file is encrypted."""
    zipped(path, {name: b"secret"})
    data = bytearray(path.read_bytes())
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(start) + flags] |= 1
    path.write_bytes(data)
    return path
