"""Checkpoints and configs from anybody: nothing in them is executed, and each is refused.

A plain pickle has a test in engine/test_checkpoint.py, drawings have data/test_hostile_marks.py.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from toy import Points, PointTask, fit

from marketorch import CheckpointError, ConfigError, compose, evaluate, load_run, train
from marketorch import config as configs
from marketorch.config import build, check, load
from marketorch.engine.checkpoint import BEST, LAST, PREVIOUS
from marketorch.errors import UserError
from marketorch.runs import hub

TINY = ["experiment=sentiment", "data.num_train=96", "data.num_validation=48", "data.num_test=48"]
TINY += ["model.dim=16", "model.vocab_size=200", "trainer.batch_size=16", "trainer.max_steps=2"]
TINY += ["trainer.precision=fp32", "trainer.device=cpu"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    run_dir: Path = tmp_path_factory.mktemp("hostile") / "sound"
    train(compose([*TINY, f"run_dir={run_dir}"]))
    return run_dir


@pytest.fixture
def run(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be made hostile."""
    return shutil.copytree(sound, tmp_path / "run")


# -- configs ----------------------------------------------------------------------------------

SYSTEM = {"_target_": "os.system", "command": "touch exploded"}
TARGETS = [
    *("os.system", "builtins.eval", "builtins.exec", "subprocess.run", "posix.system", ".", ""),
    *(
        "marketorch",
        "marketorch.",
        "marketorch.config.composition",
        "marketorchestra.run",
        3,
        None,
        ["a"],
    ),
    "marketorch.runs.provenance.subprocess.run",  # by way of what one of our modules imports
    *("marketorch.runs.provenance.subprocess", "marketorch.engine.checkpoint.torch"),
    *("marketorch.data.scenes.marks.subprocess", "marketorch.data.scenes.marks.Image"),
    "marketorch.runs.hub.push_to_hub",  # ours, and would send a folder away
    "marketorch.engine.tracking.write_json",  # ours, and would write a file anywhere
    "marketorch.engine.tracking.Tracker",
    *("marketorch.engine.files.write_atomically", "marketorch.engine.files.remove_left_over"),
    *(
        "marketorch.runs.training.train",
        "marketorch.config.targets.build",
        "marketorch.config.targets.locate",
    ),
    *("marketorch.data.scenes.marks.read_marks", "marketorch.errors.fail"),
    "marketorch.optim.optimizers.set_lr.__globals__",
]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_target_that_is_not_for_a_config_is_refused(target: Any) -> None:
    node = {"_target_": target}
    for config in ({"model": node}, {"model": {"_partial_": True} | node}, {"model": [node]}):
        with pytest.raises(ConfigError, match="model"):
            check(OmegaConf.create(config))
    for own in (node, {"_partial_": True} | node):
        with pytest.raises(ConfigError):
            build(own)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", SYSTEM),
        ("model", SYSTEM | {"_partial_": True}),
        ("model.ngrams", SYSTEM),
        ("model.ngrams", {"max_order": SYSTEM}),
        ("model.ngrams", [SYSTEM]),
        ("model.ngrams", {"a": [{"b": SYSTEM}]}),
        ("trainer.backends", [SYSTEM]),
        ("trainer.on_event", SYSTEM),
        ("data.num_train", SYSTEM | {"_target_": "builtins.eval"}),
        ("optim", {"_target_": "hydra.utils.call", "config": SYSTEM}),
        ("seed", SYSTEM),
    ],
    ids=str,
)
def test_a_target_anywhere_in_a_config_is_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: Any
) -> None:
    monkeypatch.chdir(run)
    config = configs.load(run / "config.yaml")
    OmegaConf.update(config, key, value, merge=False, force_add=True)
    configs.save(config, run / "config.yaml")
    for attempt in (lambda: load_run(run), lambda: evaluate(run)):
        with pytest.raises(ConfigError, match=r"outside marketorch|expected a mapping"):
            attempt()
    with pytest.raises(ConfigError, match=r"outside marketorch|expected a mapping"):
        train(load(run / "config.yaml"), resume=True)
    assert not (run / "exploded").exists()


