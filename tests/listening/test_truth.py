"""What is known of drawn posts is compared with what was told of them, in the demo too."""

from __future__ import annotations

import datetime
import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from marketorch.listening.record import Record, record, to_table
from marketorch.listening.truth import compare_with_truth, tone_around


def answer(label: str, **more: Any) -> dict[str, Any]:
    shares = [{"label": label, "probability": 1.0}]
    return {"label": label, "probability": 1.0, "probabilities": shares, "scores": []} | more


def brand(name: str) -> dict[str, Any]:
    box = {"x1": 0.0, "y1": 0.0, "x2": 9.0, "y2": 9.0}
    return {"brand": name, "score": 0.9, **box, "area": 0.1}


def faces(**looks: float) -> dict[str, Any]:
    """Fields of a record with faces that look so, each from an x on."""
    boxes = [{"x1": x, "y1": 10.0, "x2": x + 20, "y2": 30.0} for x in looks.values()]
    found = [box | {"angle": 0.0, "score": 1.0} for box in boxes]
    return {"faces": found, "face": {"emotion": [answer(look) for look in looks]}}


def written(folder: Path, truths: list[dict[str, Any]]) -> Path:
    path = folder / "truth.jsonl"
    path.write_text("".join(json.dumps(truth) + "\n" for truth in truths), encoding="utf-8")
    return path


def truth(*brands: str, setting: str | None = None, **looks: int) -> dict[str, Any]:
    """A praise of what is seen, with people who look so, each from an x on."""
    people = [{"box": [x, 0, x + 30, 40], "emotion": look} for look, x in looks.items()]
    known = {"brands": list(brands), "setting": setting, "sentiment": "positive"}
    return known | {"people": people}


def test_the_truth_is_compared_with_what_was_told(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        [
            truth("Morva", "Morva", "Eskoro", setting="beach", happy=0, sad=50),
            truth("Morva", setting="park", fear=0),
            truth("Cavelo"),
        ],
    )
    praise, blame = answer("positive", words=[]), answer("negative", words=[])
    told = [
        record(brands=[brand("Morva"), brand("Kesmira")], **faces(happy=2),
               photo={"scene": answer("beach")}, text={"sentiment": praise}),
        record(brands=[], **faces(sad=4, fear=60), photo={"scene": answer("street")}),
        record(text={"sentiment": blame}),
    ]  # fmt: skip
    found = compare_with_truth(to_table(told), path)
    assert found["brands"] == pytest.approx(2 * 1 / (2 + 3))  # of three there and two told
    assert found["captions"] == found["settings"] == found["emotions"] == 0.5
    assert found["faces"] == pytest.approx(2 / 3)  # the one beside nobody does not count


def test_what_nobody_listened_for_is_not_known(tmp_path: Path) -> None:
    path = written(tmp_path, [truth("Morva", happy=0)])
    assert all(map(math.isnan, compare_with_truth(to_table([record()]), path).values()))
    blind = compare_with_truth(to_table([record(**faces(happy=0) | {"face": {}})]), path)
    assert blind["faces"] == 1.0
    assert math.isnan(blind["emotions"])


def test_who_fell_most_comes_first() -> None:
    turn = datetime.datetime(2024, 4, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))

    def post(name: str, time: str, good: float) -> Record:
        shares = {"negative": 1 - good, "positive": good}
        pairs = [{"label": label, "probability": share} for label, share in shares.items()]
        said = answer("positive", words=[]) | {"probabilities": pairs}
        return record(brands=[brand(name), brand(name)], time=time, text={"sentiment": said})

    posts = [
        post("Morva", "2024-03-31T23:59:59Z", 0.6), post("Morva", "2024-03-01", 0.8),
        post("Morva", "2024-04-01T00:00:00Z", 0.5), post("Eskoro", "2024-03-02", 0.9),
        post("Eskoro", "2024-04-09", 0.2), post("Ivarno", "2024-03-02", 1.0),
    ]  # fmt: skip
    falls = tone_around(to_table(posts), turn)
    assert list(falls.index) == ["Eskoro", "Morva"]  # of Ivarno nobody spoke afterwards
    assert falls.loc["Eskoro"].tolist() == pytest.approx([0.8, -0.6, 1.4])
    assert falls.loc["Morva"].tolist() == pytest.approx([0.4, 0.0, 0.4])
    assert tone_around(to_table([]), turn).empty


def test_the_demo_reports_on_drawn_posts(
    tiny_runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the size of a thumbnail and with models that know nothing; a second demo starts anew."""
    spec = importlib.util.spec_from_file_location("demo", ROOT / "scripts" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    for name in demo.LISTENING:
        (tmp_path / name).symlink_to(tiny_runs / name)
    left = tmp_path / "posts.parquet.parts"
    left.mkdir()
    (left / "plan.json").write_text("{}", encoding="utf-8")
    demo.listen(tmp_path, number=6, size=96)
    shown = capsys.readouterr().out
    assert "right     brands " in shown
    assert f"{tmp_path / 'report' / 'report.html'} and" in shown
    assert "What 6 drawn posts show" in (tmp_path / "report" / "report.html").read_text("utf-8")
    assert len((tmp_path / "posts" / "truth.jsonl").read_text("utf-8").splitlines()) == 6
    demo.listen(tmp_path, number=3, size=96)
    assert "3 drawn posts" in (tmp_path / "report" / "report.html").read_text("utf-8")
    assert set(demo.LISTENING) <= set(demo.FLAGSHIPS)
