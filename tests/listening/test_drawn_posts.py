"""The embedded posts: the same for the same seed, true to what they claim, their faces found."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketorch.data.images.decoding import in_mode
from marketorch.data.images.faces import FaceFinder
from marketorch.data.scenes.invented_marks import MARKS
from marketorch.data.synthetic.faces import CLASSES
from marketorch.data.synthetic.posts import SIDES, DrawnPost, draw_posts, write_posts
from marketorch.data.synthetic.reviews import BRANDS
from marketorch.data.synthetic.settings import CLASSES as SETTINGS
from marketorch.listening import read_posts
from marketorch.listening.seeing import MIN_FACE


@pytest.fixture(scope="module")
def posts() -> list[DrawnPost]:
    return list(draw_posts(24, size=240))


def same(one: DrawnPost, other: DrawnPost) -> bool:
    photos = [np.zeros(0) if post.photo is None else post.photo for post in (one, other)]
    known = [{k: v for k, v in vars(post).items() if k != "photo"} for post in (one, other)]
    return np.array_equal(*photos) and known[0] == known[1]


def test_a_post_depends_on_its_seed_and_its_place_alone(posts: list[DrawnPost]) -> None:
    again = list(draw_posts(3, start=5, size=240))
    assert all(same(one, other) for one, other in zip(again, posts[5:8], strict=True))
    (other,) = draw_posts(1, seed=1, start=5, size=240)
    assert not same(other, posts[5])


def test_posts_are_what_they_claim(posts: list[DrawnPost]) -> None:
    for post in posts:
        assert post.photo is not None or post.text is not None
        assert set(post.brands) <= set(MARKS)
        assert len(post.brands) == len(post.boxes)
        if post.photo is not None:
            assert post.photo.shape == (240, 240, 3)
        if post.text is not None:
            assert post.brand in post.text
            assert not any(f"the {name}" in post.text.split(".")[0] for name in BRANDS)
        for person in post.people:
            side = person.box[2] - person.box[0]
            assert SIDES[0] * 240 - 1 <= side <= SIDES[1] * 240 + 1
            assert person.emotion in CLASSES
            assert (person.smile is None) == (person.emotion != "happy")
    assert {post.sentiment for post in posts} == {"positive", "negative"}
    assert any(post.photo is None for post in draw_posts(60, size=64))


def test_photos_may_be_of_a_setting_that_is_known(posts: list[DrawnPost]) -> None:
    """A brand is seen in two of the settings mostly; without settings, photos are of none."""
    assert {post.setting for post in posts} == {None}
    placed = list(draw_posts(120, size=64, settings=True))
    assert all((post.setting is None) == (post.photo is None) for post in placed)
    assert {post.setting for post in placed} - {None} <= set(SETTINGS)
    often = max({post.brand for post in placed}, key=[post.brand for post in placed].count)
    where = Counter(post.setting for post in placed if post.brand == often and post.setting)
    assert sum(count for _, count in where.most_common(2)) > 0.5 * where.total()
    number = next(i for i, post in enumerate(posts) if post.photo is not None)
    (other,) = draw_posts(1, start=number, size=240, settings=True)
    assert not np.array_equal(posts[number].photo, other.photo)


def test_most_faces_are_found_and_little_else(posts: list[DrawnPost]) -> None:
    finder = FaceFinder(min_size=MIN_FACE)
    there = hit = more = 0
    for post in posts[:14]:
        if post.photo is None:
            continue
        middles = [face.middle for face in finder.find(in_mode(post.photo, "L"))]
        owners = [
            any(left < x < right and top < y < bottom for x, y in middles)
            for left, top, right, bottom in (person.box for person in post.people)
        ]
        there, hit = there + len(owners), hit + sum(owners)
        more += max(0, len(middles) - sum(owners))
    assert there >= 7
    assert hit >= 0.85 * there
    assert more <= 2


def test_a_folder_of_posts_can_be_listened_to(tmp_path: Path) -> None:
    table = write_posts(tmp_path / "posts", 12, size=96, seed=2)
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    assert list(rows.columns) == ["id", "time", "author", "image", "text"]
    assert pd.to_datetime(rows["time"], format="ISO8601").notna().all()
    found = list(read_posts(table).start_at(0))
    assert [post.id for post in found] == [f"p{i:05d}" for i in range(12)]
    assert not any(post.faults for post in found)
    lines = (tmp_path / "posts" / "truth.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == rows["id"].tolist()
    before = {p.name: p.read_bytes() for p in (tmp_path / "posts" / "photos").iterdir()}
    write_posts(tmp_path / "again", 12, size=96, seed=2)
    assert {p.name: p.read_bytes() for p in (tmp_path / "again" / "photos").iterdir()} == before