TEXTS = {
    "environment": ("name: ${oc.env:HOME}", "line 1: .*asks for another value"),
    "decoded": ("name: ${oc.decode:'[1, 2]'}", "asks for another value"),
    "resolver": ("name: ${hydra:runtime.cwd}", "asks for another value"),
    "within": ("data: {path: 'hf://a/${oc.env:TOKEN}'}", "asks for another value"),
    "in a list": ("baselines: [a, '${name}']", "asks for another value"),
    "as a key": ("'${oc.env:HOME}': 1", "asks for another value"),
    "tag": ("name: !!python/object/apply:os.system ['touch exploded']", r"line 1: .*the tag"),
    "name": ("name: !!python/name:os.system ''", "the tag"),
    "module": ("name: !!python/module:os ''", "the tag"),
    "new": ("name: !!python/object/new:os.system ['touch exploded']", "the tag"),
    "of a list": ("name: !!python/tuple [1]", "the tag"),
    "of a map": ("name: !mine {a: 1}", "the tag"),
    "alias": ("a: &a [1]\nb: *a", r"line 2: \*a stands for another part"),
    "laughs": (
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(
            f"{n}: &{n} [{','.join([f'*{m}'] * 9)}]\n"
            for m, n in zip("abcdefg", "bcdefgh", strict=True)
        ),
        "line 2: .*stands for another part",
    ),
    "itself": ("a: &a [*a]", "stands for another part"),
    "merged": ("a: &a {b: 1}\nc:\n  <<: *a", "stands for another part"),
    "deep": ("a: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    "deep map": ("{a: " * 5000 + "1" + "}" * 5000, "nested too deeply"),
    "open": ("a: [1, 2", "no YAML"),
    "list": ("[1, 2]", "has no task|no YAML of a run"),
    "word": ("hello", "has no task|no YAML of a run"),
    "number": ("3", "no YAML of a run"),
    "nothing": ("", "has no task|no YAML of a run"),
    "no groups": ("task: {a: 1}\nmodel: 3", "has no task|no YAML of a run"),
    "zeros": ("a: \0", "no YAML"),
    "two": ("a: 1\n---\nb: 2", "has no task|no YAML"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_config_that_is_more_than_values_is_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    text, message = TEXTS[kind]
    monkeypatch.chdir(run)
    (run / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"(?s)config\.yaml.*{message}"):
        load_run(run)
    assert not (run / "exploded").exists()


def test_a_config_of_bytes_that_are_no_text_is_refused(run: Path) -> None:
    (run / "config.yaml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(ConfigError, match="no YAML"):
        load_run(run)


def test_a_config_with_a_path_from_a_notebook_is_read(tmp_path: Path) -> None:
    config = compose(TINY)
    config.data_dir = tmp_path
    configs.save(config, tmp_path / "config.yaml")
    assert str(load(tmp_path / "config.yaml").data_dir) == str(tmp_path)


def test_a_folder_from_the_hub_is_read_as_warily(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: str(run))
    secret = (run / "config.yaml").read_text().replace("name: sentiment", "name: ${oc.env:HOME}")
    for text, message in (
        (secret, "asks for another value"),
        ("a: !!python/object/apply:os.system ['touch exploded']", "the tag"),
    ):
        (run / "config.yaml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_run("hf://anna/mood")
    assert not (run / "exploded").exists()


@pytest.mark.parametrize(
    "override",
    [
        "hydra.run.dir=exploded",
        "+hydra.callbacks.a={_target_: os.system}",
        "model={_target_: os.system}",
        "+model.ngrams={_target_: os.system, command: touch exploded}",
        "+trainer.backends=[{_target_: os.system}]",
        "model=../../../etc/passwd",
        "experiment=../experiment/nothing",
    ],
)
def test_an_override_executes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        config = compose([override])
        check(config)
    except ConfigError:
        pass
    else:  # settings of hydra, which composes here and starts nothing
        assert override.lstrip("+").startswith("hydra.")
        assert "hydra" not in config
    assert list(tmp_path.iterdir()) == []


# -- checkpoints ------------------------------------------------------------------------------


class Call:
    """Pickles to a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def nested(state: dict[str, Any], bomb: Any) -> list[dict[str, Any]]:
    """The state of a run with a bomb at each of its depths."""
    return [
        state | {"task": bomb},
        state | {"task": state["task"] | {"bomb": bomb}},
        state | {"optimizers": [bomb]},
        state | {"config": {"model": [bomb]}},
        state | {bomb: 1},
    ]


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("function", [os.system, eval, exec, os.mkdir, __import__])
def test_no_part_of_a_checkpoint_is_unpickled(run: Path, place: int, function: Any) -> None:
    argument = {os.system: "touch exploded", os.mkdir: "exploded", __import__: "antigravity"}
    bomb = Call(function, argument.get(function, "__import__('os').mkdir('exploded')"))
    path = run / "checkpoints" / LAST
    state = torch.load(path, weights_only=True)
    torch.save(nested(state, bomb)[place], path)
    (run / "checkpoints" / PREVIOUS).unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match=r"last\.pt is damaged"):
        train(load(run / "config.yaml"), resume=True)
    assert not Path("exploded").exists()


def changed(state: dict[str, Any], kind: str) -> dict[str, Any]:
    """The state of a run in which one thing is of another kind or shape."""
    kept = next(iter(state["optimizers"][0]["state"].values()))
    name = next(name for name, value in kept.items() if value.dim())
    if kind == "shape":
        kept[name] = torch.ones(2, 3)
    if kind == "groups":
        state["optimizers"][0]["param_groups"].pop()
    if kind == "parameters":
        state["optimizers"][0]["param_groups"][0]["params"].append(99)
    if kind == "weights":
        weights = next(n for n, v in state["task"].items() if getattr(v, "ndim", 0) == 2)
        state["task"][weights] = torch.ones(1, 1)
    others: dict[str, dict[str, Any]] = {
        "keys": {"task": {}},
        "task": {"task": 3},
        "position": {"position": {"step": 1, "elsewhere": 2}},
        "words": {"position": "here"},
        "best": {"best": None},
        "config": {"config": "none"},
        "optimizers": {"optimizers": {"a": 1}},
    }
    return state | others.get(kind, {})


KINDS = ["shape", "groups", "parameters", "weights", "keys", "task", "position", "words", "best"]
KINDS += ["config", "optimizers"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_of_other_shapes_is_refused(run: Path, kind: str) -> None:
    path = run / "checkpoints" / LAST
    torch.save(changed(torch.load(path, weights_only=True), kind), path)
    with pytest.raises(UserError, match=r"does not fit|another kind of optimizer"):
        train(load(run / "config.yaml"), resume=True)


def header(length: int, text: bytes = b"{}") -> bytes:
    """The beginning of a safetensors file that says that its header has ``length`` bytes."""
    return struct.pack("<Q", length) + text


WEIGHTS = {
    "absurd": header(2**63),
    "negative": b"\xff" * 8 + b"{}",
    "long": header(10**9),
    "short": header(1),
    "none": header(0, b""),
    "words": header(5, b"hello"),
    "deep": header(200_000, b"[" * 100_000 + b"]" * 100_000),
    "outside": header(
        len(
            b := json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
        ),
        b,
    ),
    "huge": header(
        len(
            b := json.dumps(
                {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}
            ).encode()
        ),
        b + b"\0\0\0\0",
    ),
    "pickle": b"\x80\x04cos\nsystem\n(S'touch exploded'\ntR.",
    "page": b"<html>not found</html>",
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_with_an_absurd_header_are_refused(run: Path, kind: str) -> None:
    (run / "checkpoints" / BEST).write_bytes(WEIGHTS[kind])
    with pytest.raises(CheckpointError, match=r"best\.safetensors is damaged"):
        load_run(run)


METADATA = {
    "no schema": {},
    "no JSON": {"schema": "{"},
    "deep": {"schema": "[" * 100_000},
    "a word": {"schema": '"here"'},
    "a number": {"schema": "3"},
    "null": {"schema": "null"},
    "no classes": {"schema": "{}"},
    "other classes": {
        "schema": json.dumps({"classes": ["a", "b", "c"], "class_counts": [1, 1, 1]})
    },
    "odd classes": {"schema": json.dumps({"classes": 3, "class_counts": "x"})},
}


@pytest.mark.parametrize("kind", METADATA)
def test_weights_with_another_schema_are_refused(run: Path, kind: str) -> None:
    path = run / "checkpoints" / BEST
    save_file(load_file(path), path, METADATA[kind])
    with pytest.raises(CheckpointError, match=r"best\.safetensors (does not fit|is damaged)"):
        load_run(run)


def test_a_hostile_vocabulary_is_refused(run: Path) -> None:
    """A vocabulary is bytes in the state; they are JSON, and nothing else is made of them."""
    path = run / "checkpoints" / BEST
    tensors = load_file(path)
    (name,) = [name for name in tensors if name.endswith("_extra_state")]
    schema = {"schema": json.dumps(load_run(run).task.schema)}
    for content in (b"\x80\x04cos\nsystem\n(S'true'\ntR.", b"{", b"3", b"[" * 100_000):
        tensors[name] = torch.tensor(list(content), dtype=torch.uint8)
        save_file(tensors, path, schema)
        with pytest.raises(CheckpointError, match="does not fit"):
            load_run(run)


def test_a_toy_with_other_optimizer_states_is_refused(tmp_path: Path) -> None:
    trainer = fit(tmp_path, max_minutes=0, train=Points(60))
    state = torch.load(trainer.checkpoints / LAST, weights_only=True)
    state["optimizers"][0]["state"][0]["exp_avg"] = torch.zeros(7)
    torch.save(state, trainer.checkpoints / LAST)
    with pytest.raises(CheckpointError, match=r"exp_avg has the shape \(7,\), its parameter"):
        fit(tmp_path, resume=True, task=lambda: PointTask())
