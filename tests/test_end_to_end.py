"""The contract: train, kill, resume, evaluate, predict, each as a user would type it."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, call
from PIL import Image
from safetensors.torch import load_file

from marketorch.config import tiny
from marketorch.data.scenes.source import SceneData
from marketorch.data.synthetic.face_data import SyntheticFaces
from marketorch.data.synthetic.faces import CLASSES

SIZES = ["data.num_validation=60", "data.num_test=60", "trainer.max_steps=50"]
SIZES += ["trainer.eval_every=25", "trainer.log_every=5"]
SCENES = {"num_train": 16, "num_validation": 20, "num_test": 20, "size": 64}
RECIPES = {
    "sentiment": tiny("sentiment", *SIZES),
    "emotion": tiny("emotion", *SIZES),
    "logo": tiny(
        *("logo", *SIZES, *(f"data.{key}={value}" for key, value in SCENES.items())),
        "trainer.batch_size=2",
    ),
    "propensity": tiny("propensity", *SIZES),
}
MEASURED = {
    "sentiment": {"val/accuracy", "val/f1_macro", "val/auroc", "val/ece"},
    "emotion": {"val/accuracy", "val/f1_macro", "val/auroc", "val/ece"},
    "logo": {"val/map", "val/map_50", "val/f1_presence", "val/share_of_voice_error"},
    "propensity": {"val/auroc", "val/auprc", "val/ece", "val/lift@10%", "val/profit"},
}
BASELINES = {
    "sentiment": {"majority", "nb_logistic"},
    "emotion": {"majority", "linear_pixels", "linear_hog"},
    "logo": {"average_box", "keypoint_matcher"},
    "propensity": {"prior", "logistic", "boosted_trees"},
}
REACHABLE = {"sentiment": 0.96, "emotion": 0.96}  # accuracy, where it is known
PICTURES = {
    "sentiment": {"confusion.png", "reliability.png"},
    "emotion": {"confusion.png", "reliability.png", "mistakes.png", "saliency.png"},
    "logo": {"precision_recall.png", "share_of_voice.png", "missed.png"},
    "propensity": {"confusion.png", "reliability.png", "gains.png", "profit.png"},
}
text = pytest.mark.parametrize("trained", ["sentiment"], indirect=True)
images = pytest.mark.parametrize("trained", ["emotion"], indirect=True)
scenes = pytest.mark.parametrize("trained", ["logo"], indirect=True)


@pytest.fixture(scope="module", params=list(RECIPES))
def trained(request, tmp_path_factory):
    """A finished run, in a folder named like its experiment, and what train.py said."""
    folder = tmp_path_factory.mktemp(request.param)
    done = call("train", *RECIPES[request.param], f"run_dir={request.param}", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / request.param, done


def test_train_leaves_the_run_directory_of_the_contract(trained):
    run, done = trained
    assert {p.name for p in run.iterdir()} == {
        "config.yaml",
        "metrics.jsonl",
        "report.json",
        "checkpoints",
        "DONE",
    }
    assert {p.name for p in (run / "checkpoints").iterdir()} == {
        "last.pt",
        "previous.pt",
        "best.safetensors",
    }
    report = json.loads((run / "report.json").read_text())
    expected = {"metrics", "step", "seconds", "examples_per_second", "parameters", "seed", "git"}
    expected |= {"peak_memory_bytes", "versions", "data_fingerprint", "device"}
    assert expected <= set(report)
    assert MEASURED[run.name] <= set(report["metrics"])
    assert ("best reachable accuracy" in done.stdout) == (run.name in REACHABLE)
    assert "\x1b" not in done.stdout  # quiet and plain when piped
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 50
    assert any("train/loss" in line for line in lines)


def test_evaluate_reproduces_what_training_logged(trained, call_script):
    run, _ = trained
    done = call_script("evaluate", f"run={run}", "split=validation", "baselines=false")
    assert done.returncode == 0, done.stderr
    measured = json.loads((run / "evaluation" / "validation.json").read_text())
    logged = json.loads((run / "report.json").read_text())["metrics"]
    assert measured["num_examples"] == (20 if run.name == "logo" else 60)
    for name, value in measured["metrics"].items():
        assert value == pytest.approx(logged[f"val/{name}"], abs=1e-6)


def test_evaluate_stands_beside_the_baselines_and_draws(trained, call_script):
    run, _ = trained
    done = call_script("evaluate", f"run={run}")
    assert done.returncode == 0, done.stderr
    result = json.loads((run / "evaluation" / "test.json").read_text())
    assert set(result) == {"split", "num_examples", "metrics", "baselines"}
    best = result["baselines"].pop("best reachable", {})
    assert set(result["baselines"]) == BASELINES[run.name]
    assert best.get("accuracy") == REACHABLE.get(run.name)
    pictures = {path.name: path for path in (run / "evaluation").glob("*.png")}
    others = {"found.png", "false.png"} if run.name == "logo" else set()  # if anything is found
    assert PICTURES[run.name] <= set(pictures) <= PICTURES[run.name] | others
    assert all(path.stat().st_size > 5_000 for path in pictures.values())


@text
def test_other_baselines_can_be_asked_for(trained, call_script):
    run, _ = trained
    done = call_script("evaluate", f"run={run}", "split=validation", "baselines=[majority]")
    assert done.returncode == 0, done.stderr
    result = json.loads((run / "evaluation" / "validation.json").read_text())
    assert set(result["baselines"]) - {"best reachable"} == {"majority"}


@images
def test_predict_gives_the_answers_that_evaluate_counted(trained, call_script, tmp_path):
    """From a table of pixels, which holds faces as they are."""
    run, _ = trained
    test = SyntheticFaces(num_train=320, num_validation=60, num_test=60).split("test")
    cells = [" ".join(map(str, image.flatten().tolist())) for image in test.images]
    pd.DataFrame({"image": cells}).to_csv(tmp_path / "in.csv", index=False)
    for script in (
        ["evaluate", "baselines=false"],
        ["predict", "input=in.csv", "output=out.jsonl"],
    ):
        done = call_script(*script, f"run={run}")
        assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["image"] for row in rows] == list(range(1, 61))
    names = [CLASSES[label] for label in test.labels]
    measured = json.loads((run / "evaluation" / "test.json").read_text())["metrics"]
    right = [row["label"] == name for row, name in zip(rows, names, strict=True)]
    assert sum(right) / 60 == pytest.approx(measured["accuracy"])
    losses = [-math.log(row[f"p_{name}"]) for row, name in zip(rows, names, strict=True)]
    assert sum(losses) / 60 == pytest.approx(measured["log_loss"], abs=1e-4)


@scenes
def test_predict_finds_in_pictures_what_evaluate_counted(trained, call_script, tmp_path):
    """From a folder of the test scenes: the same classes are told to be in the same photos."""
    run, _ = trained
    test, classes = (data := SceneData(**SCENES)).split("test"), data.schema["classes"]
    (tmp_path / "photos").mkdir()
    for place, image in enumerate(test.images):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        picture.save(tmp_path / "photos" / f"{place:02d}.png")
    for script in (
        ["evaluate", "baselines=false"],
        ["predict", "input=photos", "output=out.jsonl"],
    ):
        done = call_script(*script, f"run={run}")
        assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {Path(row["image"]).name for row in rows} == {f"{i:02d}.png" for i in range(20)}
    told = {(int(Path(row["image"]).stem), row["label"]) for row in rows if "score" in row}
    there = {(i, classes[n]) for i, own in enumerate(test.labels) for n in own.tolist()}
    measured = json.loads((run / "evaluation" / "test.json").read_text())["metrics"]
    f1 = 2 * len(told & there) / (len(told) + len(there))
    assert f1 == pytest.approx(measured["f1_presence"], abs=1e-6)
    assert told


@text
def test_predict_writes_every_format_and_ranks(trained, call_script, tmp_path):
    run, _ = trained
    texts = ["The screen is not bad.", "Delivery was late, sadly.", "I find the price awful."]
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "in.csv", index=False)
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        done = call_script("predict", f"run={run}", "input=in.csv", f"output={name}", "explain=3")
        assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == texts
    assert all(abs(row["p_negative"] + row["p_positive"] - 1) < 1e-4 for row in rows)
    words = {w["word"] for w in rows[2]["words"]}
    assert len(words) == 3
    assert words <= {"I", "find", "the", "price", "awful", "."}
    assert len(pd.read_csv(tmp_path / "out.csv")) == len(pd.read_parquet(tmp_path / "out.parquet"))

    arguments = (f"run={run}", "input=in.csv", "output=triage.csv", "rank=negative", "top=2")
    done = call_script("predict", *arguments)
    assert done.returncode == 0, done.stderr
    triage = pd.read_csv(tmp_path / "triage.csv")
    assert triage["rank"].tolist() == [1, 2]
    assert triage["p_negative"].is_monotonic_decreasing

    done = call_script("predict", f"run={run}", "input=in.csv", "rank=negativ")
    assert done.returncode == 1
    assert "Did you mean 'negative'?" in done.stderr


@text
def test_kill_nine_and_resume_end_in_the_same_weights(trained, tmp_path, call_script):
    run, _ = trained
    recipe = RECIPES[run.name]
    script = [sys.executable, str(ROOT / "scripts" / "train.py"), *recipe, "run_dir=killed"]
    process = subprocess.Popen(
        [*script, "trainer.save_every=3"], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    stop_at = random.randint(8, 40)
    metrics = tmp_path / "killed" / "metrics.jsonl"
    while process.poll() is None:
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        if any(f'"step": {step},' in line for line in lines[-2:] for step in range(stop_at, 50)):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    process.wait()
    assert not (tmp_path / "killed" / "DONE").exists()
    done = call_script("train", "resume=killed")
    assert done.returncode == 0, done.stderr
    weights = load_file(run / "checkpoints" / "best.safetensors")
    resumed = load_file(tmp_path / "killed" / "checkpoints" / "best.safetensors")
    assert weights.keys() == resumed.keys()
    for name, value in weights.items():
        assert value.equal(resumed[name]), name
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == sorted(steps)


@text
def test_a_run_is_never_overwritten(trained, call_script):
    run, _ = trained
    done = call_script("train", *RECIPES["sentiment"], f"run_dir={run}")
    assert done.returncode == 1
    assert f"resume={run}" in done.stderr


def test_help_lists_groups_and_experiments(run_script):
    done = run_script("train", "--help")
    assert done.returncode == 0
    for word in ("experiment", "sentiment_imdb", "text_transformer", "resume=", "trainer"):
        assert word in done.stdout


def test_pretraining_is_a_stage_of_its_own(call_script, tmp_path):
    """``pretrain`` trains that experiment first; its vocabulary and weights carry over."""
    done = call_script(
        *("train", *tiny("sentiment"), "trainer.max_steps=2", "run_dir=two"),
        *("pretrain=sentiment", "pretrain_overrides=['tiny=sentiment','trainer.max_steps=3']"),
    )
    assert done.returncode == 0, done.stderr
    stage = tmp_path / "two" / "pretrain"
    assert (stage / "DONE").exists()
    first = load_file(stage / "checkpoints" / "best.safetensors")
    second = load_file(tmp_path / "two" / "checkpoints" / "best.safetensors")
    key = "model.tokenizer._extra_state"
    assert first[key].equal(second[key])
