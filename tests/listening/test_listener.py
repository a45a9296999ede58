"""Listening to one post: whatever runs there are, and whatever the post holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import bomb, png
from PIL import Image
from red_spots import TEXT, cut, red_spot, reds

from marketorch import load_run
from marketorch.app.runs import LISTENING
from marketorch.data.images.faces import FaceFinder
from marketorch.errors import CheckpointError, ConfigError
from marketorch.listening import Listener, Post
from marketorch.listening.listener import surest
from marketorch.listening.record import SCHEMA, face_answers, read_records, to_table
from marketorch.listening.seeing import THE_PHOTO
from marketorch.tasks.detection import Detection


@pytest.fixture
def sees_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained detector finds anything; this one finds what is red."""
    monkeypatch.setattr(Detection, "predict", reds)


@pytest.fixture
def listener(tiny_runs: Path, sees_red: None) -> Listener:
    return Listener.load(**{name: tiny_runs / name for name in LISTENING}, explain=2)


@pytest.fixture
def scene() -> np.ndarray:
    return red_spot()


# -- one post ---------------------------------------------------------------------------------


def test_a_record_tells_all_that_the_runs_say(listener: Listener, scene: np.ndarray) -> None:
    post = listener.analyse(scene, TEXT)
    assert list(post) == SCHEMA.names
    assert (post["width"], post["height"], post["faults"]) == (600, 300, [])
    (brand,) = post["brands"]
    sides = [brand[side] for side in ("x1", "y1", "x2", "y2")]
    assert sides == pytest.approx([60, 200, 140, 240], abs=8)
    assert brand["area"] == pytest.approx(80 * 40 / (600 * 300), rel=0.3)
    assert len(post["faces"]) == 2
    assert {name: len(own) for name, own in post["face"].items()} == {"emotion": 2, "smile": 2}
    for place, face in enumerate(post["faces"]):
        assert face["x2"] - face["x1"] == pytest.approx(face["y2"] - face["y1"], abs=0.2)
        assert 60 < face["x2"] - face["x1"] < 130
        for name, number in (("emotion", 7), ("smile", 2)):
            said = face_answers(post, place)[name]
            shares = [own["probability"] for own in said["probabilities"]]
            assert len(shares) == number
            assert sum(shares) == pytest.approx(1, abs=1e-4)
            assert said["probability"] == max(shares)
    left = min(range(2), key=lambda place: post["faces"][place]["x1"])
    assert [(pair["face"], pair["brand"], pair["name"]) for pair in post["near"]] == [
        (left, 0, brand["brand"])
    ]
    assert post["photo"]["scene"]["label"] in ("beach", "street")
    said = post["text"]["sentiment"]
    assert {own["label"] for own in said["probabilities"]} == {"negative", "positive"}
    assert len(said["words"]) == 2
    assert {own["word"] for own in said["words"]} <= set(TEXT.replace(",", "").split())


def test_a_record_says_what_each_run_says_by_itself(
    tiny_runs: Path, tmp_path: Path, scene: np.ndarray
) -> None:
    """The same faces, boxes and shares as predict.py gives for the file."""
    Image.fromarray(scene).save(tmp_path / "a.png")
    path = str(tmp_path / "a.png")
    runs = {name: load_run(tiny_runs / name) for name in LISTENING}
    post = Listener(**runs, min_face=0.05).analyse(path, TEXT)
    for name in ("emotion", "smile"):
        rows = runs[name].predict(path)
        assert [round(row["x"], 1) for row in rows] == [face["x1"] for face in post["faces"]]
        for row, said in zip(rows, post["face"][name], strict=True):
            for own in said["probabilities"]:
                assert own["probability"] == pytest.approx(row[f"p_{own['label']}"], abs=1e-5)
    (scores,) = [own["value"] for own in post["face"]["emotion"][0]["scores"]]
    assert scores == pytest.approx(runs["emotion"].predict(path)[0]["valence"], abs=1e-4)
    (row,) = runs["scene"].predict(path)
    assert row["probability"] == pytest.approx(post["photo"]["scene"]["probability"], abs=1e-5)
    (row,) = runs["sentiment"].predict([TEXT])
    assert row["label"] == post["text"]["sentiment"]["label"]
    found = {(row["label"], row["x1"], row["y1"]) for row in runs["logo"].predict(path)}
    assert {(own["brand"], own["x1"], own["y1"]) for own in post["brands"]} <= found


@pytest.mark.parametrize(
    "names", [[name] for name in LISTENING] + [["logo", "emotion"], ["smile", "scene", "sentiment"]]
)
def test_any_runs_will_do(
    tiny_runs: Path, sees_red: None, scene: np.ndarray, names: list[str]
) -> None:
    """What nobody is asked is unknown."""
    post = Listener.load(**{name: tiny_runs / name for name in names}).analyse(scene, TEXT)
    faces = {"emotion", "smile"} & set(names)
    assert (post["brands"] is None) == ("logo" not in names)
    assert (post["faces"] is None) == (not faces)
    assert (post["near"] is None) == (not faces or "logo" not in names)
    assert (post["photo"] is None) == ("scene" not in names)
    assert (post["text"] is None) == ("sentiment" not in names)
    assert (post["face"] or {}).keys() == faces


