"""Listening to thousands: every post in its place, killed and resumed, and by the script."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from drawings import photos, png
from PIL import Image
from red_spots import TEXT, cut, red_spot, reds
from rich.console import Console

from marketorch import console as console_module
from marketorch import load_run
from marketorch.app.runs import LISTENING
from marketorch.errors import ConfigError
from marketorch.listening import Listener, Post, analyse_folder, read_records
from marketorch.listening import folder as folders
from marketorch.listening.record import SCHEMA, record
from marketorch.tasks.detection import Detection


@pytest.fixture
def sees_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained detector finds anything; this one finds what is red."""
    monkeypatch.setattr(Detection, "predict", reds)


@pytest.fixture
def listener(tiny_runs: Path, sees_red: None) -> Listener:
    return Listener.load(**{name: tiny_runs / name for name in LISTENING}, explain=2)


@pytest.fixture
def quick(tiny_runs: Path, sees_red: None) -> Listener:
    """A listener that searches for no faces, which takes most of the time."""
    names = ("logo", "scene", "sentiment")
    return Listener.load(**{name: tiny_runs / name for name in names}, explain=0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve posts, some of them odd."""
    scene = red_spot()
    photos(tmp_path / "in" / "photos")
    Image.fromarray(scene).save(tmp_path / "in" / "photos" / "red.png")
    (tmp_path / "in" / "photos" / "cut.png").write_bytes(cut(png(scene)))
    rows = [
        (f"p{i}", f"2024-05-{i + 1:02d}", "@ann", f"photos/{name}.png", f"{TEXT} {i}")
        for i, name in enumerate(["two", "none", "red", "cut", "gone", "../../secret"] * 2)
    ]
    rows[1] = (*rows[1][:3], "", "")
    columns = ["id", "time", "author", "image", "text"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "in" / "posts.csv", index=False)
    return tmp_path / "in" / "posts.csv"


def records_of(path: Path) -> list[dict[str, Any]]:
    return [own for part in read_records(path) for own in part]


def test_all_posts_are_in_the_table_in_their_order(
    listener: Listener, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = analyse_folder(listener, source, tmp_path / "out.parquet", posts_a_part=5)
    posts = records_of(tmp_path / "out.parquet")
    assert [post["id"] for post in posts] == [f"p{i}" for i in range(12)]
    assert [i for i, post in enumerate(posts) if post["faults"]] == [1, 3, 4, 5, 9, 10, 11]
    assert (heard.posts, heard.bad, heard.faults) == (12, 7, {"photo": 6, "post": 1})
    assert posts[2]["time"] == "2024-05-03"
    assert len(posts[2]["brands"]) == 1
    assert posts[5]["faults"] == [
        {"part": "photo", "reason": "its name leads out of the folder"},
    ]
    assert posts[4]["text"]["sentiment"] is not None
    about = {"id": "p0", "time": "2024-05-01", "author": "@ann", "image": "photos/two.png"}
    assert about.items() <= posts[0].items()
    alone = listener.analyse(source.parent / "photos" / "two.png", f"{TEXT} 0")
    assert [face["x1"] for face in posts[0]["faces"]] == [face["x1"] for face in alone["faces"]]
    said = capsys.readouterr().out
    assert "12 posts in" in said
    assert "7 of 12 posts (photo 6, post 1)" in said
    assert "\x1b" not in said
    assert not (tmp_path / "out.parquet.parts").exists()
    assert [path.name for path in tmp_path.iterdir()].count("out.parquet") == 1


def test_a_bar_moves_on_a_terminal_and_nowhere_else(
    quick: Listener, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {}
    for terminal in (True, False):
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=terminal, width=100)
        monkeypatch.setattr(console_module, "console", console)
        analyse_folder(quick, source, tmp_path / "out.parquet", posts_a_part=4)
        shown[terminal] = screen.getvalue()
    assert "12/12" in shown[True]
    assert "/12" not in shown[False]
    assert all("12 posts in" in own for own in shown.values())


def test_a_folder_of_photos_is_heard(tiny_runs: Path, tmp_path: Path) -> None:
    listener = Listener.load(scene=tiny_runs / "scene")
    analyse_folder(listener, photos(tmp_path / "in"), tmp_path / "out.parquet")
    posts = records_of(tmp_path / "out.parquet")
    assert [post["image"] for post in posts] == ["none.png", "two.png"]
    assert all(post["photo"]["scene"] and not post["faults"] for post in posts)


def cut_short(listener: Listener, after: int, *arguments: Any, **options: Any) -> None:
    """Listens to some parts, and then fails as a machine does."""
    whole, parts = listener.analyse_posts, iter(range(after))

    def analyse(posts: list[Post]) -> list[Any]:
        if next(parts, None) is None:
            raise RuntimeError("the power is gone")
        return whole(posts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listener, "analyse_posts", analyse)
        with pytest.raises(RuntimeError, match="the power is gone"):
            analyse_folder(listener, *arguments, **options)


def test_what_was_cut_short_goes_on_and_ends_in_the_same_bytes(
    quick: Listener, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, resumed = tmp_path / "whole.parquet", tmp_path / "resumed.parquet"
    analyse_folder(quick, source, whole, posts_a_part=3)
    for after in (1, 2):
        cut_short(quick, after, source, resumed, posts_a_part=3)
        assert not resumed.exists()
    left = sorted(path.name for path in (tmp_path / "resumed.parquet.parts").iterdir())
    assert left == ["00000000.parquet", "00000001.parquet", "00000002.parquet", "plan.json"]
    heard: list[int] = []
    with monkeypatch.context() as patch:
        analyse = quick.analyse_posts
        patch.setattr(quick, "analyse_posts", lambda p: heard.append(len(p)) or analyse(p))
        analyse_folder(quick, source, resumed, posts_a_part=3)
    assert heard == [3]  # nothing is done twice
    assert resumed.read_bytes() == whole.read_bytes()


def test_a_part_that_is_damaged_is_made_again(
    quick: Listener, source: Path, tmp_path: Path
) -> None:
    whole, resumed = tmp_path / "whole.parquet", tmp_path / "resumed.parquet"
    analyse_folder(quick, source, whole, posts_a_part=4)
    cut_short(quick, 2, source, resumed, posts_a_part=4)
    part = tmp_path / "resumed.parquet.parts" / "00000001.parquet"
    part.write_bytes(cut(part.read_bytes()))
    (tmp_path / "resumed.parquet.parts" / "00000002.parquet.1.tmp").write_bytes(b"half a part")
    analyse_folder(quick, source, resumed, posts_a_part=4)
    assert resumed.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "resumed.parquet.parts").exists()


KILLED = """
import os, signal, sys
from marketorch.listening import Listener, analyse_folder
from marketorch.listening.folder import Parts

listener = Listener.load(scene=sys.argv[1] + "/scene", sentiment=sys.argv[1] + "/sentiment")
write = Parts.write
def dying(self, number, records):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, number, records)
Parts.write = dying
analyse_folder(listener, sys.argv[2], "out.parquet", posts_a_part=3)
"""


def test_kill_nine_and_the_same_command_end_in_the_same_bytes(
    tiny_runs: Path, source: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(tiny_runs), str(source)]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, timeout=600)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(list((tmp_path / "out.parquet.parts").glob("*.parquet"))) == 2
    names = ("scene", "sentiment")
    listener = Listener.load(**{name: tiny_runs / name for name in names})
    analyse_folder(listener, source, tmp_path / "out.parquet", posts_a_part=3)
    analyse_folder(listener, source, tmp_path / "whole.parquet", posts_a_part=3)
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize(
    ("key", "other", "options"),
    [
        ("runs", {"scene": "scene"}, {}),
        ("settings", {"sentiment": "sentiment", "explain": 9}, {}),
        ("posts_a_part", {"sentiment": "sentiment"}, {"posts_a_part": 4}),
        ("source", {"sentiment": "sentiment"}, {"columns": {"text": "author"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parts_of_another_analysis_are_not_joined(
    tiny_runs: Path, source: Path, tmp_path: Path, key: str, other: Any, options: Any
) -> None:
    output = tmp_path / "out.parquet"
    cut_short(Listener.load(sentiment=tiny_runs / "sentiment"), 1, source, output, posts_a_part=3)
    runs = {k: tiny_runs / v if isinstance(v, str) else v for k, v in other.items()}
    with pytest.raises(ConfigError, match=f"holds parts of another analysis: its {key} differ"):
        analyse_folder(Listener.load(**runs), source, output, **{"posts_a_part": 3} | options)


@pytest.mark.parametrize("plan", ["3", "[]", "[" * 100_000], ids=["number", "list", "deep"])
def test_a_plan_that_is_none_is_that_of_another_analysis(
    tiny_runs: Path, source: Path, tmp_path: Path, plan: str
) -> None:
    listener = Listener.load(sentiment=tiny_runs / "sentiment")
    (tmp_path / "out.parquet.parts").mkdir()
    (tmp_path / "out.parquet.parts" / "plan.json").write_text(plan)
    with pytest.raises(ConfigError, match="holds parts of another analysis: its schema_version"):
        analyse_folder(listener, source, tmp_path / "out.parquet")


def test_a_run_is_told_by_its_weights_and_its_config(tiny_runs: Path, tmp_path: Path) -> None:
    """With other overrides it may say something else."""
    run, other = (load_run(tiny_runs / "logo", words) for words in ([], ["data.video_every=9"]))
    again = load_run(shutil.copytree(tiny_runs / "logo", tmp_path / "elsewhere"))
    prints = [folders._fingerprint(own) for own in (run, other, again)]
    assert prints[0] == prints[2] != prints[1]


def test_memory_holds_one_part_at_a_time(
    tiny_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many posts there are, a part is written before the next is read; groups are few."""
    (tmp_path / "posts.csv").write_text("text\n" + "".join(f"post {i}\n" for i in range(500)))
    listener = Listener.load(sentiment=tiny_runs / "sentiment", explain=0)
    waiting: list[int] = []

    def analyse(posts: list[Post]) -> list[Any]:
        waiting.append(len(posts))
        return [record(id=post.id, caption=post.text) for post in posts]

    monkeypatch.setattr(listener, "analyse_posts", analyse)
    monkeypatch.setattr(folders, "ROWS", 100)
    analyse_folder(listener, tmp_path / "posts.csv", tmp_path / "out.parquet", posts_a_part=30)
    assert waiting == [30] * 16 + [20]
    table = pq.ParquetFile(tmp_path / "out.parquet")
    groups = [table.metadata.row_group(i).num_rows for i in range(table.num_row_groups)]
    assert groups == [120, 120, 120, 120, 20]
    assert [post["id"] for post in records_of(tmp_path / "out.parquet")] == [
        str(i + 1) for i in range(500)
    ]


