"""A report that a person reads: the tables are right, the page is whole, and nothing in it runs."""

from __future__ import annotations

import base64
import io
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from marketorch.errors import ConfigError, DataError
from marketorch.listening import brand_report
from marketorch.listening.record import record, to_table
from marketorch.listening.report.brand_report import CAUTION
from marketorch.listening.report.figures import columns_over_time
from marketorch.listening.report.tables import flatten_records, over_time, smiles, tone

ATTACK = '<script>alert("1")</script><img src=x onerror=alert(1)> {{ 7 * 7 }} \0 $\\frac{'
EMOTIONS = ("happy", "sad")


def answer(shares: dict[str, float], **more: Any) -> dict[str, Any]:
    pairs = [{"label": name, "probability": share} for name, share in shares.items()]
    best = max(shares, key=lambda name: shares[name])
    found = {"label": best, "probability": shares[best], "probabilities": pairs, "scores": []}
    return found | more


def post(
    place: int,
    *brands: str,
    good: float | None = None,
    happy: float | None = None,
    genuine: float | None = None,
    near: tuple[str, ...] = (),
    scene: str | None = None,
    **known: Any,
) -> dict[str, Any]:
    """A post in which brands are seen, with a caption, a face and a scene if they are given."""
    box = {"x1": 0.0, "y1": 0.0, "x2": 10.0, "y2": 10.0}
    boxes = [{"brand": name, "score": 0.9, **box, "area": 0.1 * (i + 1)}
             for i, name in enumerate(brands)]  # fmt: skip
    faces, answers = [], {}
    if happy is not None:
        said = answer({"happy": happy, "sad": 1 - happy})
        said["scores"] = [{"name": "valence", "value": 2 * happy - 1}]
        faces, answers = [{**box, "angle": 0.0, "score": 0.9}], {"emotion": [said]}
        if genuine is not None:
            answers["smile"] = [answer({"posed": 1 - genuine, "genuine": genuine})]
    pairs = [{"face": 0, "brand": brands.index(name), "name": name, "distance": 1.0}
             for name in near]  # fmt: skip
    words = [{"word": "good", "weight": 1.0}, {"word": "not", "weight": -0.5}]
    said = None if good is None else answer({"negative": 1 - good, "positive": good}, words=words)
    about = {"id": f"p{place}", "caption": None if good is None else f"caption {place}"}
    seen = {"width": 100, "height": 50, "brands": boxes, "faces": faces, "near": pairs}
    where = {"photo": {"scene": answer({scene: 1.0})} if scene else None, "face": answers}
    return record(**about | seen | where | {"text": said and {"sentiment": said}} | known)


POSTS = [
    post(0, "Morva", "Morva", good=0.9, happy=0.8, genuine=0.7, near=("Morva",), scene="beach",
         time="2024-05-01T10:00:00"),
    post(1, "Morva", "Eskoro", good=0.2, happy=0.1, genuine=0.9, near=("Eskoro",), scene="street",
         time="2024-05-02T10:00:00+02:00", author="@ann"),
    post(2, "Morva", good=0.6, scene="beach", time="2024-06-20"),
    post(3, "Eskoro", happy=0.5, time="some day"),
    post(4, good=0.99, happy=0.2),
    record(id="p5", image="x.png", faults=[{"part": "photo", "reason": "empty"}]),
]  # fmt: skip


def report(posts: list[dict[str, Any]], folder: Path) -> str:
    return brand_report(to_table(posts), folder).read_text(encoding="utf-8")


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    return pd.read_csv(folder / f"{name}.csv").to_dict("records")


