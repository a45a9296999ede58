"""Model cards: by what a run has recorded, and with the sentences that its task needs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from conftest import ROOT

from marketorch import compose
from marketorch.config import plain
from marketorch.sharing.card_texts import UNKNOWN
from marketorch.sharing.model_card import files_of, generated, model_card, sources_of
from marketorch.tasks.text_classification import TextClassification

REPORT = {
    "metrics": {"val/accuracy": 0.75, "val/recall/a": 0.5, "val/auroc": None},
    "parameters": 1234,
    "data": {"classes": ["a", "b"], "class_counts": [5000, 20], "num_examples": 5020},
    "data_fingerprint": "f00d",
}


def card(*overrides: str, evaluations: Any = None, name: str | None = None) -> str:
    config = plain(compose([*overrides, "data_dir=data"]))
    return model_card(config, REPORT, evaluations or {}, name)


def header(text: str) -> dict[str, Any]:
    _, top, _ = text.split("---\n", 2)
    return yaml.safe_load(top)


def test_a_card_says_what_is_recorded() -> None:
    text = card("experiment=sentiment", name="anna/mood")
    for expected in (
        "`TextTransformer`, 1,234 trained parameters",
        "5,020 training examples: a 5,000, b 20.",
        "`f00d`",
        "seed 0",
        "| accuracy | 0.7500 |",
        'load_run("hf://anna/mood")',
        "num_train: 20000",
    ):
        assert expected in text, expected
    assert "recall/a" not in text
    assert "auroc" not in text
    assert "null" not in text
    assert "\n## Faces" not in text


def test_the_header_is_what_the_hub_reads() -> None:
    result = {"split": "test", "num_examples": 9, "metrics": {"accuracy": 0.9}}
    text = card("experiment=sentiment", evaluations={"test": result | {"baselines": {}}})
    found = header(text)
    assert found["library_name"] == "marketorch"
    assert found["license"] == "apache-2.0"
    assert found["pipeline_tag"] == "text-classification"
    ((only,),) = [entry["results"] for entry in found["model-index"]]
    assert only["dataset"]["split"] == "test"
    assert only["metrics"] == [{"type": "accuracy", "value": 0.9, "name": "accuracy"}]


def test_a_split_that_was_not_read_is_not_claimed() -> None:
    text = card("experiment=sentiment")
    assert "The test split was not read" in text
    assert "No baselines were measured" in text
    assert header(text)["model-index"][0]["results"][0]["dataset"]["split"] == "validation"


@pytest.mark.parametrize("experiment", ["emotion", "smile", "emotion_fer2013", "emotion_ferplus"])
def test_faces_have_what_no_picture_tells_consent_and_the_law(experiment: str) -> None:
    text = card(f"experiment={experiment}")
    for expected in ("is not what a person feels", "Ask everyone", "Article 5(1)(f)", "education"):
        assert expected in text, expected


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        ("sentiment", "reads words, not intentions"),
        ("logo", "endorses"),
        ("recommender", "ids of all items and of all users"),
        ("polarity_imdb", "probabilities say how sure"),
        ("propensity", "Denying anybody a service"),
        ("uplift", "nobody is ever seen with and without it"),
    ],
)
def test_each_task_has_its_misuses(experiment: str, expected: str) -> None:
    text = card(f"experiment={experiment}")
    assert expected in text
    assert "## Not for" in text
    assert "Article 5" not in text


@pytest.mark.parametrize("experiment", ["propensity", "churn_telco", "uplift_hillstrom"])
def test_customers_are_people(experiment: str) -> None:
    text = card(f"experiment={experiment}")
    for expected in ("## People", "Article 22", "Sex, origin, age", "No row of the table"):
        assert expected in text, expected
    assert "## People" not in card("experiment=logo")


def test_a_task_that_declares_no_card_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextClassification, "card", None)
    text = model_card(plain(compose(["data_dir=data"])), REPORT, {})
    assert "solves a task of its own" in text
    assert "pipeline_tag" not in header(text)


# -- licences -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (ROOT / "configs" / "data").glob("*.yaml"))
)
def test_every_data_config_has_a_licence_or_asks_for_one(name: str) -> None:
    """Those that read from data_dir are known; those on files of one's own are not."""
    data = plain(compose(["~experiment", f"data={name}", "data_dir=data", *own(name)]).data)
    found = sources_of(data)
    if not files_of(data):
        assert generated(found)
    elif any(file.startswith("data/") for file in files_of(data)):
        assert found
        assert UNKNOWN not in found
    else:
        assert found == [UNKNOWN]


def test_what_is_said_of_data_holds_for_their_files_alone() -> None:
    """A config that is pointed at other files says nothing of these."""
    data = plain(compose(["experiment=sentiment_airline", "data.path=mine.csv"]).data)
    assert sources_of(data) == [UNKNOWN]
    assert "prohibits AI that infers emotions" in card("experiment=emotion").replace("\n", " ")


def own(name: str) -> list[str]:
    """What a config on files of one's own leaves open."""
    text = (ROOT / "configs" / "data" / f"{name}.yaml").read_text(encoding="utf-8")
    return [f"data.{line.partition(':')[0]}=mine" for line in text.splitlines() if "???" in line]


def test_the_licence_of_data_is_told_and_the_header_does_not_claim_one() -> None:
    text = card("experiment=sentiment_airline")
    assert "US airline tweets: CC BY-NC-SA" in text
    assert header(text)["license"] == "other"
    own_file = card("experiment=sentiment_airline", "data=text_file", "data.path=posts.csv")
    assert "Check it yourself" in own_file


def test_all_that_the_model_has_learnt_from_is_named() -> None:
    text = card("experiment=logo_from_marks")
    assert "onlookers" not in text  # of faces that are mere backgrounds here
    assert "onlookers" in card("experiment=smile", "data=smiles")
    for name in ("clean marks of brands", "FlickrLogos-27", "photographs of smiles"):
        assert f"Data, {name}" in text
    assert "It started from `polarity_imdb`" in card("experiment=sentiment_sst2")
    encoder = card("experiment=sentiment", "model=pretrained_text", "model.name=anna/bert")
    assert "It started from `anna/bert`" in encoder
