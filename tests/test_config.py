"""Every config composes and fits the code; every misspelling is found before anything is loaded."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from marketorch import config as configs
from marketorch.config import build, check, compose, config_dir
from marketorch.config.main import headline, help_text, run_main
from marketorch.errors import ConfigError
from marketorch.runs import build_task

GROUPS = ("task", "model", "data", "optim", "trainer")


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))


# -- what is there, works ---------------------------------------------------------------------


def test_there_are_experiments_and_options() -> None:
    """The parametrised tests below must not pass because they found nothing."""
    assert len(options("experiment")) == len(list((config_dir() / "experiment").iterdir())) > 0
    for group in GROUPS:
        assert len(options(group)) > 0, group


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_composes_and_binds(experiment: str) -> None:
    config = compose([f"experiment={experiment}"])
    check(config)
    assert config.name == experiment  # so runs/<name> is found by the experiment's name


@pytest.mark.parametrize(
    ("group", "option"), [(group, option) for group in GROUPS for option in options(group)]
)
def test_every_option_composes_and_binds(group: str, option: str) -> None:
    config = compose([f"{group}={option}"])
    for name in [name for name in config[group] if OmegaConf.is_missing(config[group], name)]:
        config[group][name] = "any.csv"  # a file of the user's own
    check(config)
    assert "_target_" in config[group]


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_says_what_it_is_about(experiment: str) -> None:
    lines = (config_dir() / "experiment" / f"{experiment}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith("# ")


def test_overrides_win() -> None:
    config = compose(["trainer.epochs=7", "optim.lr=0.5", "seed=3", "trainer.max_minutes=1.5"])
    assert (config.trainer.epochs, config.optim.lr, config.seed) == (7, 0.5, 3)
    assert config.trainer.max_minutes == 1.5


def test_a_chosen_option_is_not_mixed_with_the_experiments_other_one() -> None:
    """The experiment's settings for its own model must not leak into another model."""
    config = compose(["experiment=sentiment", "model=majority"])
    check(config)
    assert set(config.model) == {"_target_", "_partial_"}


def test_keys_of_a_chosen_option_are_changed_added_and_deleted() -> None:
    overrides = ["data=text_file", "data.path=a.csv", "+data.num_labelled=9", "~data.encoding"]
    config = compose(["experiment=sentiment", *overrides])
    check(config)
    assert (config.data.path, config.data.num_labelled) == ("a.csv", 9)
    assert "encoding" not in config.data


def test_build_makes_the_object() -> None:
    config = compose(["trainer=debug"])
    trainer = build(config.trainer, run_dir="anywhere", seed=4)
    assert (trainer.max_steps, trainer.seed, trainer.run_dir) == (10, 4, Path("anywhere"))
    waiting = build(config.optim)  # _partial_: waits for the module
    assert waiting.keywords["lr"] == config.optim.lr


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["experiment=propensity", "model=text_transformer"], r"TextTransformer .*'num_numbers'"),
        (["experiment=sentiment", "model=popularity"], r"Popularity .*gives it num_classes:"),
        (["experiment=sentiment", "model=compact_cnn"], "CompactCNN has no tokenizer"),
        (["experiment=emotion", "model=text_transformer"], r"TextTransformer .*'num_channels'"),
    ],
)
def test_a_model_for_another_task_is_refused(chosen: list[str], message: str) -> None:
    config = compose([*chosen, "data.num_train=300"])
    check(config)
    with pytest.raises(ConfigError, match=message):
        build_task(config, build(config.data).schema)


