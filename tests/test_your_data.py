"""docs/your-data.md: each recipe is run as it stands there, on small files of the form it shows."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawings import folder, photos, squares
from pages import PAGES, blocks, commands, run, shortened

PAGE = PAGES["docs/your-data.md"]
TITLES = {
    "reviews": "Reviews in a CSV",
    "photos": "Photos in folders",
    "boxes": "Photos with boxes (COCO)",
    "orders": "An event log",
    "customers": "A CSV of customers",
}
SETTINGS = ("beach", "street")


def section(name: str) -> str:
    """A recipe of the page."""
    return next(part for part in PAGE.split("\n## ") if part.startswith(TITLES[name] + "\n"))


def headers(name: str) -> list[list[str]]:
    """The header of each CSV that a recipe shows or says it writes."""
    lines = "".join(blocks(section(name), "csv")).splitlines()
    return [line.split(",") for line in lines if not re.search(r"\d-|/", line)]


def written(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, header: list[str], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


# -- files as the page describes them ---------------------------------------------------------


def reviews(place: Path) -> None:
    words = ("awful", "poor", "fine, really", "good", "superb")
    rows = [
        ("2024-05-01", f"The battery is {word}\nin year {i}.", stars)
        for i in range(40)
        for stars, word in enumerate(words, start=1)
    ]
    write(place / "reviews.csv", headers("reviews")[0], rows)
    write(place / "new_reviews.csv", ["body"], [("It is fine.",), ("A poor battery",), ("…",)])


def pictures(place: Path) -> None:
    folder(place / "photos", 12, SETTINGS)
    photos(place / "new_photos")
    rows = [(f"photos/{name}/{i}.png", name) for name in SETTINGS for i in range(12)]
    write(place / "photos.csv", headers("photos")[0], rows)


def boxes(place: Path) -> None:
    squares(place / "boxes.json", 24, names=("Hestrum", "Morva"))
    (shown,) = blocks(section("boxes"), "json")
    for part, entries in json.loads((place / "boxes.json").read_text()).items():
        assert json.loads(shown)[part][0].keys() <= entries[0].keys()
    photos(place / "shelf")


def orders(place: Path) -> None:
    goods = ("red cup", "filter", "pot v1.5", *(f"cup {i}" for i in range(30)))
    rows = [
        (f"c{n}" if n else "anna", goods[(n + step) % len(goods)], f"2024-05-{10 + step}")
        for n in range(40)
        for step in range(6)
    ]
    write(place / "orders.csv", headers("orders")[0], rows)
    write(place / "new_orders.csv", headers("orders")[0], [("zoe", *rows[3][1:]), *rows[6:9]])


def customers(place: Path) -> None:
    rows = [
        (
            f"C{i:04d}",
            "" if i % 7 == 0 else 20 + 13 * i % 60,
            f"€ 1.{100 + 37 * i % 900},50",
            ("monthly", "yearly")[i % 2],
            f"202{i % 5}-05-{i % 28 + 1:02d}",
            "yes" if i % 2 == 0 and i % 3 else "no",
        )
        for i in range(120)
    ]
    header = headers("customers")[0]
    write(place / "customers.csv", header, rows)
    write(place / "new_customers.csv", header[-2::-1], [row[-2::-1] for row in rows[:9]])


# -- what the page says comes out of it -------------------------------------------------------


def answered(place: Path) -> None:
    rows = written(place / "answers.csv")
    assert [row["text"] for row in rows] == ["It is fine.", "A poor battery", "…"]
    assert list(rows[0]) == headers("reviews")[1]
    assert {row["label"] for row in rows} <= set("12345")


def told(place: Path) -> None:
    rows = written(place / "settings.csv")
    assert [row["image"] for row in rows] == ["new_photos/none.png", "new_photos/two.png"]
    assert list(rows[0]) == headers("photos")[1]


def found(place: Path) -> None:
    first, second = headers("boxes")
    rows, counts = written(place / "found.csv"), written(place / "counts.csv")
    assert {row["image"] for row in rows} == {"shelf/none.png", "shelf/two.png"}
    assert list(rows[0])[:2] == first[:2]
    found = [row for row in rows if row["label"] != "nothing"]
    assert not found or list(rows[0]) == first
    assert sorted(row["label"] for row in counts) == ["Hestrum", "Morva"]
    assert list(counts[0]) == second
    assert sum(int(row["boxes"]) for row in counts) == len(found)
    drawn = [path.stem for path in (place / "drawn").iterdir()]
    assert sorted(drawn) == sorted({Path(row["image"]).stem for row in found})


def recommended(place: Path) -> None:
    rows = written(place / "next.csv")
    assert [(row["user"], row["rank"]) for row in rows] == [
        (user, str(rank)) for user in ("c1", "zoe") for rank in range(1, 6)
    ]
    assert list(rows[0]) == headers("orders")[1]


def ranked(place: Path) -> None:
    rows = written(place / "ranked.csv")
    assert list(rows[0]) == headers("customers")[1]
    shares = [float(row["p_yes"]) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert sorted(row["customer"] for row in rows) == [f"C{i:04d}" for i in range(9)]
    for row, share in zip(rows, shares, strict=True):
        assert float(row["expected_profit"]) == pytest.approx(80 * share - 5, abs=0.01)


RECIPES: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "reviews": (reviews, answered),
    "photos": (pictures, told),
    "boxes": (boxes, found),
    "orders": (orders, recommended),
    "customers": (customers, ranked),
}


def test_every_recipe_of_the_page_is_tested() -> None:
    assert re.findall(r"^## (.+)", PAGE, re.MULTILINE) == list(TITLES.values())
    assert set(RECIPES) == set(TITLES)


def calls(name: str) -> list[list[str]]:
    """The commands of a recipe: train, evaluate, predict."""
    found = commands(section(name))
    assert [words[:2] for words in found] == [
        ["python", f"scripts/{verb}.py"] for verb in ("train", "evaluate", "predict")
    ]
    return [words[1:] for words in found]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which all commands of the page were run, and what they printed."""
    place = tmp_path_factory.mktemp("place")
    for make, _ in RECIPES.values():
        make(place)
    return place, run([words for name in RECIPES for words in calls(name)], place)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_leads_from_a_file_to_predictions(name: str, done: tuple[Path, str]) -> None:
    place, shown = done
    RECIPES[name][1](place)
    parts = re.split(r"^\$ train\.py ", shown, flags=re.MULTILINE)[1:]
    own = parts[list(RECIPES).index(name)]
    lines = blocks(section(name), "text")[0].splitlines()
    assert len(lines) >= 4
    for line in lines:
        pattern = re.escape(line).replace("…", r"[\d.,]+")
        assert re.search(f"^{pattern}$", own, re.MULTILINE), line