def test_outputs_that_cannot_be_are_explained(listener: Listener, source: Path) -> None:
    with pytest.raises(ConfigError, match=r"output=posts\.csv: expected a name that ends in"):
        analyse_folder(listener, source, "posts.csv")
    with pytest.raises(ConfigError, match="posts_a_part is 0; expected 1 or more"):
        analyse_folder(listener, source, "out.parquet", posts_a_part=0)


# -- the script -------------------------------------------------------------------------------


@pytest.fixture
def listen(call_script: Any, tiny_runs: Path, sees_red: None) -> Callable[..., Any]:
    runs = [f"{name}={tiny_runs / name}" for name in LISTENING]
    return lambda *arguments, asked=runs: call_script("listen", *asked, *arguments)


def test_the_script_listens_and_reports(listen: Any, source: Path, tmp_path: Path) -> None:
    done = listen(f"input={source}", "output=posts.parquet", "report=report")
    assert done.returncode == 0, done.stderr
    assert len(records_of(tmp_path / "posts.parquet")) == 12
    assert {path.name for path in (tmp_path / "report").iterdir()} >= {"report.html", "voices.csv"}
    done = listen("output=posts.parquet", "report=again", asked=[])  # of a file that is there
    assert done.returncode == 0, done.stderr
    for name in ("report.html", "overview.png", "posts.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "report" / name).read_bytes()


def test_the_script_prints_one_post(listen: Any, source: Path) -> None:
    done = listen(f"input={source.parent}/photos/red.png", "caption=So :smile: good.")
    post = json.loads(done.stdout)
    assert list(post) == SCHEMA.names
    assert post["caption"] == "So :smile: good."
    assert len(post["brands"]) == 1
    assert json.loads(listen("caption=alone").stdout)["width"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "input=… is missing"),
        (["inptu=nowhere", "input=in"], "inptu=nowhere: unknown option, and no run. Did you mean"),
        (["input=in"], "output=posts.parquet is missing: in may hold many posts"),
        (["report=there"], "report=…: of which file?"),
        (["input=posts.csv", "output=o.parquet"], "posts.csv does not exist"),
        (["output=none.parquet", "report=there"], "none.parquet does not exist"),
        (["input=in", "output=o.csv"], "output=o.csv: expected a name that ends in .parquet"),
    ],
)
def test_the_script_explains_mistakes(
    listen: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    photos(tmp_path / "in")
    done = listen(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
