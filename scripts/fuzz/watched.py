"""Runs inputs one by one in a forked process that may hang, fill the memory or crash.

A worker says which input it begins and what became of it. When it is silent for too long, or ends,
that input has failed, and another worker goes on with the next one. What an input may do is to be
answered, or to be refused by a `UserError` that names the file, the key or whatever else the reader
says is the name of the place; everything else is a failure.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import resource
import shutil
import signal
import struct
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from select import select
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from marketorch.errors import UserError

SECONDS = 20.0  # of computing that an input may take; others may keep the machine busy
PATIENCE = 6.0  # times as many seconds pass before a worker that says nothing is killed
ROOM = 3 << 30  # bytes that a worker may take beyond what it was forked with
SHIFT = 400  # inputs of a worker
ANSWERED, REFUSED = "answered", "refused"


@dataclass(frozen=True)
class Asked:
    """A damaged input that lies in its folder, ready to be read.

    Args:
        read: reads it.
        names: what a refusal may name instead of one of the files.
    """

    read: Callable[[], object]
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Reader:
    """What takes files or words from a user.

    Args:
        name: to call it by.
        draw: writes a damaged input into a folder.
        share: of all inputs, beside those of other readers.
    """

    name: str
    draw: Callable[[Generator, Path], Asked]
    share: float = 1.0


class Case(NamedTuple):
    """An input by its reader and its number."""

    reader: str
    seed: int
    number: int


class Result(NamedTuple):
    """What became of an input; ``kind`` of a failure is the exception, a hang or a crash.

    ``seconds`` are those of computing.
    """

    case: Case
    kind: str
    said: str
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether that must not be."""
        return self.kind not in (ANSWERED, REFUSED)


class Hang(BaseException):
    """An input took too long. No ``except Exception`` keeps it."""


# -- one input --------------------------------------------------------------------------------


def run_case(reader: Reader, case: Case, folder: Path, seconds: float = SECONDS) -> Result:
    """Draws an input into an empty folder, reads it and says what became of it."""
    rng = np.random.default_rng([case.seed, case.number, zlib.crc32(case.reader.encode())])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    asked = reader.draw(rng, folder)
    started = computed()
    signal.signal(signal.SIGPROF, _ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        kind, said = _judged(asked, folder)
    except Hang:
        kind, said = "hang", traceback.format_exc(limit=-6)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return Result(case, kind, said, computed() - started)


def computed() -> float:
    """Seconds that this process and those that it has started have computed."""
    return sum(os.times()[:4])


def _ring(*_: Any) -> None:
    raise Hang


def _judged(asked: Asked, folder: Path) -> tuple[str, str]:
    try:
        asked.read()
    except UserError as error:
        message = str(error)
        places = [
            *asked.names,
            *(path.name for path in folder.rglob("*")),
            "data.",
            " split ",
            str(folder),
        ]
        named = any(place and place in message for place in places)
        return (REFUSED, message) if named else ("unnamed", message)
    except Exception as error:
        return type(error).__name__, traceback.format_exc(limit=-12)
    return ANSWERED, ""


# -- many -------------------------------------------------------------------------------------


def run_all(
    readers: dict[str, Reader],
    cases: Sequence[Case],
    folder: Path,
    *,
    seconds: float = SECONDS,
    room: int = ROOM,
) -> Iterator[Result]:
    """Yields the results of all inputs, each read in a forked process."""
    done = 0
    while done < len(cases):
        shift = cases[done : done + SHIFT]
        for result in _shift(readers, shift, folder, seconds, room):
            done += 1
            yield result


def _shift(
    readers: dict[str, Reader], cases: Sequence[Case], folder: Path, seconds: float, room: int
) -> Iterator[Result]:
    """Results of a worker, until it has done all of its inputs or one of them ends it."""
    source, sink = os.pipe()
    worker = os.fork()
    if not worker:
        os.close(source)
        _work(readers, cases, folder, sink, seconds, room)
    os.close(sink)
    done = 0
    try:
        while done < len(cases):
            result = _received(source, PATIENCE * seconds)
            if result is None:
                yield Result(cases[done], *_ended(worker), seconds)
                return
            done += 1
            yield result
    finally:
        os.close(source)
        with contextlib.suppress(OSError):
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)


def _work(
    readers: dict[str, Reader],
    cases: Sequence[Case],
    folder: Path,
    sink: int,
    seconds: float,
    room: int,
) -> None:
    """Reads inputs in this process, which was forked for it and ends with them."""
    code = 1
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + room
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for case in cases:
            data = pickle.dumps(_safely(readers[case.reader], case, folder, seconds))
            os.write(sink, struct.pack("<I", len(data)) + data)
        code = 0
    finally:
        os._exit(code)


def _safely(reader: Reader, case: Case, folder: Path, seconds: float) -> Result:
    """A result even where the drawing of an input fails, which is a fault of these scripts."""
    try:
        return run_case(reader, case, folder / "case", seconds)
    except Exception:
        return Result(case, "drawing", traceback.format_exc(limit=-6), 0.0)
    finally:
        shutil.rmtree(folder / "datasets", ignore_errors=True)
        if not case.number % 50:
            gc.collect()


def _received(source: int, seconds: float) -> Result | None:
    """The next result of a worker; None if it has ended, or is silent for so long."""
    header = _bytes(source, 4, seconds)
    if header is None:
        return None
    data = _bytes(source, struct.unpack("<I", header)[0], seconds)
    return None if data is None else pickle.loads(data)


def _bytes(source: int, number: int, seconds: float) -> bytes | None:
    found = b""
    while len(found) < number:
        if not select([source], [], [], seconds)[0]:
            return None
        part = os.read(source, number - len(found))
        if not part:
            return None
        found += part
    return found


def _ended(worker: int) -> tuple[str, str]:
    """What became of a worker that says nothing."""
    time.sleep(0.05)
    ended, status = os.waitpid(worker, os.WNOHANG)
    if not ended:
        return "hang", "the process did not answer any more and was killed"
    if os.WIFSIGNALED(status):
        return "crash", f"the process was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return "crash", f"the process ended with status {os.WEXITSTATUS(status)}"
