"""What people put in becomes what is shown: escaped, complete, and nothing kept."""

from __future__ import annotations

import base64
import csv
import html as entities
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from archives import zipped
from drawings import bomb, canvas, png
from PIL import Image
from red_spots import red_spot, reds

from marketorch import load_run
from marketorch.app.answers import Answers
from marketorch.app.runs import LISTENING
from marketorch.errors import ConfigError, DataError
from marketorch.listening.record import SCHEMA
from marketorch.tasks.detection import Detection

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> \"'&"
TAG = re.compile(r"<(script|img src=x|iframe)", re.IGNORECASE)


@pytest.fixture(scope="module")
def answers(tiny_runs: Path) -> Answers:
    names = (*LISTENING, "recommender")
    return Answers({name: load_run(tiny_runs / name) for name in names})


@pytest.fixture
def sees_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained detector finds anything; this one finds what is red."""
    monkeypatch.setattr(Detection, "predict", reds)


def upload(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def record_in(html: str) -> dict[str, Any]:
    shown = re.search(r"<pre>(.*?)</pre>", html, re.DOTALL)
    assert shown
    post: dict[str, Any] = json.loads(entities.unescape(shown[1]))
    return post


def text_of(html: str) -> str:
    return entities.unescape(re.sub(r"<[^>]*>", "", html))


# -- texts ------------------------------------------------------------------------------------


def test_a_text_is_answered_with_all_probabilities_and_the_words(answers: Answers) -> None:
    html = answers.text("The cup is not bad at all.")
    (row,) = answers.runs["sentiment"].predict(["The cup is not bad at all."], explain=8)
    shares = [f"{row[f'p_{label}']:.1%}" for label in ("negative", "positive")]
    assert f"<bdi>{row['label']}</bdi>" in html
    assert all(share in html for share in shares)
    moving = [own for own in row["words"] if own["weight"]]  # not what the vocabulary has not
    assert len(moving) > 2
    for own in moving:
        kind = "for" if own["weight"] > 0 else "against"
        assert re.search(rf'<mark class="{kind}"[^>]*>{own["word"]}</mark>', html)
    assert "The cup is not bad at all." in text_of(html)


@pytest.mark.parametrize(
    "text",
    ["😀🎉", "שלום עולם \u202e", "a\0b", "fine\ud800", "…!?", "\u200b", HOSTILE, "x" * 20_000],
    ids=lambda text: ascii(text[:12]),
)
def test_odd_texts_are_answered(answers: Answers, text: str) -> None:
    html = answers.text(text)
    assert text.replace("\ud800", "\ufffd") in text_of(html)
    assert not TAG.search(html)
    html.encode()


def test_no_text_and_too_much_of_it(answers: Answers) -> None:
    for text in (None, "", " \n\t"):
        assert "Write something" in answers.text(text)
    with pytest.raises(DataError, match="has 1,048,576 characters; at most 20,000"):
        answers.text("x" * 2**20)


# -- photos -----------------------------------------------------------------------------------


def test_a_photo_shows_all_that_the_runs_say(
    answers: Answers, sees_red: None, tmp_path: Path
) -> None:
    file = upload(tmp_path, "<b>a.png", png(red_spot()))
    html = answers.photo(file, f"Fine. {HOSTILE}")
    assert not Path(file).exists()
    assert not TAG.search(html)
    post = record_in(html)
    assert list(post) == SCHEMA.names
    assert (post["image"], post["caption"]) == ("<b>a.png", f"Fine. {HOSTILE}")
    assert "600 × 300 pixels, 1 mark, 2 faces" in html
    for face in (1, 2):
        assert f"Face {face} looks <bdi>" in html
        assert f"Smile of face {face}" in html
    assert f"<bdi>{post['brands'][0]['brand']}</bdi> is near face" in html
    assert f"Scene: <bdi>{post['photo']['scene']['label']}</bdi>" in html
    assert f"Caption: <bdi>{post['text']['sentiment']['label']}</bdi>" in html
    assert len(re.findall(r'<div class="bar">', html)) == 2 * (7 + 2) + 2 + 2
    address = re.search(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert address
    picture = Image.open(io.BytesIO(base64.b64decode(address[1])))
    assert picture.size == (600, 300)
    changed = (abs(_pixels(picture) - red_spot()) > 60).any(2)
    assert framed(changed, post["brands"][0], 1.0)


def framed(changed: Any, brand: dict[str, Any], scale: float) -> bool:
    """Whether there is a frame below a box, and none in its middle."""
    x1, y1, x2, y2 = (round(brand[side] * scale) for side in ("x1", "y1", "x2", "y2"))
    below, middle = changed[y2 : y2 + 6, x1:x2], changed[y1 + 9 : y2 - 9, x1 + 9 : x2 - 9]
    return bool(below.any(0).all() and not middle.any())


def _pixels(picture: Image.Image) -> Any:
    import numpy as np

    return np.asarray(picture.convert("RGB"), dtype=np.int16)


def test_large_photos_are_shown_smaller_with_their_boxes(
    answers: Answers, sees_red: None, tmp_path: Path
) -> None:
    large = Image.fromarray(red_spot()).resize((2400, 1200))
    stream = io.BytesIO()
    large.save(stream, "PNG")
    html = answers.photo(upload(tmp_path, "a.png", stream.getvalue()))
    address = re.search(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert address
    picture = Image.open(io.BytesIO(base64.b64decode(address[1])))
    assert picture.size == (1200, 600)
    changed = (abs(_pixels(picture) - _pixels(large.resize((1200, 600)))) > 60).any(2)
    post = record_in(html)
    assert post["width"] == 2400
    assert framed(changed, post["brands"][0], 0.5)


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        (b"random bytes", "The photo is not a photo that Pillow can read"),
        (png(red_spot())[:3000], "The photo is damaged or cut short"),
        (bomb(), "The photo says that it has more than 179 megapixels"),
        (png(canvas(height=20, width=800)), "at most 10 times as long as wide"),
    ],
    ids=["noise", "cut", "bomb", "strip"],
)
def test_bad_photos_are_named_and_their_caption_is_heard(
    answers: Answers, tmp_path: Path, photo: bytes, reason: str
) -> None:
    html = answers.photo(upload(tmp_path, "a.png", photo), "Not bad.")
    assert reason in text_of(html)
    assert "Caption:" in html
    assert "<img" not in html
    assert not list(tmp_path.iterdir())


def test_no_photo_and_an_empty_one(answers: Answers, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Choose a photo first"):
        answers.photo(None, "Fine.")
    with pytest.raises(DataError, match=r"a\.png is empty"):
        answers.photo(upload(tmp_path, "a.png", b""))


def test_a_hundred_damaged_photos_are_answered(tiny_runs: Path, tmp_path: Path) -> None:
    answers = Answers({"scene": load_run(tiny_runs / "scene")})
    draw, whole = random.Random(0), {}
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP"):
        stream = io.BytesIO()
        Image.fromarray(red_spot()[:60, :80]).save(stream, kind)
        whole[kind] = stream.getvalue()
    for number in range(100):
        data = bytearray(whole[list(whole)[number % len(whole)]])
        if number % 2:
            data = data[: draw.randrange(1, len(data))]
        else:
            for _ in range(draw.randint(1, 20)):
                data[draw.randrange(len(data))] = draw.randrange(256)
        html = answers.photo(upload(tmp_path, f"{number}.png", bytes(data)))
        assert ("Scene:" in html) != ("The photo" in html)
    assert not list(tmp_path.iterdir())


# -- titles -----------------------------------------------------------------------------------


def test_titles_come_after_a_history(answers: Answers) -> None:
    choices = answers.choices()
    picked = [item for _, item in choices[3:6]]
    html = answers.titles(picked)
    (row,) = answers.runs["recommender"].predict(" ".join(picked))
    names = {item: title for title, item in choices}
    shown = re.findall(r'<td class="text"><bdi>(.*?)</bdi></td>\s*<td>(.*?)</td>', html)
    pairs = zip(row["items"], row["scores"], strict=True)
    assert [(entities.unescape(name), score) for name, score in shown] == [
        (names[str(item)], f"{score:.2f}") for item, score in pairs
    ]
    assert answers.titles([], " ".join(picked)) == html
    assert answers.titles([], ", ".join(names[item] for item in picked).upper()) == html
    assert answers.titles(picked[1:], picked[0]) == html


def test_histories_that_cannot_be_continued(answers: Answers) -> None:
    assert "Pick some titles" in answers.titles([], "  ")
    assert "Pick some titles" in answers.titles(None)
    near = answers.choices()[0][1]
    with pytest.raises(DataError, match="What you typed: the catalogue has no item") as error:
        answers.titles([], f"{near}x")
    assert "Did you mean" in str(error.value)
    with pytest.raises(DataError, match="A history of 201 is too long"):
        answers.titles([near] * 201)
    for odd in (HOSTILE, "a\0b", "😀", "\ud800", ",;,", "x" * 20_000):
        try:
            answers.titles([], odd).encode()
        except DataError as error:
            str(error).encode()


# -- reports ----------------------------------------------------------------------------------


def files_in(html: str) -> dict[str, bytes]:
    found = re.findall(r'download="([^"]+)"\s+href="data:[\w/-]+;base64,([^"]+)"', html)
    return {name: base64.b64decode(data) for name, data in found}


def test_a_report_is_shown_and_its_files_can_be_kept(
    answers: Answers, sees_red: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    table = f'image,text\na.png,Fine\nnone.png,"{HOSTILE.replace(chr(34), "")}"\n'
    file = zipped(tmp_path / "posts.zip", {"posts.csv": table, "a.png": png(red_spot())})
    html = answers.report(str(file))
    assert "2 posts, 1 of them with a fault" in html
    assert not TAG.search(html)
    kept = files_in(html)
    tables = {"emotions", "faults", "over_time", "posts", "scenes", "sentiment", "voices"}
    assert set(kept) >= {"report.html", "posts.parquet"} | {f"{name}.csv" for name in tables}
    assert kept["report.html"].startswith(b"<!doctype html>")
    rows = list(csv.DictReader(kept["voices.csv"].decode().splitlines()))
    assert [row["posts"] for row in rows] == ["1"]
    assert not list((tmp_path / "temporary").iterdir())
    assert not file.exists()


def test_captions_alone_and_a_photo_alone(answers: Answers, sees_red: None, tmp_path: Path) -> None:
    html = answers.report(upload(tmp_path, "posts.csv", b"text\nFine.\nBad.\n"))
    assert "2 posts" in html
    html = answers.report(upload(tmp_path, "a.png", png(red_spot())))
    assert "1 posts" in html
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("posts.csv", b"body\nFine.\n", r"^posts\.csv has no column 'image' or 'text'"),
        ("posts.csv", b"text\n", r"^posts\.csv has no posts"),
        ("posts.csv", b"\xff\xfe\0", r"^posts\.csv has no column 'image' or 'text'"),
        ("posts.zip", b"PK", r"^posts\.zip is damaged"),
        ("posts.xlsx", b"x", r"^posts\.xlsx: expected a photo, a table or a zip"),
    ],
    ids=["columns", "rows", "noise", "zip", "kind"],
)
def test_what_cannot_be_reported_is_said_without_paths(
    answers: Answers, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message) as error:
        answers.report(upload(tmp_path, name, content))
    assert "/" not in str(error.value)
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match="Choose a CSV, a zip or a photo first"):
        answers.report(None)


# -- runs -------------------------------------------------------------------------------------


def test_any_runs_will_do_and_wrong_ones_are_named(tiny_runs: Path) -> None:
    only = Answers({"sentiment": load_run(tiny_runs / "sentiment")})
    assert not only.sees
    only.warm_up()
    with pytest.raises(ConfigError, match="expected a run that answers about brands"):
        Answers({"logo": load_run(tiny_runs / "sentiment")})
