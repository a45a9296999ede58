"""Listens to thousands of posts: a source in, a Parquet file out, resumed where it was cut short.

Posts are taken a part at a time, and each part becomes a file of its own beside the output, written
whole or not at all. So memory stays the same however many there are, and whatever stops the run,
the same command goes on from the last whole part. At the end the parts are joined. A part depends
on its posts and the runs alone, so the table is the same as if nothing had happened.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from marketorch import config as configs
from marketorch.console import counting, say
from marketorch.engine.checkpoint import BEST
from marketorch.engine.files import write_atomically
from marketorch.engine.tracking import write_json
from marketorch.errors import ConfigError, DataError
from marketorch.listening.listener import Listener
from marketorch.listening.posts import Post, Posts, read_posts
from marketorch.listening.record import SCHEMA, SCHEMA_VERSION, Record, to_table
from marketorch.runs import Run

POSTS = 64  # of a part
ROWS = 1024  # of a group of rows in the joined file, at least
PLAN = "plan.json"


class ListeningSummary(NamedTuple):
    """What became of the posts of a source.

    Args:
        posts: how many there are, all of them in the table.
        bad: how many of them have a fault.
        faults: how many faults there are of each part.
        seconds: that it took, without what an earlier call had done.
    """

    posts: int
    bad: int
    faults: dict[str, int]
    seconds: float


def analyse_folder(
    listener: Listener,
    source: str | Path,
    output: str | Path,
    *,
    columns: dict[str, str] | None = None,
    images: str | Path | None = None,
    posts_a_part: int = POSTS,
) -> ListeningSummary:
    """Writes the records of all posts of a source to a Parquet file, in their order.

    A post that cannot be used stays in the table, with its ``faults``. Until the end, the parts lie
    in a folder called like the output with ``.parts`` behind it.

    Args:
        listener: says what is in a post.
        source: a photo, a folder of photos, or a table, see `read_posts`.
        output: the file, ``.parquet``.
        columns, images: of a table, see `read_posts`.
        posts_a_part: how many posts are lost at most when the process is killed.

    Raises:
        ConfigError: ``output`` is no Parquet file, or another analysis has left its parts there.
        DataError: the source cannot be read.
    """
    if Path(output).suffix != ".parquet":
        raise ConfigError(f"output={output}: expected a name that ends in .parquet.")
    if posts_a_part < 1:
        raise ConfigError(f"posts_a_part is {posts_a_part}; expected 1 or more.")
    started = time.perf_counter()
    posts = read_posts(source, columns, images)
    parts = Parts(Path(output), len(posts), posts_a_part)
    parts.claim(plan_of(listener, posts, columns, images, posts_a_part))
    ready = parts.ready()
    if ready:
        say(f"resumed   {min(ready * posts_a_part, len(posts)):,} of {len(posts):,} posts are done")
    done = ready * posts_a_part
    with counting("posts", len(posts), min(done, len(posts))) as advance:
        for number, chunk in enumerate(chunks(posts, done, posts_a_part), start=ready):
            parts.write(number, listener.analyse_posts(chunk))
            advance(len(chunk))
    parts.join()
    bad = [[own["part"] for own in post["faults"]] for post in bad_posts(output)]
    faults = Counter(part for own in bad for part in own)
    heard = ListeningSummary(len(posts), len(bad), dict(faults), time.perf_counter() - started)
    _tell(heard, len(posts) - min(done, len(posts)), Path(output))
    return heard


def chunks(posts: Posts, start: int, size: int) -> Iterator[list[Post]]:
    """The posts from ``start`` on, ``size`` at a time."""
    rest = posts.start_at(start)
    while chunk := list(islice(rest, size)):
        yield chunk


def plan_of(
    listener: Listener, posts: Posts, columns: Any, images: Any, posts_a_part: int
) -> dict[str, Any]:
    """All that the table depends on: parts of two plans must not be joined."""
    runs = {name: _fingerprint(run) for name, run in listener.runs.items()}
    settings = {"explain": listener.explain, "reach": listener.reach}
    settings |= {"min_face": listener.viewer.min_face, "max_pixels": listener.viewer.max_pixels}
    source = {"posts": posts.fingerprint(), "columns": columns or {}}
    source |= {"images": str(images) if images else None}
    return {
        "schema_version": SCHEMA_VERSION,
        "runs": runs,
        "settings": settings,
        "source": source,
        "posts_a_part": posts_a_part,
    }


def _fingerprint(run: Run) -> str:
    """Hash of a run's weights and of the config that it was loaded with, wherever it lies."""
    with (run.directory / "checkpoints" / BEST).open("rb") as file:
        digest = hashlib.file_digest(file, "blake2b")
    config = configs.plain(run.config) | {"run_dir": None}
    digest.update(json.dumps(config, sort_keys=True).encode())
    return digest.hexdigest()[:32]