# -- what is misspelt, is named ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "messages"),
    [
        ("trainer.max_stepz=3", ["trainer.max_stepz", "Did you mean 'max_steps'?"]),
        ("model.dpeth=3", ["model.dpeth", "Did you mean 'depth'?", "embedding_dropout"]),
        ("sede=3", ["'sede'", "Did you mean 'seed'?"]),
        ("trainr.epochs=3", ["'trainr.epochs'", "Did you mean 'trainer.epochs'?"]),
        ("optim=adamww", ["no optim 'adamww'", "Did you mean 'adamw'?", "muon"]),
        ("model=text_transfomer", ["no model", "Did you mean 'text_transformer'?"]),
        ("experiment=sentimint", ["no experiment 'sentimint'", "Did you mean 'sentiment'?"]),
        ("modell=majority", ["'modell'", "Did you mean 'model'?"]),
        ("trainer.epochs", ["trainer.epochs"]),
    ],
)
def test_a_misspelt_override_is_refused(override: str, messages: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        check(compose([override]))
    for message in messages:
        assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_misspelt_one_of_several_overrides_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'trainr\.epochs'"):
        compose(["experiment=sentiment", "seed=1", "optim.lr=1", "trainr.epochs=2"])


def test_an_argument_that_the_file_does_not_list_can_be_set() -> None:
    config = compose(["model.word_vectors=true", "model.neighbours=3"])
    check(config)
    assert (config.model.word_vectors, config.model.neighbours) == (True, 3)


def test_help_lists_every_experiment_with_what_it_is() -> None:
    text = help_text()
    for path in (configs.config_dir() / "experiment").glob("*.yaml"):
        assert f"{path.stem} " in text
        assert headline(path) in text


@pytest.mark.parametrize(
    ("overrides", "messages"),
    [
        (["+model.dropoutt=0.1"], ["model.dropoutt", "no argument 'dropoutt'", "'dropout'"]),
        (["+trainer.epoch=3"], ["trainer.epoch:", "Did you mean 'epochs'?", "It takes: "]),
        (["+optim.learning_rate=3"], ["optim.learning_rate", "It takes: ", "lr"]),
        (["trainer._target_=marketorch.engine.trainer.Trainr"], ["trainer: ", "'Trainer'"]),
        (["trainer._target_=marketorch.engine.trainr.Trainer"], ["no module", "trainr"]),
        (["trainer._target_=marketorch"], ["outside marketorch"]),
        (["optim._target_=torch.optim.AdamW"], ["optim: ", "is outside marketorch"]),
        (["model._target_=os.system"], ["model: ", "is outside marketorch"]),
        (["~data.num_train", "+data.path=x"], ["data.path", "no argument 'path'"]),
        (["data=text_file"], ["data.path", "missing"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and "=" in value[0] else "",
)
def test_check_names_the_path_and_the_closest_name(
    overrides: list[str], messages: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        check(compose(overrides))
    for message in messages:
        assert message in str(caught.value)


def test_check_names_a_missing_argument() -> None:
    config = OmegaConf.create({"data": {"_target_": "marketorch.data.texts.source.TextData"}})
    with pytest.raises(ConfigError, match=r"data\.path is missing: .*TextData needs it"):
        check(config)


def test_nothing_is_loaded_before_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketorch import train

    monkeypatch.setattr(
        configs, "build", lambda *args, **kwargs: pytest.fail("something was built")
    )
    with pytest.raises(ConfigError, match=r"model\.dropoutt"):
        train(compose(["+model.dropoutt=0.1", f"run_dir={tmp_path / 'run'}"]))
    assert not (tmp_path / "run").exists()


def test_build_refuses_what_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="outside marketorch"):
        build({"_target_": "os.mkdir", "path": str(tmp_path / "made")})
    assert not (tmp_path / "made").exists()


# -- a run's own config -----------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    configs.save(compose(["experiment=sentiment", "run_dir=elsewhere"]), path)
    return path


def test_a_saved_config_comes_back_and_a_run_is_where_it_lies(saved: Path) -> None:
    assert configs.load(saved) == compose(["experiment=sentiment", f"run_dir={saved.parent}"])
    moved = configs.load(saved, ["run_dir=elsewhere"])
    assert moved.run_dir == str(saved.parent)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("seed=3", "seed", 3),
        ("optim.lr=1e-3", "optim.lr", 0.001),
        ("optim.lr=0.5", "optim.lr", 0.5),
        ("trainer.max_steps=null", "trainer.max_steps", None),
        ("trainer.compile=true", "trainer.compile", True),
        ("baselines=[majority]", "baselines", ["majority"]),
        ("baselines=[]", "baselines", []),
        ("name=two words", "name", "two words"),
        ("name=a: b", "name", "a: b"),
        ("name=50%", "name", "50%"),
        ("data_dir=/data/my folder/x=1.csv", "data_dir", "/data/my folder/x=1.csv"),
        ("+data.encoding=latin-1", "data.encoding", "latin-1"),
        ("+optim.lr_scale={head: 10}", "optim.lr_scale", {"head": 10}),
    ],
)
def test_overrides_of_a_run_are_typed(saved: Path, override: str, key: str, value: Any) -> None:
    found = configs.plain(OmegaConf.select(configs.load(saved, [override]), key))
    assert found == value
    assert type(found) is type(value)


def test_a_misspelt_override_of_a_run_is_refused(saved: Path) -> None:
    with pytest.raises(ConfigError, match=r"no key 'trainr\.device'.*'trainer\.device'"):
        configs.load(saved, ["trainr.device=cpu"])
    with pytest.raises(ConfigError, match=r"trainer\.devise.*Did you mean 'device'"):
        check(configs.load(saved, ["trainer.devise=cpu"]))


def test_a_value_that_cannot_be_read_is_refused(saved: Path) -> None:
    with pytest.raises(ConfigError, match="baselines"):
        configs.load(saved, ["baselines=[majority"])


# -- command lines ----------------------------------------------------------------------------


def test_an_unknown_flag_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--epochs=3"])
    with pytest.raises(ConfigError, match=r"Unknown flag --epochs=3; .* key=value"):
        run_main(lambda overrides: pytest.fail("it ran"))


def test_overrides_reach_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(sys, "argv", ["train.py", "seed=3", "trainer.epochs=1"])
    run_main(calls.append)
    assert calls == [["seed=3", "trainer.epochs=1"]]


def test_a_sweep_runs_once_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "seed=0,1", "trainer.epochs=1"])
    run_main(calls.append)
    assert calls == [["seed=0", "++trainer.epochs=1"], ["seed=1", "++trainer.epochs=1"]]


