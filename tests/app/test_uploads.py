"""Uploads stay within bounds and in their folder, whoever made them."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import locked, lying, with_link, zipped
from drawings import pixels, png

from marketorch.app import uploads
from marketorch.app.uploads import content, moved, posts_of, unpacked
from marketorch.errors import DataError

PHOTO = png(pixels(0))


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_a_zip_of_a_table_and_photos_is_unpacked(tmp_path: Path) -> None:
    """What systems hide in zips, and what is neither a table nor a photo, is passed over."""
    files = {"in/posts.csv": "image,text\na.png,fine\n", "in/a.png": PHOTO, "in/notes.txt": "x"}
    files |= {"__MACOSX/in/._a.png": "x", "in/.DS_Store": "x", "in/.a.png": PHOTO}
    file = zipped(tmp_path / "posts.zip", files)
    assert posts_of(file, tmp_path / "out") == tmp_path / "out" / "in" / "posts.csv"
    assert names(tmp_path / "out") == ["in/a.png", "in/posts.csv"]
    assert (tmp_path / "out" / "in" / "a.png").read_bytes() == PHOTO


def test_photos_alone_and_tables_alone(tmp_path: Path) -> None:
    file = zipped(tmp_path / "a.zip", {"a.png": PHOTO, "b/c.jpg": PHOTO})
    assert posts_of(file, tmp_path / "out") == tmp_path / "out"
    (tmp_path / "posts.tsv").write_text("text\nfine\n")
    assert posts_of(tmp_path / "posts.tsv", tmp_path / "none") == tmp_path / "posts.tsv"
    (tmp_path / "a.png").write_bytes(PHOTO)
    assert posts_of(tmp_path / "a.png", tmp_path / "none") == tmp_path / "a.png"
    file.rename(tmp_path / "renamed.png")  # is known by its content
    assert posts_of(tmp_path / "renamed.png", tmp_path / "again") == tmp_path / "again"


def test_an_upload_is_gone_once_it_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PHOTO)
    assert content(tmp_path / "a.png") == PHOTO
    (tmp_path / "b.png").write_bytes(PHOTO)
    assert moved(tmp_path / "b.png", tmp_path / "in").read_bytes() == PHOTO
    assert names(tmp_path) == ["in/b.png"]
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"empty\.png is empty \(0 bytes\)"):
        content(tmp_path / "empty.png")
    assert not (tmp_path / "empty.png").exists()
    for take in (content, lambda path: moved(path, tmp_path / "in")):
        with pytest.raises(DataError, match=r"a\.png is not there any more"):
            take(tmp_path / "a.png")


Hostile = Callable[[Path], Path]
HOSTILE: dict[str, tuple[Hostile, str]] = {
    **{
        f"name {number}": (
            lambda path, name=name: zipped(path, {name: PHOTO}),
            "is a name that leads out of the folder",
        )
        for number, name in enumerate(
            (
                *("../a.png", "/a.png", "in/../../a.png", "C:\\a.png", "..\\a.png", "a\n.png"),
                *("\\\\host\\share\\a.png", "x" * 200 + ".png", "d/" * 20 + "a.png"),
            )
        )
    },
    "link": (lambda path: with_link(path, "a.png", "/etc/passwd"), "is a link or a device"),
    "locked": (lambda path: locked(path, "a.png"), "is locked with a password"),
    "zip in a zip": (
        lambda path: zipped(path, {"b.zip": zipped(path, {"a.png": PHOTO}).read_bytes()}),
        "is an archive in the archive",
    ),
    "zip by another name": (
        lambda path: zipped(path, {"b.png": zipped(path, {"a.png": PHOTO}).read_bytes()}),
        "is a zip by another name",
    ),
    "bomb": (lambda path: zipped(path, {"a.png": bytes(2**24)}), "is packed more than 100 times"),
    "bomb in what is passed over": (
        lambda path: zipped(path, {"a.txt": bytes(2**24), "a.png": PHOTO}),
        "is packed more than 100 times",
    ),
    "lying bomb": (lambda path: lying(path, "a.png", bytes(2**21), 100), "is damaged"),
    "many": (
        lambda path: zipped(path, {f"{i}.png": b"" for i in range(2_001)}),
        "more than 2,000 files",
    ),
    "two tables": (
        lambda path: zipped(path, {"a.csv": "text\nx\n", "b.csv": "text\nx\n"}),
        "holds 2 tables",
    ),
    "nothing of use": (lambda path: zipped(path, {"a.txt": "x"}), "neither a table nor a photo"),
    "nothing": (lambda path: zipped(path, {}), "neither a table nor a photo"),
    "a file that is a folder, too": (
        lambda path: zipped(path, {"a.png": PHOTO, "a.png/b.png": PHOTO}),
        "is damaged, or no zip that can be read",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_zips_are_refused_in_words(tmp_path: Path, name: str) -> None:
    build, message = HOSTILE[name]
    (tmp_path / "up").mkdir()
    file = build(tmp_path / "up" / "posts.zip")
    with pytest.raises(DataError, match=message) as error:
        posts_of(file, tmp_path / "out")
    assert str(tmp_path) not in str(error.value)
    assert [path for path in tmp_path.rglob("*.*") if path != file] == [
        path for path in (tmp_path / "out").rglob("*.*") if path.stat().st_size <= len(PHOTO)
    ]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", PHOTO)
        archive.writestr("a.png", PHOTO)
    with pytest.raises(DataError, match=r"holds 'a\.png' twice"):
        unpacked(tmp_path / "a.zip", tmp_path / "out")


def test_what_a_zip_holds_is_bounded_whatever_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "TOTAL", 2**16)
    noise = random.Random(0).randbytes(2**15)
    file = zipped(tmp_path / "a.zip", {"a.png": noise, "b.png": noise, "c.png": noise})
    with pytest.raises(DataError, match="holds more than 0 MiB once it is unpacked"):
        unpacked(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()  # it says so itself: nothing was written


def test_files_and_posts_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "posts.csv").write_text("text\n" + "fine\n" * 2_001)
    with pytest.raises(DataError, match=r"holds 2,001 posts; at most 2,000"):
        posts_of(tmp_path / "posts.csv", tmp_path)
    monkeypatch.setattr(uploads, "FILE", 2**10)
    with pytest.raises(DataError, match=r"posts\.csv has 0 MiB; at most 0"):
        moved(tmp_path / "posts.csv", tmp_path / "in")
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.docx: expected a photo, a table or a zip"):
        posts_of(tmp_path / "a.docx", tmp_path)


def test_two_hundred_damaged_zips_are_read_or_refused(tmp_path: Path) -> None:
    """Cut short, bytes changed, or noise: nothing else is raised, nothing leaves the folder."""
    draw = random.Random(0)
    table = "image,text\n" + "".join(f"{i}.png,fine {i}\n" for i in range(9))
    whole = zipped(
        tmp_path / "whole.zip", {"posts.csv": table} | {f"{i}.png": PHOTO for i in range(9)}
    ).read_bytes()
    inside = tmp_path / "in"
    outcomes: list[str] = []
    for number in range(200):
        data = bytearray(whole[: draw.randrange(len(whole))] if number % 3 == 0 else whole)
        if number % 3 == 1:
            for _ in range(draw.randint(1, 30)):
                data[draw.randrange(len(data))] = draw.randrange(256)
        elif number % 3 == 2:  # of the directory at the end, where names and sizes are
            for _ in range(draw.randint(1, 6)):
                data[-draw.randrange(1, 600)] = draw.randrange(256)
        file = inside / str(number) / "posts.zip"
        file.parent.mkdir(parents=True)
        file.write_bytes(data)
        try:
            posts_of(file, file.parent / "out")
            outcomes.append("read")
        except DataError as error:
            outcomes.append(str(error))
    assert 0 < outcomes.count("read") < len(outcomes)
    assert not any(str(inside) in said for said in outcomes)
    assert {path.name for path in tmp_path.iterdir()} == {"in", "whole.zip"}
    assert {path.name for path in inside.iterdir()} == set(map(str, range(200)))


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zips_packed_in_any_way_are_refused_where_they_are_damaged(
    tmp_path: Path, packing: int
) -> None:
    (tmp_path / "up").mkdir()
    file = tmp_path / "up" / "posts.zip"
    noise = random.Random(0).randbytes(4000)
    with zipfile.ZipFile(file, "w", packing) as archive:
        archive.writestr("posts.csv", noise)
    whole = file.read_bytes()
    for place in range(40, len(whole) - 200, 97):
        file.write_bytes(whole[:place] + bytes(60) + whole[place + 60 :])
        with pytest.raises(DataError, match=r"posts\.zip is damaged, or no zip"):
            unpacked(file, tmp_path / f"out{place}")
