"""Errors a user can mend: scripts print their message, no traceback, and exit with status 1."""

from __future__ import annotations

import difflib
import errno
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn


class UserError(Exception):
    """Something outside the code is wrong: a file, a row, a config key, a machine.

    The message names what was found, what was expected and, where there is one, the closest
    right name.
    """


class ConfigError(UserError):
    """A config key, option or constructor argument is misspelt, missing or of the wrong kind."""


class DataError(UserError):
    """A data file, column or row cannot be used as it is."""


class CheckpointError(UserError):
    """A checkpoint is damaged, missing or could not be written."""


class NonFiniteError(UserError):
    """The loss or the gradient became NaN or infinite."""


class Interrupted(KeyboardInterrupt):
    """A signal has ended a run between two steps, and it was saved.

    Args:
        message: what was done, and how to go on.
        number: of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message, number)
        self.message, self.number = message, number

    def __str__(self) -> str:
        return f"{signal.Signals(self.number).name}: {self.message}"

    @property
    def status(self) -> int:
        """The exit status: 0 for SIGTERM, which a node that is preempted sends; 130 for Ctrl-C."""
        return 0 if self.number == signal.SIGTERM else 128 + self.number


OTHER_PROCESSES = {
    "DataLoader worker": "a process that loads data has ended, perhaps because memory was short "
    "(try a smaller trainer.num_workers)",
    "Connection closed by peer": "another process of this run has ended; its own message says why",
    "Connection reset by peer": "another process of this run has ended; its own message says why",
}
"""What torch says, in an error of no kind of its own, when a process beside this one is gone."""


def closest(name: str, candidates: Iterable[str]) -> str:
    """Returns ``" Did you mean 'x'?"`` for the nearest candidate, or an empty string."""
    matches = difflib.get_close_matches(str(name), [str(c) for c in candidates], n=1, cutoff=0.5)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def check_choice(
    key: str, value: object, choices: Sequence[object], error: type[UserError] = DataError
) -> None:
    """Raises ``error``, naming the config ``key``, if ``value`` is none of the choices."""
    if value not in choices:
        names = ["null" if choice is None else str(choice) for choice in choices]
        expected = f"{', '.join(names[:-1])} or {names[-1]}"
        raise error(f"{key} is '{value}'; expected {expected}.{closest(str(value), names)}")


@contextmanager
def guard(how_on: str = "resume=RUN_DIR continues from the last checkpoint") -> Iterator[None]:
    """Prints a `UserError` as one message and exits with status 1; others keep a traceback.

    ``how_on`` is what is said to who interrupts.
    """
    try:
        yield
    except UserError as error:
        fail(str(error), error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            fail(f"the disk is full: {error}. Nothing saved before was harmed.", error)
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            fail(str(error), error)
        raise
    except RuntimeError as error:
        for words, meaning in OTHER_PROCESSES.items():
            if words in str(error):
                fail(f"{meaning}; {how_on}. torch says: {str(error).splitlines()[0]}", error)
        raise
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        raise SystemExit(stop.status) from None
    except KeyboardInterrupt:
        print(f"interrupted; {how_on}", file=sys.stderr)
        raise SystemExit(130) from None


def fail(message: str, error: BaseException) -> NoReturn:
    """Prints ``error: …`` and exits with status 1."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(1) from error
