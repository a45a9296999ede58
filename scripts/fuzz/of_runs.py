"""Runs that others have trained, or that were cut short; configs, overrides, and what predicts.

A run comes from anybody: its config, its weights, its report. It must load, or say what is wrong.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import yaml
from damage import damaged, damaged_json, damaged_lines, damaged_value, pick, token
from numpy.random import Generator
from of_customers import SUFFIXES as CUSTOMER_FILES
from of_customers import _like_customers
from of_images import spoilt
from of_tables import written
from of_texts import _log, _texts
from safetensors.torch import save
from stock import RUNS, Stock
from watched import Asked, Reader

from marketorch import compose, load_run, train
from marketorch import config as configs
from marketorch.models.images.torchvision_weights import read as read_weights
from marketorch.runs.prediction import predict_file
from marketorch.sharing.hub_folder import export_hub

FILES = [
    "config.yaml",
    "config.yaml",
    "checkpoints/best.safetensors",
    "checkpoints/best.safetensors",
]
SHARED = ["config.yaml", "report.json", "report.json", "evaluation/test.json"]
RESUMED = ["checkpoints/last.pt", "checkpoints/last.pt", "metrics.jsonl"]
RESULT = {
    "split": "test",
    "num_examples": 40,
    "metrics": {"accuracy": 0.5, "auroc": 0.6},
    "baselines": {"majority": {"accuracy": 0.4}},
}
SCRIPTS = Path(__file__).parents[1]
KEYS = tuple(
    f"{group}{mark}" for group in ("task", "model", "data", "optim", "trainer") for mark in ".:["
)


def readers(stock: Stock) -> list[Reader]:
    """The readers of runs and of words on a command line."""
    ways: dict[str, tuple[Callable[[Generator, Path, Stock], Asked], float]]
    ways = {
        "runs": (_run, 1.5),
        "resumed": (_resumed, 0.25),
        "hub_folders": (_hub, 1.0),
        "results": (_results, 0.3),
        "weights": (_weights, 0.7),
        "overrides": (_overrides, 0.25),
        "run_overrides": (_run_overrides, 1.0),
        "predictions": (_prediction, 1.0),
    }

    def of(draw: Callable[[Generator, Path, Stock], Asked]) -> Callable[[Generator, Path], Asked]:
        return lambda rng, folder: draw(rng, folder, stock)

    return [Reader(name, of(draw), share) for name, (draw, share) in ways.items()]


# -- runs -------------------------------------------------------------------------------------


def _copied(stock: Stock, name: str, folder: Path) -> Path:
    """A copy of a run whose files may be changed."""
    home = folder / "run"
    shutil.copytree(stock.run(name), home)
    return home


def _spoil(rng: Generator, home: Path, name: str) -> None:
    """Damages a file of a run, or takes it away."""
    path = home / name
    content = path.read_bytes()
    if rng.random() < 0.03:
        path.unlink()
    elif name.endswith(".yaml"):
        path.write_bytes(_worse_yaml(rng, content))
    elif name.endswith(".json"):
        path.write_bytes(damaged_json(rng, json.loads(content)))
    elif name.endswith(".jsonl"):
        path.write_bytes(damaged_lines(rng, content))
    elif name.endswith(".safetensors"):
        path.write_bytes(_worse_tensors(rng, content))
    else:
        path.write_bytes(_worse_state(rng, content))


def _worse_yaml(rng: Generator, content: bytes) -> bytes:
    """A config with hostile values, or damaged as text."""
    way = rng.random()
    if way < 0.6:
        value = damaged_value(rng, yaml.safe_load(content))
        return yaml.safe_dump(_speakable(value), allow_unicode=True).encode("utf-8", "replace")
    if way < 0.8:
        return damaged_lines(rng, content, b":")
    return damaged(rng, content)


def _speakable(value: Any) -> Any:
    """A nested value whose texts YAML can write."""
    return json.loads(json.dumps(value).replace("\\ud800", "?"))


def _worse_tensors(rng: Generator, content: bytes) -> bytes:
    """A safetensors file with another header, or damaged bytes."""
    if rng.random() < 0.4:
        return damaged(rng, content)
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    if rng.random() < 0.6:
        told = header.get("__metadata__", {})
        header["__metadata__"] = {
            k: damaged_json(rng, json.loads(v)).decode(errors="replace") for k, v in told.items()
        }
        if rng.random() < 0.2:
            header.pop("__metadata__")
    else:
        header = damaged_value(rng, header)
    data = json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data + content[8 + length :]


def _worse_state(rng: Generator, content: bytes) -> bytes:
    """A resume checkpoint with an entry that is missing or hostile, or damaged bytes."""
    if rng.random() < 0.5:
        return damaged(rng, content)
    state = torch.load(io.BytesIO(content), weights_only=True)
    node: Any = state
    while isinstance(node, dict) and node and rng.random() < 0.5:
        inner = [own for own in node.values() if isinstance(own, (dict, list)) and own]
        node = pick(rng, inner) if inner else node
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    key = pick(rng, keys)
    if rng.random() < 0.4:
        del node[key]
    else:
        node[key] = pick(rng, [None, 3, "x", {}, torch.zeros(2), torch.zeros(0), [1]])
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def _run(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """A damaged run to load."""
    home = _copied(stock, str(pick(rng, list(RUNS))), folder)
    _spoil(rng, home, str(pick(rng, FILES)))
    return Asked(lambda: load_run(home), KEYS)


def _resumed(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """A damaged run to continue."""
    home = _copied(stock, "sentiment", folder)
    (home / "DONE").unlink(missing_ok=True)
    _spoil(rng, home, str(pick(rng, RESUMED)))

    def resume() -> None:
        config = configs.load(home / "config.yaml", [f"run_dir={home}", "trainer.max_steps=3"])
        train(config, resume=True)

    return Asked(resume, KEYS)


def _hub(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """A damaged run to share, or a shared one to load."""
    home = _copied(stock, str(pick(rng, list(RUNS))), folder)
    (home / "evaluation" / "test.json").write_text(json.dumps(RESULT), encoding="utf-8")
    _spoil(rng, home, str(pick(rng, SHARED)))
    return Asked(lambda: load_run(export_hub(home, folder / "shared")), KEYS)


def _results(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """Runs to sum up."""
    home = _copied(stock, "sentiment", folder)
    (home / "evaluation" / "test.json").write_text(json.dumps(RESULT), encoding="utf-8")
    _spoil(rng, home, str(pick(rng, ["report.json", "evaluation/test.json"])))
    script = _results_script()
    return Asked(lambda: script.main([str(home), str(home)]))


@cache
def _results_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", SCRIPTS / "results.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _weights(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """A file of weights to start a network from."""
    tensors = {"a": torch.zeros(3), "b": torch.ones(2, 2)}
    path = folder / str(pick(rng, ["w.pt", "w.pth", "w.safetensors"]))
    if path.suffix == ".safetensors":
        path.write_bytes(damaged(rng, save(tensors)))
    else:
        stream = io.BytesIO()
        state = pick(rng, [tensors, {"state_dict": tensors}, [1], 3, {"model": None}, {"a": "x"}])
        torch.save(state, stream)
        path.write_bytes(
            damaged(rng, stream.getvalue()) if rng.random() < 0.6 else stream.getvalue()
        )
    return Asked(lambda: read_weights(str(path)))


# -- words on a command line ------------------------------------------------------------------


def _key(rng: Generator) -> str:
    """A key that there is, or nearly."""
    keys = ["experiment", "model", "data", "task", "optim", "trainer", "seed", "run_dir", "name"]
    keys += [
        "trainer.epochs",
        "data.path",
        "model.dim",
        "model.head.width",
        "optim.lr",
        "baselines",
    ]
    keys += ["data.class_names", "hydra.run.dir", "model._target_", "~model", "+x", "++x.y", "a b"]
    return str(pick(rng, keys)) if rng.random() < 0.9 else token(rng)


def _override(rng: Generator) -> str:
    """A key and a value, or nearly."""
    values = [
        *("0", "1", "sentiment", "recommender", "logistic", "null", "true", "[1,2]", "{a: 1}"),
        *(
            "[",
            "{",
            "'",
            '"',
            "${seed}",
            "${x.y}",
            "${oc.env:NOPE}",
            "???",
            "a: b",
            "",
            "\\",
            "1e5",
        ),
        *(
            "marketorch.data.texts.source.TextData",
            "os.system",
            "marketorch.errors.guard",
            "marketorch.x",
        ),
    ]
    value = str(pick(rng, values)) if rng.random() < 0.7 else token(rng)[:5000]
    word = f"{_key(rng)}={value}"
    return word if rng.random() < 0.95 else pick(rng, [word.replace("=", ""), f"={value}", "=", ""])


def _words(rng: Generator) -> list[str]:
    return [_override(rng) for _ in range(int(rng.integers(1, 4)))]


def _overrides(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """Overrides of train.py."""
    words = _words(rng)
    return Asked(lambda: configs.check(compose(words)), _named(words))


def _run_overrides(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """Overrides of a run's own config."""
    words = _words(rng)
    path = stock.run(str(pick(rng, list(RUNS)))) / "config.yaml"
    return Asked(lambda: configs.check(configs.load(path, words)), _named(words))


