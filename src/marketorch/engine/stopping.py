"""SIGTERM and Ctrl-C end a run between two steps and saved, not anywhere.

A node that is preempted sends SIGTERM and, some seconds later, SIGKILL. So the first signal is
noted and the step in progress is finished; the Trainer asks after each step, saves, and raises
`Interrupted`. A second Ctrl-C ends the process at once, as it would without all this.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

from marketorch import distributed

NOTICE = b"interrupted: the run ends after this step, saved; Ctrl-C again ends it at once\n"


class StopSignals:
    """While open, notes SIGTERM and the first SIGINT as ``received``, the number of the signal.

    Handlers are a process's own and set by its main thread alone: in another thread nothing is
    noted, and a signal that was ignored (``nohup``) stays ignored.
    """

    def __init__(self) -> None:
        self.received = 0
        self.former: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                handler = signal.getsignal(number)
                if handler not in (signal.SIG_IGN, None):
                    self.former[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.former.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = number
        if number == signal.SIGINT:
            signal.signal(number, self.former[number])
            if distributed.is_main():
                os.write(2, NOTICE)  # print may be what was interrupted


def leave_signals_to_the_parent(worker: int) -> None:
    """For processes that load data: a signal to the whole group must not end them mid-step."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