class Parts:
    """The parts of a table that is being made.

    Args:
        output: the table.
        posts: how many there are.
        size: posts of a part.
    """

    def __init__(self, output: Path, posts: int, size: int) -> None:
        self.output, self.posts, self.size = output, posts, size
        self.folder = output.with_name(f"{output.name}.parts")
        self.number = -(-posts // size)

    def path(self, number: int) -> Path:
        """Where a part lies."""
        return self.folder / f"{number:08d}.parquet"

    def claim(self, plan: dict[str, Any]) -> None:
        """Notes the plan that the parts belong to. ConfigError if there are those of another."""
        path = self.folder / PLAN
        if not path.exists():
            write_json(path, plan)
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):  # cut short
            found = {}
        found = found if isinstance(found, dict) else {}
        if differing := [key for key in plan if found.get(key) != plan[key]]:
            raise ConfigError(
                f"{self.folder} holds parts of another analysis: its {', '.join(differing)} "
                "differ. Delete that folder, or choose another output."
            )

    def ready(self) -> int:
        """How many parts are whole, from the first on."""
        number = 0
        while number < self.number and self._whole(number):
            number += 1
        return number

    def _whole(self, number: int) -> bool:
        try:
            rows = pq.read_metadata(self.path(number)).num_rows
        except (pa.ArrowException, OSError):
            return False
        return bool(rows == min(self.size, self.posts - number * self.size))

    def write(self, number: int, records: list[Record]) -> None:
        """Writes a part, whole or not at all."""
        table = to_table(records)
        write_atomically(self.path(number), lambda file: pq.write_table(table, file))

    def join(self) -> None:
        """Writes the table and clears the parts away."""

        def write(file: BinaryIO) -> None:
            with pq.ParquetWriter(file, SCHEMA) as writer:
                for group in self._groups():
                    writer.write_table(group)

        write_atomically(self.output, write)
        left_over = [*self.folder.glob("*.tmp"), *map(self.path, range(self.number))]
        # The plan goes last: without it, parts that are left over would be nobody's.
        for path in [*left_over, self.folder / PLAN]:
            path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _groups(self) -> Iterator[pa.Table]:
        """The parts in order, some together."""
        waiting: list[pa.Table] = []
        for number in range(self.number):
            try:
                waiting.append(pq.read_table(self.path(number), schema=SCHEMA))
            except (pa.ArrowException, OSError) as error:
                raise DataError(
                    f"{self.path(number)} cannot be read any more: {error}. Delete it and run the "
                    "same command again."
                ) from error
            if sum(map(len, waiting)) >= ROWS:
                yield pa.concat_tables(waiting).combine_chunks()
                waiting = []
        if waiting:
            yield pa.concat_tables(waiting).combine_chunks()


def bad_posts(table: str | Path) -> Iterator[Record]:
    """Yields the id, the image and the faults of each post in a Parquet file that has any."""
    for batch in pq.ParquetFile(table).iter_batches(ROWS, columns=["id", "image", "faults"]):
        yield from (row for row in batch.to_pylist() if row["faults"])


def _tell(heard: ListeningSummary, number: int, output: Path) -> None:
    """Says how fast ``number`` posts were heard, and what is wrong with some of all."""
    rate = number / max(heard.seconds, 1e-9)
    say(f"listened  {number:,} posts in {heard.seconds:.1f} s ({rate:,.1f}/s) → {output}")
    if heard.bad:
        first = next(bad_posts(output))
        kinds = ", ".join(f"{part} {count:,}" for part, count in sorted(heard.faults.items()))
        name, own = ascii((first["image"] or first["id"] or "")[:80]), first["faults"][0]
        say(f"bad       {heard.bad:,} of {heard.posts:,} posts ({kinds}), kept with their faults")
        say(f"          the first is {name}: {own['part']}: {own['reason']}")