def test_classifiers_of_any_name_stand_beside_each_other(
    tiny_runs: Path, scene: np.ndarray
) -> None:
    """A further one needs no field of its own, and says what it says alone."""
    names = {"topic": "sentiment", "sentiment": "sentiment", "where": "scene", "mood": "emotion"}
    post = Listener.load(**{name: tiny_runs / run for name, run in names.items()}).analyse(
        scene, TEXT
    )
    assert post["text"].keys() == {"topic", "sentiment"}
    assert post["text"]["topic"] == post["text"]["sentiment"]
    assert (post["photo"].keys(), post["face"].keys()) == ({"where"}, {"mood"})
    (again,) = [own for part in read_records(to_table([post])) for own in part]
    assert again == post


def test_nothing_found_is_not_unknown(listener: Listener) -> None:
    post = listener.analyse(np.full((90, 120), 128, np.uint8))
    assert (post["brands"], post["faces"], post["near"]) == ([], [], [])
    assert (post["caption"], post["text"]) == (None, None)
    assert post["photo"]["scene"] is not None
    post = listener.analyse(text=TEXT)
    assert (post["brands"], post["faces"], post["near"], post["photo"]) == (None,) * 4


def test_a_photo_is_decoded_and_searched_once(
    listener: Listener, scene: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    find, opened = FaceFinder.find, Image.open
    monkeypatch.setattr(FaceFinder, "find", lambda *a: seen.append("find") or find(*a))
    monkeypatch.setattr(Image, "open", lambda *a, **k: seen.append("open") or opened(*a, **k))
    small = png(scene[150:250, 40:200])
    listener.analyse_posts([Post(small), Post(small), Post(text=TEXT)])
    assert sorted(seen) == ["find", "find", "open", "open"]


def test_of_two_brands_at_one_place_the_surer_is_told() -> None:
    def box(brand: str, score: float, left: float) -> dict[str, Any]:
        return {"brand": brand, "score": score, "x1": left, "y1": 0.0, "x2": left + 10, "y2": 10.0}

    boxes = [box("a", 0.5, 0), box("b", 0.8, 1), box("a", 0.4, 6), box("b", 0.3, 50)]
    assert [(own["brand"], own["score"]) for own in surest(boxes)] == [
        ("b", 0.8),
        ("a", 0.4),
        ("b", 0.3),
    ]
    assert surest([]) == []


def test_runs_must_be_what_they_are_for(tiny_runs: Path) -> None:
    with pytest.raises(ConfigError, match=r"next=.*: a run of Recommendation says nothing of post"):
        Listener.load(next=tiny_runs / "recommender")
    with pytest.raises(ConfigError, match="marks and logo: one run can say which brands"):
        Listener.load(marks=tiny_runs / "logo", logo=tiny_runs / "logo")
    with pytest.raises(ConfigError, match="give at least one run, such as logo"):
        Listener.load()
    with pytest.raises(CheckpointError, match="there is no such folder"):
        Listener.load(scene="nowhere")


# -- odd posts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        (b"", "is empty (0 bytes)"),
        (b"random bytes", "is not a photo that Pillow can read as AVIF, BMP, GIF, JPEG"),
        (cut(png(np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8))), "is damaged"),
        (bomb(), "says that it has more than 179 megapixels"),
        (png(np.zeros((50, 50), np.uint8)), "has 50 × 50 pixels; at most 0.002 megapixels are"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a photo that Pillow"),
        (np.zeros((2, 40, 3), np.uint8), "has 40 × 2 pixels; at most 10 times as long as wide"),
        (np.zeros((0, 4, 3), np.uint8), "has no pixels"),
        (np.zeros((4, 4, 4), np.uint8), "is uint8 (4, 4, 4); expected uint8 (H, W, 3)"),
        (Path("none.png"), "could not be read: No such file or directory"),
        (Path("."), "could not be read: Is a directory"),
        (Path("a\0b"), "could not be read: embedded null byte"),
        (3.5, "is a float; expected a file, its content, or pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_photo_that_cannot_be_used_is_a_fault(tiny_runs: Path, photo: Any, reason: str) -> None:
    """And the caption is heard all the same."""
    runs = {name: tiny_runs / name for name in ("scene", "sentiment")}
    listener = Listener.load(**runs, max_pixels=2_000)
    post = listener.analyse(photo, TEXT)
    (fault,) = post["faults"]
    assert fault["part"] == "photo"
    assert fault["reason"].startswith(f"{THE_PHOTO} {reason}")
    assert (post["width"], post["photo"]) == (None, None)
    assert post["text"]["sentiment"]["words"]
    assert to_table([post]).to_pylist(maps_as_pydicts="strict") == [post]


@pytest.mark.parametrize(
    "text",
    [
        "😀🎉",
        "שלום עולם \u202e",
        "a\0b",
        "x" * 100_000,
        "<script>alert(1)</script>",
        "…!?",
        "\u200b",
    ],
)
def test_odd_texts_are_answered(tiny_runs: Path, text: str) -> None:
    post = Listener.load(sentiment=tiny_runs / "sentiment").analyse(None, text)
    assert (post["caption"], post["faults"]) == (text, [])
    assert post["text"]["sentiment"]["label"] in ("negative", "positive")
    assert to_table([post]).to_pylist(maps_as_pydicts="strict") == [post]


def test_no_text_and_bad_text(tiny_runs: Path) -> None:
    listener = Listener.load(sentiment=tiny_runs / "sentiment")
    for text in (None, "", " \n\t"):
        post = listener.analyse(None, text)
        assert (post["caption"], post["text"]) == (None, None)
        assert [own["reason"] for own in post["faults"]] == ["neither a photo nor a text"]
    post = listener.analyse(None, "fine\ud800")
    assert post["caption"] == "fine\ufffd"
    assert [own["part"] for own in post["faults"]] == ["text"]
    assert to_table([post]).to_pylist(maps_as_pydicts="strict") == [post]