def test_a_sweep_over_a_misspelt_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "sede=0,1"])
    with pytest.raises(ConfigError, match=r"'sede'.*'seed'"):
        run_main(lambda overrides: pytest.fail("it ran"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.num_train=abc", r"data\.num_train is 'abc'; expected a whole number"),
        ("data.num_train=1.5", r"data\.num_train is 1\.5; expected a whole number"),
        ("optim.lr=[1]", r"optim\.lr is \[1\]; expected a number"),
        ("optim.no_decay=bias", r"optim\.no_decay is 'bias'; expected a list"),
        ("trainer.max_steps={a: 1}", r"trainer\.max_steps is .*expected a whole number or null"),
    ],
)
def test_a_value_of_another_kind_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(compose([override]))


@pytest.mark.parametrize("override", ["model=3", "~model=true", f"model={'x' * 300}", "name=${no}"])
def test_what_hydra_stumbles_over_is_named(override: str) -> None:
    with pytest.raises(ConfigError, match=r"(model|name=\$\{no\})"):
        compose([override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("name=${no}", "name=.*Interpolation key 'no'"),
        ("data=[1]", r"data=\[1\]: "),
        ("seed=" + "9" * 5000, "seed=9.*4300 digits"),
        ("seed=" + "[" * 3000, r"seed=\["),
    ],
    ids=["interpolation", "list", "digits", "brackets"],
)
def test_what_omegaconf_stumbles_over_is_named(saved: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configs.load(saved, [override])


def test_a_config_with_a_key_twice_or_without_a_name_is_refused(saved: Path) -> None:
    text = saved.read_text(encoding="utf-8")
    saved.write_text(f"{text}\nname: again\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is no YAML of a run: .*duplicate key name"):
        configs.load(saved)
    saved.write_text(re.sub(r"(?m)^name: .*\n", "", text), encoding="utf-8")
    with pytest.raises(ConfigError, match="has no name: it is no config of a run"):
        configs.load(saved)


@pytest.mark.parametrize("text", ["", "3", "[1]", "task: [1]", "task: 3"])
def test_a_config_of_something_else_is_refused(saved: Path, text: str) -> None:
    saved.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.yaml (has no task|is no YAML of a run)"):
        configs.load(saved)
