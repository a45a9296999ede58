"""Files that are whole or not there: written beside, flushed and renamed, with a clear error."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from marketorch.errors import CheckpointError


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], keep: Path | None = None
) -> None:
    """Writes through a temporary file in the same folder, so ``path`` is either old or new.

    ``keep`` is where the old one goes, once the new one is safe on disk.

    Raises:
        CheckpointError: the file could not be written (a full disk, say); ``path`` is untouched.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            if keep is not None and path.exists():
                os.replace(path, keep)
            os.replace(temporary, path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Says which file could not be written, why, and how much space there is.

    Raises:
        CheckpointError: for what the operating system, or torch in its name, says against it.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if "DataLoader worker" in str(error):
            raise  # torch says that a process has ended wherever its own happens to be
        kept = f" The one already there, {path}, is unharmed." if os.path.exists(path) else ""
        raise CheckpointError(
            f"Could not write {path}: {_reason(error)} ({_free(path)}).{kept}"
        ) from error


def _free(path: Path) -> str:
    """The space on the disk that ``path`` would lie on; the folders may be closed to us."""
    folder = next(parent for parent in path.absolute().parents if os.path.isdir(parent))
    with suppress(OSError):
        return f"{shutil.disk_usage(folder).free:,} bytes are free there"
    return f"{folder} cannot be looked into"


def _reason(error: BaseException) -> str:
    """The operating system's own words, which torch's writer hides behind its exception."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return f"[Errno {cause.errno}] {cause.strerror}" if cause.errno else str(cause)
        cause = cause.__cause__ or cause.__context__
    return str(error).splitlines()[0]


def remove_left_over(folder: Path) -> None:
    """Deletes what a killed process had begun to write in ``folder`` and in the folders in it."""
    for path in folder.rglob("*.[0-9]*.tmp"):
        path.unlink(missing_ok=True)
