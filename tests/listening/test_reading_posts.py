"""Folders and tables of posts, as strangers write them: nothing leads out, nothing is left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from drawings import pixels
from PIL import Image

from marketorch.errors import ConfigError, DataError
from marketorch.listening.posts import Post, inside, is_one_photo, read_posts, valid


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(0)).save(path)
    return path


def posts_of(path: Path, **options: object) -> list[Post]:
    found = read_posts(path, **options)  # type: ignore[arg-type]
    posts = list(found.start_at(0))
    assert len(posts) == len(found)
    return posts


def faults(post: Post) -> list[tuple[str, str]]:
    return [(own["part"], own["reason"]) for own in post.faults]


def test_a_folder_has_a_post_a_photo(tmp_path: Path) -> None:
    for name in ("b.png", "a/c.png", "a/.hidden.png"):
        photo(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("no photo")
    posts = posts_of(tmp_path / "in")
    assert [(post.id, post.image, post.text) for post in posts] == [
        (name, name, None) for name in ("a/c.png", "b.png")
    ]
    assert posts[1].photo == (tmp_path / "in" / "b.png").resolve()
    assert [post.id for post in posts_of(tmp_path / "in" / "b.png")] == ["b.png"]
    assert is_one_photo(tmp_path / "in" / "b.png")
    assert not any(map(is_one_photo, (tmp_path / "in", tmp_path / "posts.csv")))


def test_a_table_has_a_post_a_row_and_its_fields_stay_text(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    table = tmp_path / "posts.csv"
    table.write_text(
        '\ufeffauthor,image,text,id,time\n@ann,a.png,"Fine,\nindeed",007,2024-05-01\n\n'
        ",,NA,,\n@bo,a.png,   ,8,tomorrow\n",
        encoding="utf-8",
    )
    first, second, third = posts_of(table)
    assert (first.id, first.author, first.time) == ("007", "@ann", "2024-05-01")
    assert (first.text, first.image) == ("Fine,\nindeed", "a.png")
    assert first.photo == (tmp_path / "a.png").resolve()
    assert (second.id, second.text, second.photo, second.author) == ("2", "NA", None, None)
    assert (third.text, third.time) == (None, "tomorrow")
    assert [post.id for post in read_posts(table).start_at(1)] == ["2", "8"]


def test_columns_have_names_and_photos_a_folder(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "a.png")
    table = tmp_path / "posts.tsv"
    table.write_text("file\tbody\ttext\na.png\tso\tother\n")
    options = {"columns": {"image": "file", "text": "body"}, "images": tmp_path / "photos"}
    (post,) = posts_of(table, **options)
    assert (post.text, post.faults) == ("so", ())
    assert post.photo == (tmp_path / "photos" / "a.png").resolve()


@pytest.mark.parametrize(
    "name",
    [
        *("../secret.png", "in/../../secret.png", "{root}/secret.png", "C:\\secret.png"),
        *("..\\secret.png", "link.png", "folder/secret.png", "\\\\host\\secret.png"),
    ],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    photo(tmp_path / "secret.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "in" / "folder").symlink_to(tmp_path)
    with pytest.raises(DataError, match="leads out of the folder"):
        inside(tmp_path / "in", name.format(root=tmp_path))
    (tmp_path / "in" / "posts.csv").write_text(f"image\n{name.format(root=tmp_path)}\n")
    (post,) = posts_of(tmp_path / "in" / "posts.csv")
    assert post.photo is None
    assert [part for part, _ in faults(post)] == ["photo"]


def test_a_link_in_a_folder_of_photos_leads_out_of_it_neither(tmp_path: Path) -> None:
    photo(tmp_path / "secret.png")
    photo(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "in" / "c.png").symlink_to("a.png")  # stays inside
    posts = posts_of(tmp_path / "in")
    assert [post.photo is None for post in posts] == [False, True, False]
    assert faults(posts[1]) == [("photo", "a link leads out of the folder")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none.png", "there is no such file"),
        (".", "there is no such file"),
        ("pipe.png", "there is no such file"),
        ("http://example.com/a.png", "there is no such file"),
        ("x" * 400 + ".png", "its name is none that a file can have"),
        ("a\0.png", "its name is none that a file can have"),
        ("loop.png", "its name is none that a file can have"),
    ],
)
def test_names_of_nothing_are_faults(tmp_path: Path, name: str, reason: str) -> None:
    os.mkfifo(tmp_path / "pipe.png")  # reading it would wait for ever
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(DataError) as error:
        inside(tmp_path, name)
    assert str(error.value) in (reason, "there is no such file")


def test_rows_that_are_broken_are_faults_and_the_others_are_read(tmp_path: Path) -> None:
    table = tmp_path / "posts.csv"
    rows = [b"id,text", b"1,fine", b"2", b"3,a,b", b"4,caf\xe9", b"5," + b"x" * 140_000, b"6,last"]
    table.write_bytes(b"\n".join(rows))
    posts = posts_of(table)
    assert [post.text for post in posts] == ["fine", None, None, "caf\ufffd", None, "last"]
    assert [faults(post) for post in posts] == [
        [],
        [("row", "1 fields; the header has 2")],
        [("row", "3 fields; the header has 2")],
        [("text", "not valid UTF-8")],
        [("row", "field larger than field limit (131072)")],
        [],
    ]


def test_an_open_quote_takes_only_some_rows_along(tmp_path: Path) -> None:
    long = ["id,text", '1,"never closed', *(f"{i},{'word ' * 200}" for i in range(2, 300))]
    (tmp_path / "posts.csv").write_text("\n".join(long))
    posts = posts_of(tmp_path / "posts.csv")
    assert faults(posts[0])[0][0] == "row"
    assert posts[-1].id == "299"
    assert posts[-1].faults == ()


def test_a_fingerprint_tells_sources_apart(tmp_path: Path) -> None:
    table = tmp_path / "posts.csv"
    table.write_text("text\na\n")
    before = read_posts(table).fingerprint()
    assert read_posts(table).fingerprint() == before
    table.write_text("text\nb\n")
    assert read_posts(table).fingerprint() != before
    photo(tmp_path / "a.png")
    before = read_posts(tmp_path).fingerprint()
    photo(tmp_path / "b.png")
    assert read_posts(tmp_path).fingerprint() != before


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, {}, r"posts\.csv does not exist"),
        ("", {}, "has no column 'image' or 'text'"),
        ("text\n", {}, "has no posts"),
        ("body\nx\n", {}, "has no column 'image' or 'text'; .* Columns found: body"),
        ("body\nx\n", {"columns": {"text": "bod"}}, "no column 'bod' .* Did you mean 'body'"),
        ("text\nx\n", {"images": "nowhere"}, "images=nowhere: there is no such folder"),
    ],
)
def test_tables_that_cannot_be_read_are_explained(
    tmp_path: Path, content: str | None, options: dict[str, object], message: str
) -> None:
    if content is not None:
        (tmp_path / "posts.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        posts_of(tmp_path / "posts.csv", **options)


def test_other_sources_are_explained(tmp_path: Path) -> None:
    (tmp_path / "posts.xlsx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"posts\.xlsx: expected a photo, a folder of them, or a"):
        read_posts(tmp_path / "posts.xlsx")
    with pytest.raises(DataError, match="holds no photo"):
        read_posts(tmp_path)
    photo(tmp_path / "a.png")
    with pytest.raises(ConfigError, match="text: only a table"):
        read_posts(tmp_path, columns={"text": "body"})
    (tmp_path / "posts.csv").write_text("text\nx\n")
    with pytest.raises(ConfigError, match="mood: expected one of image, text"):
        read_posts(tmp_path / "posts.csv", columns={"mood": "text"})


def test_text_becomes_valid() -> None:
    assert valid("a\ud800\udcff😀") == "a\ufffd\ufffd😀"
