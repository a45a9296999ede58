"""A folder for the hub: it loads, it predicts the same, and it tells nothing of this machine."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from small_runs import SHORT, TEXT_MODEL, train_small

from marketorch import CheckpointError, ConfigError, compose, evaluate, load_run, train
from marketorch.config import tiny
from marketorch.runs import hub
from marketorch.sharing.hub_folder import export_hub, portable, without_paths
from marketorch.sharing.model_card import measured

TEXTS = ["The screen is not bad.", "Support was rude."]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a file of one's own, in a data_dir of one's own, measured on the test split."""
    private = tmp_path_factory.mktemp("private") / "secret"
    private.mkdir()
    rows = [f"the screen is {w} {i},{w}" for i in range(30) for w in ("good", "bad", "fine")]
    (private / "posts.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    data = ["data=text_file", f"data_dir={private}", "data.path=${data_dir}/posts.csv"]
    start, folder = train_small("text", tmp_path_factory.mktemp("secret")), private / "posts"
    recipe = tiny("sentiment", *SHORT, *TEXT_MODEL, *data)
    train(compose([*recipe, f"init_from={start}", f"run_dir={folder}"]))
    evaluate(folder, "test")
    evaluate(folder, "validation", baselines=False)
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_folder_loads_and_predicts_the_same(run_dir: Path, tmp_path: Path) -> None:
    folder = export_hub(run_dir, tmp_path / "out")
    assert load_run(folder).predict(TEXTS) == load_run(run_dir).predict(TEXTS)
    kept = ["README.md", "checkpoints/best.safetensors", "config.yaml"]
    kept += ["evaluation/test.json", "evaluation/validation.json", "report.json"]
    assert sorted(everything(folder)) == sorted(kept)  # no picture, no last.pt
    allowed = [pattern.replace("*", "test") for pattern in hub.FILES]
    assert set(allowed) <= set(kept)


def test_nothing_of_this_machine_is_told(run_dir: Path, tmp_path: Path) -> None:
    folder = export_hub(run_dir, tmp_path / "out")
    for name, content in everything(folder).items():
        for private in (b"secret", str(run_dir.parent).encode(), str(Path.home()).encode()):
            assert private not in content, name
    assert "run_dir" not in json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_what_lay_in_data_dir_is_looked_for_in_that_of_others(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export_hub(run_dir, tmp_path / "out")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    shutil.copy(run_dir.parent / "posts.csv", theirs)
    run = load_run(folder, [f"data_dir={theirs}"])
    assert len(run.data.split("test")) == len(load_run(run_dir).data.split("test")) > 0
    monkeypatch.chdir(tmp_path)
    theirs.rename("data")
    assert len(load_run(folder).data.split("test")) > 0


def test_the_card_has_what_was_measured(run_dir: Path, tmp_path: Path) -> None:
    card = (export_hub(run_dir, tmp_path / "out") / "README.md").read_text(encoding="utf-8")
    result = json.loads((run_dir / "evaluation" / "test.json").read_text(encoding="utf-8"))
    assert f"On the test split, {result['num_examples']} examples" in card
    assert "| metric | sentiment | majority | nb_logistic |" in card
    metrics, baselines = result["metrics"], result["baselines"]
    row = [metrics, baselines["majority"], baselines["nb_logistic"]]
    accuracies = " | ".join(f"{values['accuracy']:.4f}" for values in row)
    assert f"| accuracy | {accuracies} |" in card
    assert "recall/" not in card
    assert "path: ${data_dir}/posts.csv" in card
    assert "It started from `text`" in card


def test_a_folder_that_holds_something_is_left_alone(run_dir: Path, tmp_path: Path) -> None:
    for output in (run_dir, tmp_path):
        (tmp_path / "mine").touch()
        before = everything(output)
        with pytest.raises(ConfigError, match="holds something already"):
            export_hub(run_dir, output)
        assert everything(output) == before
    with pytest.raises(CheckpointError, match="there is no such folder"):
        export_hub(tmp_path / "gone", tmp_path / "out")


def test_the_commands_of_the_page_run(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call_script: Any
) -> None:
    page = (ROOT / "docs" / "sharing.md").read_text(encoding="utf-8")
    lines = page.split("```bash\n")[1].split("```")[0].splitlines()
    shutil.copytree(run_dir, tmp_path / "runs" / "first")
    pushed: list[str] = []
    monkeypatch.setattr(
        "marketorch.sharing.hub_folder.push_to_hub", lambda folder, name: pushed.append(name)
    )
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **_: tmp_path / "pushed")
    monkeypatch.setattr(
        "marketorch.sharing.onnx_export.export_onnx",
        lambda run, output: Path(output).write_text(str(run), encoding="utf-8"),
    )
    for line in lines:
        _, script, *arguments = shlex.split(line)
        result = call_script(Path(script).stem, *arguments)
        assert result.returncode == 0, result.stderr
    assert len(lines) == 4
    assert pushed == ["owner/name"]
    assert (tmp_path / "first.onnx").read_text(encoding="utf-8") == "runs/first"
    assert sorted(everything(tmp_path / "first")) == sorted(everything(tmp_path / "pushed"))
    assert 'load_run("hf://owner/name")' in (tmp_path / "pushed" / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "run=… or output=… is missing"),
        (["run=a", "output=b"], "format=: expected format=onnx, or format=hub"),
        (["run=a", "output=b", "format=pt"], "format=pt: expected"),
        (["run=a", "output=b.onnx", "format=onnx", "push=a/b"], "push=… with format=onnx: "),
        (["run=a", "output=b", "format=hub", "pusch=a/b"], "pusch=a/b: unknown option"),
        (["run=a", "output=b", "format=hub"], "run=a: there is no such folder"),
    ],
)
def test_a_mistake_is_explained(
    tmp_path: Path, call_script: Any, arguments: list[str], message: str
) -> None:
    result = call_script("export", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {message}")
    assert list(tmp_path.iterdir()) == []


# -- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/d/posts.csv", "${data_dir}/posts.csv"),
        ("/home/anna/posts.csv", "posts.csv"),
        ("~/posts.csv", "posts.csv"),
        ("../anna/posts.csv", "posts.csv"),
        ("data.path=/home/anna/posts.csv", "data.path=posts.csv"),
        ("posts.csv", "posts.csv"),
        ("anna/posts:test", "anna/posts:test"),
        ("marketorch.data.texts.source.TextData", "marketorch.data.texts.source.TextData"),
        (["/d/a", 3, {"b": "/e/b"}, None], ["${data_dir}/a", 3, {"b": "b"}, None]),
    ],
)
def test_paths_become_names(value: Any, expected: Any) -> None:
    assert without_paths(value, "/d") == expected