MISTAKES = [
    ("reviews", {"data.text": None}),
    ("photos", {"data.path": "photos.csv"}),
    ("photos", {"data.path": "photos/beach"}),
    ("boxes", {}),
    ("orders", {"data.user": None}),
    ("customers", {"data.target": "churn"}),
]


def test_the_messages_of_the_page_are_what_is_said(call_script: Any, tmp_path: Path) -> None:
    """Each recipe's first command, with an option left out or a file of another form."""
    said = []
    for make, _ in RECIPES.values():
        make(tmp_path)
    document = json.loads((tmp_path / "boxes.json").read_text())
    renamed = {"boxes" if key == "annotations" else key: own for key, own in document.items()}
    (tmp_path / "boxes.json").write_text(json.dumps(renamed))
    for name, other in MISTAKES:
        words = dict(word.split("=", 1) for word in calls(name)[0][1:])
        options = [f"{key}={value}" for key, value in (words | other).items() if value]
        done = call_script("train", *options)
        assert done.returncode == 1
        said.append(done.stderr.strip())
    assert said == [
        line for name in RECIPES for line in blocks(section(name), "text")[1].splitlines()
    ]


# -- the other inputs that it names -----------------------------------------------------------


@pytest.mark.parametrize("source", ["user:anna", "red cup, filter", "item:filter"])
def test_the_other_inputs_of_a_recommender(
    done: tuple[Path, str], call_script: Any, source: str
) -> None:
    place, _ = done
    assert f"{source}" in section("orders").replace('"', "")
    said = call_script("predict", "run=runs/orders", f"input={source}", "output=o.csv", cwd=place)
    assert said.returncode == 0, said.stderr
    assert [row["rank"] for row in written(place / "o.csv")] == [str(i) for i in range(1, 11)]


@pytest.mark.parametrize("source", ["photos.csv", "photos/beach/3.png"])
def test_the_other_inputs_of_a_classifier_of_photos(
    done: tuple[Path, str], call_script: Any, source: str
) -> None:
    """The columns of the table are named by the words of the page."""
    place, _ = done
    (columns,) = re.findall(r"`data\.path=photos\.csv ([^`]+)`", section("photos"))
    options = ["run=runs/photos", f"input={source}", "output=p.csv", *columns.split()]
    said = call_script("predict", *options, cwd=place)
    assert said.returncode == 0, said.stderr
    names = [row["file"] for row in written(place / source)] if "csv" in source else [source]
    assert [row["image"] for row in written(place / "p.csv")] == names


def test_photos_are_learnt_from_a_table_of_their_names(call_script: Any, tmp_path: Path) -> None:
    pictures(tmp_path)
    words = [word for word in calls("photos")[0][1:] if not word.startswith("data.path=")]
    (table,) = re.findall(r"`(data\.path=photos\.csv [^`]+)`", section("photos"))
    command = shortened(["scripts/train.py", *words, *table.split()])
    said = call_script("train", *command[1:])
    assert said.returncode == 0, said.stderr
    assert re.search(r"training examples: beach \d+, street \d+", said.stdout)
