"""Errors a user can mend: scripts print their message, no traceback, and exit with status 1."""

from __future__ import annotations

import difflib
import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


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


def closest(name: str, candidates: Iterable[str]) -> str:
    """Returns ``" Did you mean 'x'?"`` for the nearest candidate, or an empty string."""
    matches = difflib.get_close_matches(str(name), [str(c) for c in candidates], n=1, cutoff=0.5)
    return f" Did you mean '{matches[0]}'?" if matches else ""


@contextmanager
def guard(how_on: str = "resume=RUN_DIR continues from the last checkpoint") -> Iterator[None]:
    """Prints a `UserError` as one message and exits with status 1; others keep a traceback.

    ``how_on`` is what is said to who interrupts.
    """
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(
            f"error: the disk is full: {error}. Nothing saved before was harmed.", file=sys.stderr
        )
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        print(f"interrupted; {how_on}", file=sys.stderr)
        raise SystemExit(130) from None