@pytest.mark.parametrize("data_dir", [".", ""])
def test_a_data_dir_that_is_everywhere_changes_no_word(data_dir: str) -> None:
    assert without_paths("softmax", data_dir) == "softmax"


def test_a_model_goes_without_what_it_started_from_but_not_without_its_code(tmp_path: Path) -> None:
    config = {"data_dir": "data", "run_dir": str(tmp_path)}
    model = {
        "_target_": "marketorch.models.images.torchvision_classifier.TorchvisionClassifier",
        "weights": "/w/start.pth",
    }
    assert portable(config | {"model": model})["model"]["weights"] is None
    named = model | {"weights": "DEFAULT"}
    assert portable(config | {"model": named})["model"] == named
    text = {
        "_target_": "marketorch.models.texts.pretrained_text.PretrainedText",
        "name": str(tmp_path),
    }
    with pytest.raises(ConfigError, match="is of this machine, and without it"):
        portable(config | {"model": text})


def test_validation_speaks_where_test_was_not_read() -> None:
    report = {"metrics": {"val/accuracy": 0.5}}
    test, validation = {"split": "test"}, {"split": "validation"}
    assert measured(report, {"validation": validation, "test": test}) is test
    assert measured(report, {"validation": validation, "train": {}}) is validation
    assert measured(report, {})["metrics"] == {"accuracy": 0.5}


@pytest.mark.parametrize("name", ["report.json", "evaluation/test.json"])
@pytest.mark.parametrize("content", [b"{", b"\xff", b"[1]", b"{}", b'{"metrics": {"a": "x"}}'])
def test_a_damaged_report_is_refused(
    run_dir: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"(json (is no JSON|holds)|not as it was written)"):
        export_hub(tmp_path / "run", tmp_path / "out")