class Page(HTMLParser):
    """The elements, the attributes and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_tables_count_what_is_in_the_posts(tmp_path: Path) -> None:
    report(POSTS, tmp_path)
    assert table(tmp_path, "voices") == [
        {"brand": "Morva", "posts": 3, "boxes": 4, "share_of_voice": 0.6667, "area": 0.125,
         "share_of_area": 0.625},
        {"brand": "Eskoro", "posts": 2, "boxes": 2, "share_of_voice": 0.3333, "area": 0.15,
         "share_of_area": 0.375},
    ]  # fmt: skip
    sentiment = {row["brand"]: row for row in table(tmp_path, "sentiment")}
    assert list(sentiment) == ["Morva", "Eskoro", "(all)"]
    assert [row["captions"] for row in sentiment.values()] == [3, 1, 4]
    assert sentiment["Morva"]["p_positive"] == pytest.approx((0.9 + 0.2 + 0.6) / 3, abs=1e-4)
    assert sentiment["Morva"]["tone"] == pytest.approx(0.4 / 3, abs=1e-4)
    assert sentiment["Eskoro"]["tone"] == pytest.approx(-0.6)
    assert math.isnan(sentiment["Eskoro"]["low"])  # one caption bounds nothing
    bounds = sentiment["(all)"]["low"], sentiment["(all)"]["high"]
    tones = pd.Series([0.8, -0.6, 0.2, 0.98])
    half = 3.1824 * tones.std() / 2  # Student's t for four
    assert bounds == pytest.approx((max(-1, tones.mean() - half), 1.0), abs=1e-3)
    emotions = {row["brand"]: row for row in table(tmp_path, "emotions")}
    assert [row["faces"] for row in emotions.values()] == [1, 1, 4]
    assert emotions["Eskoro"]["p_happy"] == pytest.approx(0.1)
    assert emotions["(all)"]["p_sad"] == pytest.approx(0.6)
    assert emotions["Morva"]["mean_valence"] == pytest.approx(0.6)
    assert emotions["(all)"]["mean_valence"] == pytest.approx(-0.2)
    assert table(tmp_path, "scenes") == [
        {"brand": "Eskoro", "scene": "street", "posts": 1, "share": 1.0},
        {"brand": "Morva", "scene": "beach", "posts": 2, "share": 0.6667},
        {"brand": "Morva", "scene": "street", "posts": 1, "share": 0.3333},
    ]
    names = ("period", "brand", "posts", "share_of_voice", "tone", "faces", "p_happy")
    names += ("mean_valence",)
    rows = [[row[name] for name in names] for row in table(tmp_path, "over_time")]
    assert rows[:2] == [
        ["2024-04-29", "Eskoro", 1, 0.25, -0.6, 1, 0.1, -0.8],
        ["2024-04-29", "Morva", 2, 0.75, 0.1, 1, 0.8, 0.6],
    ]
    assert rows[2][:6] == ["2024-06-17", "Morva", 1, 1.0, 0.2, 0]
    assert all(map(math.isnan, rows[2][6:]))
    posts = table(tmp_path, "posts")
    assert [(row["kind"], row["id"]) for row in posts] == [
        ("best", "p0"),
        ("best", "p2"),
        ("worst", "p1"),
    ]
    assert posts[0]["words"] == "'+good, −not"  # a spreadsheet would look for a cell called good
    assert table(tmp_path, "faults") == [
        {"id": "p5", "image": "x.png", "part": "photo", "reason": "empty"}
    ]


def test_only_faces_that_look_happy_are_asked_how_they_smile() -> None:
    """Where no emotion is known, all are."""
    frames = flatten_records([POSTS])
    rows = [{"brand": name, "faces": 1, "p_posed": 0.3, "p_genuine": 0.7}
            for name in ("Morva", "(all)")]  # fmt: skip
    assert smiles(frames, ["Morva", "Eskoro"]).to_dict("records") == rows
    blind = [
        post | {"face": {k: v for k, v in (post["face"] or {}).items() if k != "emotion"}}
        for post in POSTS
    ]
    counted = smiles(flatten_records([blind]), ["Morva", "Eskoro"]).set_index("brand")
    assert counted["faces"].to_dict() == {"Morva": 1, "Eskoro": 1, "(all)": 2}
    assert counted.loc["(all)", "p_genuine"] == pytest.approx(0.8)


def test_lines_over_time_are_of_what_is_known() -> None:
    """Of the emotions it is the one that brands and periods differ by, whatever it is called."""
    rows = over_time(flatten_records([POSTS]), ["Morva", "Eskoro"])
    known = ["posts", "share_of_voice", "tone", "mean_valence"]
    assert columns_over_time(rows) == [*known, "p_happy"]
    shares = {"p_calm": [0.5, 0.5, 0.3], "p_cross": [0.2, 0.4, 0.9], "p_rare": [0.4, 0.1, 0.1]}
    rows = rows.drop(columns=["p_happy", "p_sad", "mean_valence"]).assign(**shares)
    assert columns_over_time(rows)[3:] == ["p_rare"]  # no face tells of the third row
    assert columns_over_time(rows.assign(faces=[1, 1, 1]))[3:] == ["p_cross"]
    assert columns_over_time(rows[rows["brand"] == "Morva"].assign(faces=0)) == ["posts", "tone"]
    assert columns_over_time(rows[:2]) == []


def test_the_page_stands_by_itself(tmp_path: Path) -> None:
    """All pictures are in it, nothing is loaded, and it says what cannot be known."""
    html = report(POSTS, tmp_path)
    page = Page(html)
    assert "script" not in page.tags
    assert "default-src 'none'" in html
    sources = [value for name, value in page.attributes if name in ("src", "href")]
    assert len(sources) == page.tags.count("img") == 10
    for source in sources:
        data = base64.b64decode(str(source).removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(data)) as picture:
            assert min(picture.size) > 200
    assert not re.search(r"url\(|@import|https?:", html)
    assert all(word in page.text for word in ("Morva", "caption 1", "@ann", "some", "empty"))
    assert " ".join(CAUTION.split()) in " ".join(page.text.split())
    assert "6 posts from 01 May 2024 to 20 June 2024" in page.text
    assert "The time of 3 of them is not known" in page.text
    with Image.open(tmp_path / "overview.png") as picture:
        assert picture.width > 1_000


def test_hostile_posts_are_only_text(tmp_path: Path) -> None:
    """Whatever people write stays text, in captions, names and numbers of posts."""
    hostile = {name: ATTACK for name in ("id", "author", "image", "caption")}
    times = {"time": ATTACK}
    faults = [{"part": ATTACK, "reason": ATTACK}]
    posts = [
        post(0, ATTACK, good=0.9, happy=0.4, near=(ATTACK,), scene=ATTACK, **hostile | times)
        | {"faults": faults},
        post(1, ATTACK + "2", good=0.1, time="2024-05-01"),
        post(2, ATTACK, good=0.1, time="2024-05-09"),
    ]
    posts[0]["text"]["sentiment"]["words"] = [{"word": ATTACK, "weight": 1.0}]
    html = report(posts, tmp_path)
    page = Page(html)
    assert not {"script", "iframe", "object", "link", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert len([value for name, value in page.attributes if name == "src"]) == page.tags.count(
        "img"
    )
    assert all(str(v).startswith("data:") for name, v in page.attributes if name == "src")
    assert "<script>alert" in page.text  # as text
    assert "{{ 7 * 7 }}" in page.text
    assert "\0" not in html


def test_spreadsheets_run_nothing_of_the_tables(tmp_path: Path) -> None:
    posts = [post(0, "=1+1", good=0.9, caption="=cmd|' /C calc'!A0", author="+1", id="@x")]
    report(posts, tmp_path)
    (row,) = table(tmp_path, "posts")
    assert [row[name] for name in ("text", "author", "id", "brands")] == [
        "'=cmd|' /C calc'!A0", "'+1", "'@x", "'=1+1",
    ]  # fmt: skip
    assert table(tmp_path, "voices")[0]["brand"] == "'=1+1"


@pytest.mark.parametrize(
    ("posts", "missing"),
    [
        ([record(id="a")], ["sentiment", "emotions", "time"]),
        ([post(0, good=0.5)], ["emotions", "time"]),
        ([post(0, "Morva")], ["sentiment", "emotions", "time"]),
        ([post(0, "Morva", happy=0.4, near=("Morva",))], ["sentiment", "time"]),
        ([post(0, "Morva", good=0.7, time="2024-05-01")], ["emotions"]),
        ([post(i, good=0.7, time=f"2024-05-{i + 1:02d}") for i in range(3)], ["emotions"]),
        ([], ["sentiment", "emotions", "time"]),
    ],
    ids=["nothing", "no brand", "one photo", "one face", "one post", "no brands", "no posts"],
)  # fmt: skip
def test_a_report_on_little_says_little(
    tmp_path: Path, posts: list[dict[str, Any]], missing: list[str]
) -> None:
    text = Page(report(posts, tmp_path)).text
    headings = {"sentiment": "What people write", "emotions": "How people look"}
    headings |= {"time": "when they were written is not known"}
    for name, words in headings.items():
        shown = words in text
        assert shown == (name in missing if name == "time" else name not in missing), name
    brands = any(own["brands"] for own in posts)
    assert ("No brand was found in these posts" in text) != brands
    assert len(list(tmp_path.glob("*.csv"))) == 8
    assert (tmp_path / "overview.png").stat().st_size > 2_000
    pd.read_csv(tmp_path / "voices.csv")


def test_other_sentiments_have_no_tone(tmp_path: Path) -> None:
    """Stars, say: their shares are shown, but there is neither best nor worst."""
    said = answer({"1": 0.2, "5": 0.8}, words=[])
    text = Page(report([post(0, "Morva", caption="so", text={"sentiment": said})], tmp_path)).text
    assert "What people write" in text
    assert "Best and worst" not in text
    assert math.isnan(tone(said))
    assert tone(answer({"Neg": 0.2, "neutral": 0.5, "POS": 0.3})) == pytest.approx(0.1)


def test_a_report_of_the_same_posts_is_the_same(tmp_path: Path) -> None:
    frame = to_table(POSTS).to_pandas()
    pages = [brand_report(source, tmp_path / str(i)) for i, source in
             enumerate((to_table(POSTS), frame))]  # fmt: skip
    first, second = (page.read_bytes() for page in pages)
    assert first == second


def test_a_face_counts_once_for_a_brand() -> None:
    own = post(0, "Morva", "Morva", happy=0.5)
    own["near"] = [{"face": 0, "brand": i, "name": "Morva", "distance": 0.0} for i in range(2)]
    assert len(flatten_records([[own]]).near) == 1


def test_mistakes_are_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="file is a file; expected a folder"):
        brand_report(to_table(POSTS), tmp_path / "file")
    with pytest.raises(DataError, match=r"gone\.parquet does not exist"):
        brand_report(tmp_path / "gone.parquet", tmp_path / "report")
    assert not (tmp_path / "report").exists()