def _named(words: list[str]) -> tuple[str, ...]:
    """What a refusal of overrides may name: a key, or a value."""
    parts = [part for word in words for part in word.lstrip("+~").split("=")]
    told = ("config key", "config group", "has no key")
    return (*(part.strip()[:60] for part in parts if part.strip()), *KEYS, *told)


# -- predictions ------------------------------------------------------------------------------


def _prediction(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """What predict.py does with a damaged input of a run."""
    name = str(pick(rng, list(RUNS)))
    source = _input(rng, folder, stock, name)
    output = f"out/rows{pick(rng, ['.jsonl', '.csv', '.parquet', '.xls'])}"
    options: dict[str, Any] = {"output": str(folder / output)} if rng.random() < 0.5 else {}
    if rng.random() < 0.3:
        options |= {"rank": str(pick(rng, ["positive", "yes", "happy", "age", token(rng)]))}
    if rng.random() < 0.3:
        options |= {"top": int(rng.integers(1, 9)), "explain": 1}
    if rng.random() < 0.1:
        options |= {str(pick(rng, ["contains", "exclude", "draw", "counts"])): token(rng)[:2000]}
    os.chdir(folder)  # some options are names of files
    run = stock.loaded(name)
    keys = ("rank=", "contains=", "exclude=", "draw=", "counts=", "output=", "input=", "row ")
    return Asked(
        lambda: predict_file(run, source, **options), (*keys, str(Path(source))[:40], "catalogue")
    )


def _input(rng: Generator, folder: Path, stock: Stock, name: str) -> str:
    """A file, or words, that a run may be asked about."""
    if rng.random() < 0.1:
        return token(rng)
    if name == "propensity":
        return str(written(rng, folder, _like_customers(rng), CUSTOMER_FILES)[0])
    if name == "sentiment":
        return str(_texts(rng, folder, stock)[0])
    if name == "recommender":
        words = ["1 2 3", "item:1", "user:1", f"user:{token(rng)}", f"item:{token(rng)}"]
        return str(_log(rng, folder, stock)[0]) if rng.random() < 0.5 else str(pick(rng, words))
    for place in range(int(rng.integers(1, 4))):
        (folder / f"{place}.png").write_bytes(spoilt(rng, stock))
    return str(pick(rng, [folder, folder / "0.png"]))
