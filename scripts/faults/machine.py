"""What a machine does to a training besides kill -9: signals, disks, clocks, other processes.

Each function causes one fault some times and returns ``times``, how often the run came to be
``equal`` in the end, the ``seconds`` from the fault to the end of the process, at most, and what
was ``said``.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainees import COMMON, RECIPES, Trainee, differences, logged, whole

from marketorch.engine import checkpoint

TEXT = [*RECIPES["text_classification"], *COMMON]
SCENES = [*RECIPES["detection"], *COMMON, "trainer.num_workers=2"]
TIMES = 10  # a fault is caused
TRAIN = str(Path(__file__).parents[1] / "train.py")


class Skipped(Exception):
    """Why a fault cannot be caused on this machine."""


class Tally:
    """What came of a fault, time after time."""

    def __init__(self, expected: Path) -> None:
        self.expected, self.times, self.equal, self.said = expected, 0, 0, ""
        self.seconds = 0.0
        self.odd: list[str] = []

    def ended(
        self, trainee: Trainee, since: float, status: int, words: str, quiet: bool = True
    ) -> None:
        """Notes how a training ended after a fault, how soon, and, if ``quiet``, how tidily."""
        wrong = trainee.wait() != status or words not in trainee.said
        if wrong or (quiet and "Traceback" in trainee.said):
            self.odd.append(f"status {trainee.status}, said {trainee.said[-1500:]}")
        self.seconds = max(self.seconds, time.monotonic() - since)
        self.said = next((line for line in trainee.said.splitlines() if words in line), "")

    def resumed(self, run_dir: Path, *, lines: bool = True) -> None:
        """Resumes, and notes whether all is as it should be in the end."""
        again = Trainee(run_dir)
        found = differences(run_dir, self.expected, lines=lines) if not again.wait() else ["failed"]
        self.odd += [f"{run_dir.name}: {', '.join(found)} {again.said[-400:]}"] if found else []
        self.times += 1
        self.equal += not found

    def result(self) -> dict[str, Any]:
        """As it is written down."""
        equal = self.equal if not self.odd else min(self.equal, self.times - 1)
        values = {"times": self.times, "equal": equal, "seconds": round(self.seconds, 2)}
        return values | {"said": self.said, "odd": self.odd}


# -- signals ----------------------------------------------------------------------------------


def stopped_by(number: int, status: int) -> Callable[[Path, random.Random], dict[str, Any]]:
    """A fault: a signal at a random moment between the first step and the last."""

    def cause(folder: Path, draw: random.Random) -> dict[str, Any]:
        tally = Tally(whole(folder / "whole", RECIPES["text_classification"]).run_dir)
        for place in range(TIMES):
            trainee = Trainee(folder / str(place), TEXT)
            trainee.reach("step", draw.randint(2, 30))
            time.sleep(draw.uniform(0, 0.05))
            since = time.monotonic()
            trainee.send(number)
            tally.ended(trainee, since, status, "saved after step")
            saved = checkpoint.load_last(trainee.run_dir / "checkpoints")["position"]["step"]
            if f"saved after step {saved} of" not in trainee.said:
                tally.odd.append(f"step {saved} is saved; said {trainee.said[-200:]}")
            tally.resumed(trainee.run_dir, lines=False)
        return tally.result()

    return cause


def twice(folder: Path, draw: random.Random) -> dict[str, Any]:
    """Ctrl-C in an evaluation, and again: it ends there and then."""
    tally = Tally(whole(folder / "whole", RECIPES["text_classification"]).run_dir)
    for place in range(TIMES):
        # A step that takes long enough for a second thought.
        trainee = Trainee(folder / str(place), TEXT, before=lambda: slow_down(0.5))
        trainee.reach("evaluation", draw.randint(1, 3))
        trainee.send(signal.SIGINT)
        time.sleep(draw.uniform(0.05, 0.3))
        since = time.monotonic()
        trainee.send(signal.SIGINT)
        tally.ended(trainee, since, 130, "resume=RUN_DIR continues")
        tally.resumed(trainee.run_dir)
    return tally.result()


def slow_down(seconds: float) -> None:
    """Makes the evaluations of this process take longer."""
    from marketorch import Trainer

    function = Trainer._evaluate

    def slow(*arguments: Any) -> dict[str, float]:
        time.sleep(seconds)
        return function(*arguments)

    Trainer._evaluate = slow  # type: ignore[method-assign]


# -- disks ------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs of eight megabytes. Skipped if it cannot be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        raise Skipped("a tmpfs cannot be mounted here: that takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def disk(folder: Path, draw: random.Random) -> dict[str, Any]:
    """The disk is full from a random write on, and has space again when the run is resumed."""
    tally = Tally(whole(folder / "whole", RECIPES["text_classification"]).run_dir)
    with small_disk(folder / "disk") as place:
        for number in range(TIMES):
            trainee = Trainee(place / f"run{number}", TEXT, log=folder / "log")
            trainee.reach("write", draw.randint(2, 12))
            since = time.monotonic()
            while trainee.alive:
                fill(place / "filler")
                time.sleep(0.001)
            tally.ended(trainee, since, 1, "bytes are free")
            (place / "filler").unlink()
            checkpoint.load_last(trainee.run_dir / "checkpoints", tally.odd.append)
            tally.resumed(trainee.run_dir)
            shutil.rmtree(trainee.run_dir)
    return tally.result()


def fill(path: Path) -> None:
    """Writes zeros until there is no space left."""
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def locked(folder: Path, draw: random.Random) -> dict[str, Any]:
    """The disk is read-only from a random write on, as after an error of the file system."""
    tally = Tally(whole(folder / "whole", RECIPES["text_classification"]).run_dir)
    with small_disk(folder / "disk") as place:
        for number in range(TIMES):
            trainee = Trainee(place / f"run{number}", TEXT, log=folder / "log")
            trainee.reach("write", draw.randint(2, 12))
            since = time.monotonic()
            while not remounted(place, "ro"):  # refused while a file is open for writing
                time.sleep(0.001)
            tally.ended(trainee, since, 1, "Read-only file system")
            remounted(place, "rw")
            tally.resumed(trainee.run_dir)
            shutil.rmtree(trainee.run_dir)
    return tally.result()


def remounted(place: Path, how: str) -> bool:
    """Mounts a disk again, ``ro`` or ``rw``; False if it is refused."""
    command = ["mount", "-o", f"remount,{how}", str(place)]
    return subprocess.run(command, capture_output=True).returncode == 0


# -- clocks and other processes ---------------------------------------------------------------


def clock(folder: Path, draw: random.Random) -> dict[str, Any]:
    """The clock on the wall jumps by up to ten days, back or forth, at every look at it."""
    tally = Tally(whole(folder / "whole", RECIPES["text_classification"]).run_dir)
    for place in range(TIMES):
        options = ["trainer.max_minutes=60"]
        trainee = Trainee(folder / str(place), TEXT, options, before=lambda: jump(draw))
        tally.ended(trainee, time.monotonic(), 0, "best step")
        lines = (trainee.run_dir / "metrics.jsonl").read_text().splitlines()
        seconds = [json.loads(line)["seconds"] for line in lines]
        if seconds != sorted(seconds) or not 0 < seconds[-1] < 3600:
            tally.odd.append(f"logged seconds: {seconds}")
        tally.resumed(trainee.run_dir)
    return tally.result()


def jump(draw: random.Random) -> None:
    """Makes the clock on the wall of this process jump."""
    sound, days = time.time, 86_400.0
    time.time = lambda: sound() + draw.uniform(-10 * days, 10 * days)
    time.time_ns = lambda: int(time.time() * 1e9)


def worker(folder: Path, draw: random.Random) -> dict[str, Any]:
    """Kills one of the processes that load data."""
    tally = Tally(whole(folder / "whole", RECIPES["detection"]).run_dir)
    for place in range(TIMES):
        trainee = Trainee(folder / str(place), SCENES)
        trainee.reach("step", draw.randint(2, 30))
        while not (found := loaders(trainee.pid)) and trainee.alive:
            time.sleep(0.001)
        since = time.monotonic()
        os.kill(draw.choice(found), signal.SIGKILL)
        # Threads and destructors of torch may print what they meet meanwhile.
        words = "a process that loads data has ended"
        tally.ended(trainee, since, 1, words, quiet=False)
        tally.resumed(trainee.run_dir)
    return tally.result()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def loaders(pid: int) -> list[int]:
    """The data-loading processes of a training, by the name that torch gives them."""
    names = {child: Path(f"/proc/{child}/comm").read_text().strip() for child in children(pid)}
    return [child for child, name in names.items() if name == "pt_data_worker"]


def rank(number: int, words: str) -> Callable[[Path, random.Random], dict[str, Any]]:
    """A fault: under torchrun, one rank of two gets a signal; each of them in turn."""

    def cause(folder: Path, draw: random.Random) -> dict[str, Any]:
        expected = folder / "whole"
        launched(expected, TEXT, folder / "log").wait()
        tally = Tally(expected)
        for place in range(4):
            run_dir, log = folder / f"run{place}", folder / f"log{place}"
            torchrun = launched(run_dir, TEXT, log)
            until_step(run_dir, draw.randint(4, 14))
            hit, other = (children(torchrun.pid)[which] for which in (place % 2, 1 - place % 2))
            since = time.monotonic()
            os.kill(hit, number)
            while is_running(other):
                time.sleep(0.01)
            tally.seconds = max(tally.seconds, time.monotonic() - since)
            failed = torchrun.wait() != 0
            said = log.read_text(errors="replace")
            tally.said = next((line for line in said.splitlines() if words in line), "")
            if not tally.said or failed != (number == signal.SIGKILL):
                tally.odd.append(f"{run_dir.name}: {torchrun.returncode} {said[-600:]}")
            launched(run_dir, [], log).wait()
            found = differences(run_dir, expected, lines=number == signal.SIGKILL)
            tally.odd += [f"{run_dir.name}: {', '.join(found)}"] if found else []
            tally.times += 1
            tally.equal += not found
        return tally.result()

    return cause


def is_running(pid: int) -> bool:
    """Whether a process is there, and not only the record of how it ended."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def launched(run_dir: Path, recipe: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Two ranks that train, or resume without a recipe."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", TRAIN]
    command += [*recipe, f"run_dir={run_dir}"] if recipe else [f"resume={run_dir}"]
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out)


def until_step(run_dir: Path, step: int) -> None:
    """Waits until a run has logged a step. TimeoutError if that takes five minutes."""
    path, until = run_dir / "metrics.jsonl", time.monotonic() + 300
    while not path.exists() or not any(line["step"] >= step for line in logged(run_dir)):
        if time.monotonic() > until:
            raise TimeoutError(f"{run_dir} has not come to step {step}")
        time.sleep(0.01)


FAULTS: dict[str, Callable[[Path, random.Random], dict[str, Any]]] = {
    "term": stopped_by(signal.SIGTERM, 0),
    "int": stopped_by(signal.SIGINT, 130),
    "twice": twice,
    "disk": disk,
    "locked": locked,
    "clock": clock,
    "worker": worker,
    "rank_killed": rank(signal.SIGKILL, "another process"),
    "rank_term": rank(signal.SIGTERM, "saved after"),
}
