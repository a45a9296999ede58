"""ONNX files: onnxruntime gives what PyTorch gives, or there is no file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import ROOT
from small_runs import RECIPES, SHORT, train_small
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from marketorch import ConfigError, UserError, build, build_task, compose, load_run, train
from marketorch.models.boxes.compact_detector import suppressed
from marketorch.runs import Run
from marketorch.sharing import onnx_export
from marketorch.sharing.onnx_export import (
    export_onnx,
    exported_function,
    inputs,
    searchsorted,
    translated,
)

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
TEXTS = ["Everyone told me that it was slow, and they were wrong.", "Bad.", "", "The screen " * 20]


class Exported:
    """A run and its ONNX file."""

    def __init__(self, run_dir: Path) -> None:
        file = run_dir / "exported" / "model.onnx"
        self.difference = export_onnx(run_dir, file)
        self.files = [path.name for path in file.parent.iterdir()]
        self.run: Run = load_run(run_dir)
        self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self.about = json.loads(self.session.get_modelmeta().custom_metadata_map["marketorch"])

    def __call__(self, values: torch.Tensor) -> list[torch.Tensor]:
        (read,) = self.session.get_inputs()
        return [torch.from_numpy(x) for x in self.session.run(None, {read.name: values.numpy()})]

    @torch.no_grad()
    def predict(self, **batch: torch.Tensor) -> Any:
        number = len(next(iter(batch.values())))
        return self.run.task.predict({"index": torch.arange(number), **batch})


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    known: dict[str, Exported] = {}

    def find(name: str) -> Exported:
        if name not in known:
            known[name] = Exported(train_small(name, tmp_path_factory.mktemp("runs")))
        return known[name]

    return find


@pytest.mark.parametrize("name", RECIPES)
def test_a_file_says_what_it_reads_and_gives(exported: Any, name: str) -> None:
    model = exported(name)
    reads, *rest = [(value.name, value.shape) for value in model.session.get_inputs()]
    gives = [(value.name, value.shape) for value in model.session.get_outputs()]
    form: dict[str, Any] = {
        "rows": [19],
        "text": ["length"],
        "items": ["length"],
        "image": [1, 16, 16],
        "boxes": [3, 64, 64],
    }
    assert not rest
    assert reads[1] == ["batch", *form[name]]
    assert all(shape[0] == "batch" for _, shape in gives)
    assert model.about["name"] == model.run.config.name
    assert model.files == ["model.onnx"]
    assert 0 <= model.difference <= 1e-4


@pytest.mark.parametrize("number", [1, 4])
def test_texts_have_the_probabilities_that_the_run_gives(exported: Any, number: int) -> None:
    model = exported("text")
    tokens = model.run.task.model.tokenizer.encode(TEXTS).pad(torch.arange(number))
    (given,) = model(tokens)
    torch.testing.assert_close(given, model.predict(tokens=tokens)["probabilities"], **CLOSE)
    torch.testing.assert_close(given.sum(1), torch.ones(number))


def test_a_text_of_one_token_is_no_exception(exported: Any) -> None:
    model = exported("text")
    tokens = model.run.task.model.tokenizer.encode([""]).pad(torch.tensor([0]))
    assert tokens.shape == (1, 1)
    expected = model.predict(tokens=tokens)["probabilities"]
    torch.testing.assert_close(model(tokens)[0], expected, **CLOSE)


@pytest.mark.parametrize("number", [1, 7])
def test_images_have_the_probabilities_that_the_run_gives(exported: Any, number: int) -> None:
    model = exported("image")
    images = model.run.data.split("test").images[:number]
    assert images.dtype == torch.uint8
    expected = model.predict(images=images)["probabilities"]
    torch.testing.assert_close(model(images)[0], expected, **CLOSE)
    assert model.about["classes"] == model.run.task.classes


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 12)])
def test_histories_have_the_scores_that_the_run_gives(
    exported: Any, shape: tuple[int, int]
) -> None:
    model = exported("items")
    items = torch.randint(1, 100, shape, generator=torch.Generator().manual_seed(1))
    items[0, 1:] = 0
    with torch.no_grad():
        expected = model.run.task.model({"items": items})[:, 1:]
    torch.testing.assert_close(model(items)[0], expected, **CLOSE)
    assert model.about["items"] == model.run.task.catalogue.items
    # Of its users, nothing is told.
    assert set(model.about) == {"name", "task", "items", "titles", "length", "drop_seen"}
    assert model.about["drop_seen"]


def test_what_a_detector_finds_follows_from_boxes_scores_and_facts(exported: Any) -> None:
    model = exported("boxes")
    images = model.run.data.split("validation").images
    boxes, scores = model(images)
    with torch.no_grad():
        logits, reached = model.run.task.model(images.float() / 255)
    torch.testing.assert_close(scores, logits.sigmoid(), **CLOSE)
    torch.testing.assert_close(boxes, reached.clamp(0, 64), rtol=1e-4, atol=1e-4)
    found = suppressed(boxes, scores, model.about["overlap"], model.about["detections"])
    torch.testing.assert_close(found.scores, model.predict(images=images)["scores"], **CLOSE)
    assert model.about["classes"] == model.run.task.classes
    assert model.about["threshold"] == pytest.approx(float(model.run.task.threshold), abs=1e-6)


@pytest.mark.parametrize("number", [1, 6])
def test_customers_have_the_probabilities_that_the_run_gives(exported: Any, number: int) -> None:
    """From numbers as they stand in the table: scaling is in the file."""
    model = exported("rows")
    test, task = model.run.data.split("test").select(range(number)), model.run.task
    raw, scaled = task.encoder.encode(test, raw=True), task.encode(test)
    rows = torch.cat([raw.numbers, raw.categories.float()], 1)
    expected = model.predict(numbers=scaled.numbers, categories=scaled.categories.long())
    torch.testing.assert_close(model(rows)[0], expected["probabilities"], **CLOSE)
    assert len(model.about["numbers"]) + len(model.about["levels"]) == rows.shape[1]
    assert model.about["levels"]["plan"][0] == "basic"  # the most frequent is place 1
    assert model.about["contact_from"] == pytest.approx(float(task.threshold), abs=1e-6)


def test_customers_of_any_kind_are_scaled_alike(exported: Any) -> None:
    """Missing, far outside of what training saw, and in between."""
    model = exported("rows")
    graph, encoder = exported_function(model.run), model.run.task.encoder
    rows = graph.made_up(200)
    rows[0, : graph.number], rows[1, : graph.number] = torch.nan, 1e9
    rows[2, : graph.number], rows[3, : graph.number] = -1e9, encoder.middles.float()
    raw = rows[:, : graph.number]
    columns = zip(encoder.knots, encoder.heights, encoder.lengths, raw.T, strict=True)
    expected = [np.nan_to_num(np.interp(x, k[:n], h[:n])) for k, h, n, x in columns]
    scores = torch.from_numpy(np.stack(expected, 1)).float()
    torch.testing.assert_close(graph.scaling(raw), scores, rtol=1e-4, atol=1e-3)
    with torch.no_grad():
        torch.testing.assert_close(model(rows)[0], graph.eval()(rows), **CLOSE)


def test_the_file_alone_turns_a_text_into_tokens(exported: Any) -> None:
    model = exported("text")
    own = Tokenizer.from_str(json.dumps(model.about["tokenizer"]))
    for text in TEXTS[:3]:
        ids = [i + model.about["shift"] for i in own.encode(text).ids]
        assert ids == model.run.task.model.tokenizer.encode([text]).values.tolist()
    assert model.about["max_length"] == 24


def test_the_example_of_the_page_runs(
    exported: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (ROOT / "docs" / "sharing.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    model = exported("text")
    (tmp_path / "first.onnx").symlink_to(model.run.directory / "exported" / "model.onnx")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/sharing.md", "exec"), {})
    shown = eval(capsys.readouterr().out)
    (row,) = model.run.predict(["Support was rude."])
    assert shown == pytest.approx({name: row[f"p_{name}"] for name in shown}, abs=1e-5)
    assert list(shown) == model.run.task.classes


# -- a pretrained encoder -----------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A BERT of two layers with random weights."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "screen", "was", "not", "good", "bad"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=special
    )
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    fast.save_pretrained(tmp_path / "bert")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=10, num_hidden_layers=2, **sizes)).save_pretrained(
        tmp_path / "bert"
    )
    return tmp_path / "bert"


def test_a_pretrained_encoder_is_exported(tmp_path: Path, checkpoint: Path) -> None:
    sizes = ["data.num_train=40", "data.num_validation=20", "data.num_test=20"]
    encoder = ["model=pretrained_text", f"model.name={checkpoint}", "model.max_length=6"]
    recipe = ["experiment=sentiment", *SHORT, *sizes, *encoder, f"run_dir={tmp_path / 'run'}"]
    train(compose(recipe))
    model = Exported(tmp_path / "run")
    own = Tokenizer.from_str(json.dumps(model.about["tokenizer"]))
    text = "the screen was not good not bad"
    ids = [i + model.about["shift"] for i in own.encode(text).ids]
    tokens = model.run.task.model.tokenizer.encode([text, "bad"]).pad(torch.arange(2))
    assert ids == tokens[0].tolist()
    assert len(ids) == 6
    expected = model.predict(tokens=tokens)["probabilities"]
    torch.testing.assert_close(model(tokens)[0], expected, **CLOSE)


def test_a_linear_model_of_customers_reads_numbers_as_they_are(tmp_path: Path) -> None:
    sizes = ["data.num_train=200", "data.num_validation=40", "data.num_test=20"]
    recipe = ["experiment=propensity", "model=logistic", *sizes, *SHORT]
    train(compose([*recipe, f"run_dir={tmp_path / 'run'}"]))
    model = Exported(tmp_path / "run")
    encoded = model.run.task.encode(model.run.data.split("test"))
    rows = torch.cat([encoded.numbers, encoded.categories.float()], 1)
    expected = model.predict(numbers=encoded.numbers, categories=encoded.categories.long())
    torch.testing.assert_close(model(rows)[0], expected["probabilities"], **CLOSE)


# -- what is not written ------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0.01, np.nan])
def test_other_numbers_leave_no_file(
    tmp_path: Path, exported: Any, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    run_dir = exported("image").run.directory
    own = onnxruntime.InferenceSession.run

    def run(*arguments: Any) -> Any:
        return [value + np.float32(wrong) for value in own(*arguments)]

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", run)
    file = tmp_path / "model.onnx"
    file.write_bytes(b"the one before")
    with pytest.raises(UserError, match=r"other probabilities than PyTorch.*Nothing was written"):
        export_onnx(run_dir, file)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert file.read_bytes() == b"the one before"


SCHEMA = {"classes": ["a", "b"], "num_items": 3, "num_users": 2, "channels": 3, "size": 32}


@pytest.mark.parametrize(
    ("experiment", "model"),
    [
        ("recommender", "popularity"),
        ("recommender", "matrix_factorization"),
        ("logo", "torchvision_detector"),
        ("logo", "average_box"),
        ("polarity_imdb", "text_transformer"),
    ],
)
def test_others_are_refused(experiment: str, model: str) -> None:
    config = compose([f"experiment={experiment}", f"model={model}"])
    if experiment == "polarity_imdb":
        config = compose(["experiment=sentiment", "task=masked_language"])
    run = Run(Path("runs/x"), config, build_task(config, SCHEMA), None, torch.device("cpu"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"run=runs/x cannot be .* has no exported function"):
        exported_function(run)


def test_what_the_exporter_cannot_follow_is_refused() -> None:
    config = compose(["experiment=emotion", "model=majority"])  # it asks for the batch's size
    run = Run(
        Path("x"), config, build_task(config, SCHEMA), build(config.data), torch.device("cpu")
    )
    with pytest.raises(ConfigError, match="Majority cannot be exported as ONNX: "):
        translated(exported_function(run).eval())


def test_missing_packages_and_other_names_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.onnx"):
        export_onnx(tmp_path, tmp_path / "model.pt")
    monkeypatch.setattr(onnx_export, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(ConfigError, match=r"needs no_such_package: pip install -e '\.\[export\]'"):
        export_onnx(tmp_path, tmp_path / "model.onnx")


# -- parts --------------------------------------------------------------------------------------


def test_the_unrolled_search_finds_what_torch_finds() -> None:
    for number in (1, 2, 3, 8, 100):
        keys = torch.randint(50, (number,)).sort().values
        values = torch.randint(-5, 60, (4, 30))
        assert torch.equal(searchsorted(keys, values), torch.searchsorted(keys, values))


def test_inputs_are_those_of_the_validation_split_or_made_up(exported: Any) -> None:
    run = exported("image").run
    graph = exported_function(run)
    (first, second), source = inputs(run, graph)
    images = run.data.split("validation").images
    assert torch.equal(torch.cat([first, second]), images[:7])
    assert source == "inputs of the validation split"
    lost = compose(["experiment=emotion", "data=image_files", "data.path=gone.csv"])
    run.data = build(lost.data)
    (first, second), source = inputs(run, graph)
    assert (len(first), len(second), source) == (2, 5, "made-up inputs")
