"""A run as a folder for others: what `load_run` needs, what was measured, and a model card.

Pictures of the evaluation stay behind, because photos and faces of the data are in them, and so
does all that says where on this machine something lies.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from marketorch import config as configs
from marketorch.config.targets import locate
from marketorch.console import say
from marketorch.engine.checkpoint import BEST
from marketorch.engine.tracking import as_written, read_json, write_json
from marketorch.errors import CheckpointError, ConfigError
from marketorch.runs.hub import push_to_hub
from marketorch.runs.loading import CONFIG, find_run
from marketorch.sharing.model_card import model_card, start_of

REPORT, CARD = "report.json", "README.md"
WEIGHTS = (".pt", ".pth", ".safetensors")  # of files of weights, wherever they may be


def export_hub(path: str | Path, output: str | Path, push: str | None = None) -> Path:
    """Writes a run as a folder that `marketorch.load_run` loads, with a model card.

    Args:
        push: ``owner/name`` of a repository on the hub that the folder is uploaded to.

    Raises:
        ConfigError: ``output`` holds something already, or the run needs files of this machine.
        CheckpointError: ``path`` is not a finished run, or what it has recorded is damaged.
    """
    run_dir, folder = find_run(path), Path(output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"output={output} holds something already; choose another folder.")
    if not (run_dir / REPORT).exists():
        raise CheckpointError(f"run={path} is not a finished run: it has no {REPORT}.")
    own = configs.load(run_dir / CONFIG)
    configs.check(own)
    config, report = portable(configs.plain(own)), read_json(run_dir / REPORT)
    report.pop("run_dir", None)
    evaluations = {file.stem: read_json(file) for file in (run_dir / "evaluation").glob("*.json")}
    with as_written(run_dir):
        card = model_card(config, report, evaluations, push)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run_dir / "checkpoints" / BEST, folder / "checkpoints" / BEST)
    configs.save(config, folder / CONFIG)
    write_json(folder / REPORT, report)
    for split, result in evaluations.items():
        write_json(folder / "evaluation" / f"{split}.json", result)
    (folder / CARD).write_text(card, encoding="utf-8", errors="replace")
    say(f"written   {folder}: read its {CARD} before you share it")
    if push:
        say(f"pushed    {push_to_hub(folder, push)}")
    return folder


def portable(config: dict[str, Any]) -> dict[str, Any]:
    """A run's config without a path of this machine; what lies in its ``data_dir`` still does.

    Raises:
        ConfigError: the model cannot be built without a folder of this machine.
    """
    model = dict(config["model"])
    argument, start = start_of(model)
    if start and (Path(start).exists() or Path(start).suffix in WEIGHTS):
        if getattr(locate(model["_target_"]), "needs_start", False):
            raise ConfigError(
                f"model.{argument}={start} is of this machine, and without it nobody can load the "
                "run. Train it from a checkpoint of the hub."
            )
        model[argument] = None  # it only began what the run's own weights have become
    changed = config | {"model": model, "run_dir": None}
    others = {name: value for name, value in changed.items() if name != "data_dir"}
    return without_paths(others, config["data_dir"]) | {"data_dir": "data"}


def without_paths(value: Any, data_dir: str) -> Any:
    """The same nested value in which a path outside ``data_dir`` is a mere name.

    Relative paths, which do not tell where they are relative to, stay as they are.
    """
    if isinstance(value, dict):
        return {name: without_paths(item, data_dir) for name, item in value.items()}
    if isinstance(value, list):
        return [without_paths(item, data_dir) for item in value]
    if not isinstance(value, str):
        return value
    key, equals, text = value.rpartition("=")  # an override of pretrain_overrides, say
    path, root = Path(text), Path(data_dir)
    if root.parts and path.is_relative_to(root):
        text = str(Path("${data_dir}") / path.relative_to(root))
    elif path.is_absolute() or text.startswith(("~", "..")):
        text = path.name
    return f"{key}{equals}{text}"
