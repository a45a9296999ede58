"""What people upload, within bounds. Everything in it is hostile until proved otherwise.

A zip is unpacked by hand: each name is checked before, each size while it is read, because what a
zip says about itself need not be true. What is refused is said in words for the page.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from marketorch.data.images.decoding import SUFFIXES
from marketorch.errors import DataError
from marketorch.listening.posts import DELIMITERS, read_posts

FILE = 64 * 2**20  # bytes of an upload
ENTRIES = 2_000  # of a zip
TOTAL = 512 * 2**20  # bytes of all that a zip holds
RATIO = 100  # times as large as packed, at most, where that is much
SMALL = 2**20  # bytes that may be packed as tightly as they like
POSTS = 2_000  # of a report
LETTERS = 20_000  # of a text
DEPTH, NAME = 8, 120  # folders in a name, and letters of each
CHUNK = 2**16
ARCHIVES = {".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".jar"}
BROKEN = (  # what zipfile raises on damaged files
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError),
    *(RuntimeError, ImportError, IndexError, lzma.LZMAError),
)
START = (b"PK\x03\x04", b"PK\x05\x06")  # of a zip; the latter is an empty one


def content(upload: str | Path) -> bytes:
    """The bytes of an upload, whose file is deleted. DataError if it is too large or gone."""
    path = Path(upload)
    try:
        check_size(path)
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


def moved(upload: str | Path, folder: Path) -> Path:
    """Where an upload lies now: in ``folder``, under its own name."""
    path = Path(upload)
    check_size(path)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.move(path, folder / path.name))


def check_size(path: Path) -> None:
    """DataError if a file is too large, empty, or none."""
    if not path.is_file():
        raise DataError(f"{path.name} is not there any more; choose it again.")
    if (size := path.stat().st_size) > FILE:
        raise DataError(
            f"{path.name} has {size / 2**20:,.0f} MiB; at most {FILE / 2**20:.0f} are read here."
        )
    if not size:
        raise DataError(f"{path.name} is empty (0 bytes).")


def posts_of(file: Path, folder: Path) -> Path:
    """What the posts of an upload are read from: a table, a photo, or a folder of photos.

    Args:
        file: a table, a photo or a zip, in a folder of its own.
        folder: where a zip is unpacked.

    Raises:
        DataError: it is none of these, or holds too many posts.
    """
    with file.open("rb") as stream:
        is_zip = stream.read(4) in START or file.suffix.lower() == ".zip"
    source = _in_zip(file, folder) if is_zip else file
    if not is_zip and file.suffix.lower() not in SUFFIXES | set(DELIMITERS):
        kinds = ", ".join([*DELIMITERS, ".zip"])
        raise DataError(f"{file.name}: expected a photo, a table or a zip ({kinds}).")
    if (number := len(read_posts(source))) > POSTS:
        raise DataError(
            f"{file.name} holds {number:,} posts; at most {POSTS:,} are read here. "
            "scripts/listen.py reads any number."
        )
    return source


def _in_zip(file: Path, folder: Path) -> Path:
    """The table in a zip, or the folder of its photos."""
    files = unpacked(file, folder)
    tables = [path for path in files if path.suffix.lower() in DELIMITERS]
    if len(tables) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in tables[:3])
        raise DataError(f"{file.name} holds {len(tables)} tables ({names}); expected one.")
    if not files:
        raise DataError(f"{file.name} holds neither a table nor a photo.")
    return tables[0] if tables else folder


# -- zips -------------------------------------------------------------------------------------


def unpacked(file: Path, folder: Path) -> list[Path]:
    """Writes the tables and photos of a zip into a folder; other files are passed over.

    Returns:
        What was written, in the order of the zip.

    Raises:
        DataError: it is damaged, too large, or holds what leads out of the folder, a link, a zip
            or what is locked.
    """
    # Each entry costs memory as soon as the zip is opened, so they are counted before.
    if file.read_bytes().count(b"PK\x01\x02") > ENTRIES:
        raise DataError(f"{file.name} holds more than {ENTRIES:,} files, the most that are read.")
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            for entry in entries:
                _check(entry, file.name)
            if sum(entry.file_size for entry in entries) > TOTAL:
                raise _too_large(file.name)
            wanted = [entry for entry in entries if _is_wanted(entry.filename)]
            return _written(archive, wanted, folder, file.name)
    except BROKEN as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = reason.replace(f"{folder}/", "").replace(f"{file.parent}/", "")
        raise DataError(f"{file.name} is damaged, or no zip that can be read: {reason}.") from error


def _check(entry: zipfile.ZipInfo, shown: str) -> None:
    """DataError if an entry is not to be trusted."""
    name = entry.filename
    what = f"{shown} was refused: {name[:80]!a}"
    if not _stays(name):
        raise DataError(f"{what} is a name that leads out of the folder, or none at all.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise DataError(f"{what} is a link or a device, not a file.")
    if entry.flag_bits & 1:
        raise DataError(f"{what} is locked with a password.")
    if PurePosixPath(name).suffix.lower() in ARCHIVES:
        raise DataError(f"{what} is an archive in the archive; put its files there instead.")
    if entry.file_size > max(SMALL, RATIO * entry.compress_size):
        raise DataError(f"{what} is packed more than {RATIO} times; photos and tables are not.")


def _stays(name: str) -> bool:
    """Whether the name of an entry stays in the folder, on every system."""
    flavours = PurePosixPath(name), PureWindowsPath(name)
    if any(path.anchor or ".." in path.parts for path in flavours) or not name.isprintable():
        return False
    parts = PureWindowsPath(name).parts
    return 0 < len(parts) <= DEPTH and all(len(part) <= NAME for part in parts)


def _is_wanted(name: str) -> bool:
    """Whether it is a table or a photo; what systems hide in zips is neither."""
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return not hidden and path.suffix.lower() in SUFFIXES | set(DELIMITERS)


def _written(
    archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path, shown: str
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    room = TOTAL
    for entry in entries:
        path = folder / PurePosixPath(entry.filename)
        if path.exists():
            raise DataError(f"{shown} holds {entry.filename[:80]!a} twice.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as packed, path.open("xb") as plain:
            while chunk := packed.read(CHUNK):
                room -= len(chunk)
                if room < 0:
                    raise _too_large(shown)
                if not plain.tell() and chunk[:4] in START:
                    raise DataError(
                        f"{shown} was refused: {entry.filename[:80]!a} is a zip by another name."
                    )
                plain.write(chunk)
        written.append(path)
    return written


def _too_large(shown: str) -> DataError:
    return DataError(f"{shown} holds more than {TOTAL / 2**20:.0f} MiB once it is unpacked.")
