"""What imports what: floors, circles, who may import a library, and what waits until it is needed.

The graph is read from the source, so an import inside a function or for types alone counts too.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT

from marketorch.config import config_dir

SRC = ROOT / "src"
PACKAGE = "marketorch"
FLOORS = (  # of docs/design.md, the lowest first; rooms of one floor do not know each other
    ("errors",),
    ("distributed",),
    ("console",),
    ("command_line",),
    ("optim",),
    ("engine",),
    ("metrics",),
    ("data",),
    ("models",),
    ("explain", "figures"),
    ("tasks",),
    ("config",),
    ("runs",),
    ("sharing",),
    ("listening",),
    ("app",),
    ("",),  # marketorch/__init__.py, the names of a notebook
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ONLY_IN = {  # libraries, and the modules that may import them
    "hydra": {"config.composition", "config.main"},
    "omegaconf": {"config.composition", "config.main", "config.signatures"},
    "gradio": {"app.page"},
    "starlette": {"app.page"},
    "lightgbm": {"models.tables.boosted_trees"},
    "onnxruntime": {"sharing.onnx_export"},
}
WITH_TORCH = ("torch", "numpy", "pandas", "pyarrow")
NEVER = ("torchmetrics", "transformers", "sklearn", "datasets", "matplotlib")  # but when needed
NEVER += ("gradio", "lightgbm", "onnxruntime")
HEAVY = (*NEVER, "huggingface_hub")  # which two modules are for
MEASURING = "metrics."  # where torchmetrics may come with a module
SCRIPTS = ("train", "evaluate", "predict", "export", "listen", "app")
EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))


class Arrow(NamedTuple):
    """An import: from a module of ours, without ``marketorch.``, to a module or a library."""

    source: str
    target: str
    file: Path
    line: int
    at_once: bool  # when the module is imported, not in a function or for types alone

    @property
    def ours(self) -> bool:
        return self.target.partition(".")[0] == PACKAGE

    @property
    def own(self) -> str:
        return self.source.partition(".")[0]

    @property
    def room(self) -> str:
        return inner(self.target).partition(".")[0]

    def __str__(self) -> str:
        place = f"{self.file.relative_to(ROOT)}:{self.line}"
        return f"{place}: {self.source or PACKAGE} → {inner(self.target)}"


def inner(name: str) -> str:
    """A module's name without ``marketorch.``; that of a library as it is."""
    return "" if name == PACKAGE else name.removeprefix(f"{PACKAGE}.")


@cache
def modules() -> dict[str, Path]:
    """The file of every module."""
    found = {}
    for file in sorted((SRC / PACKAGE).rglob("*.py")):
        parts = file.relative_to(SRC).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = file
    return found


@cache
def arrows() -> tuple[Arrow, ...]:
    """Every import of every module."""
    return tuple(
        Arrow(inner(name), target, file, line, at_once)
        for name, file in modules().items()
        for target, line, at_once in imports(ast.parse(file.read_text(encoding="utf-8")))
    )


def imports(node: ast.AST, at_once: bool = True) -> Iterator[tuple[str, int, bool]]:
    """Name, line, and whether it is imported with the module, of all imports in a tree."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, node.lineno, at_once) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.module is not None, f"line {node.lineno}: a relative import"
        names = (f"{node.module}.{alias.name}" for alias in node.names)
        targets = {name if name in modules() else node.module for name in names}
        yield from ((target, node.lineno, at_once) for target in sorted(targets))
    for child in ast.iter_child_nodes(node):
        later = isinstance(node, ast.FunctionDef) or is_for_types(node)
        yield from imports(child, at_once and not later)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def listed(found: list[Arrow]) -> str:
    return "\n".join(map(str, found))


def fresh(code: str) -> list[str]:
    """What a new process prints as JSON when it has run ``code``."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines: list[str] = json.loads(done.stdout.splitlines()[-1])
    return lines


# -- the graph --------------------------------------------------------------------------------


def test_every_module_has_a_floor() -> None:
    rooms = {inner(name).partition(".")[0] for name in modules()}
    assert rooms == set(FLOOR), "docs/design.md and FLOORS say on which floor a new room is"


def test_imports_run_downwards() -> None:
    between = [arrow for arrow in arrows() if arrow.ours and arrow.own != arrow.room]
    wrong = [arrow for arrow in between if FLOOR.get(arrow.own, 0) <= FLOOR.get(arrow.room, 0)]
    assert not wrong, f"imports that do not run downwards:\n{listed(wrong)}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    below: dict[str, list[Arrow]] = {}
    for arrow in arrows():
        if arrow.ours and arrow.at_once:
            below.setdefault(arrow.source, []).append(arrow)
    done: set[str] = set()

    def follow(source: str, way: list[Arrow]) -> None:
        places = [arrow.source for arrow in way]
        assert source not in places, f"a circle:\n{listed(way[places.index(source) :])}"
        if source not in done:
            for arrow in below.get(source, []):
                follow(inner(arrow.target), [*way, arrow])
            done.add(source)

    for source in below:
        follow(source, [])


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_may_be(library: str) -> None:
    found = [arrow for arrow in arrows() if arrow.target.partition(".")[0] == library]
    assert {arrow.source for arrow in found} >= ONLY_IN[library], "nobody imports it: mend ONLY_IN"
    wrong = [arrow for arrow in found if arrow.source not in ONLY_IN[library]]
    assert not wrong, f"{library} is for {', '.join(ONLY_IN[library])} alone:\n{listed(wrong)}"


def test_torchmetrics_comes_with_modules_of_metrics_alone() -> None:
    found = [arrow for arrow in arrows() if arrow.at_once]
    found = [arrow for arrow in found if arrow.target.startswith("torchmetrics")]
    assert found
    wrong = [arrow for arrow in found if not arrow.source.startswith(MEASURING)]
    assert not wrong, f"import these in `metrics()` or where they are used:\n{listed(wrong)}"


# -- what is there after an import --------------------------------------------------------------


def test_the_package_and_a_config_need_no_torch() -> None:
    code = "import json, sys, marketorch; marketorch.compose(['experiment=sentiment'])\n"
    loaded = fresh(f"{code}print(json.dumps(sorted(sys.modules)))")
    assert "marketorch.config.composition" in loaded
    assert not set(loaded) & {*WITH_TORCH, *HEAVY}


def test_the_help_of_scripts_needs_no_torch() -> None:
    folder = ROOT / "scripts"
    code = f"""
import json, runpy, sys
for name in {SCRIPTS}:
    sys.argv = [f"{{name}}.py", "--help"]
    try:
        runpy.run_path(f"{folder}/{{name}}.py", run_name="__main__")
    except SystemExit as end:
        assert not end.code, end
    found = sorted(set(sys.modules) & {{*{WITH_TORCH + HEAVY}}})
    assert not found, f"{{name}}.py --help imports {{found}}"
print(json.dumps(sorted(sys.modules)))
"""
    assert "marketorch.command_line" in fresh(code)


def test_a_training_is_checked_and_can_start_without_what_only_measuring_needs() -> None:
    code = f"""
import json, sys
from marketorch import check, compose, train, Trainer
for name in {EXPERIMENTS}:
    check(compose([f"experiment={{name}}"]))
    found = sorted(set(sys.modules) & {{*{HEAVY}}})
    assert not found, f"experiment={{name}} imports {{found}}"
print(json.dumps(sorted(sys.modules)))
"""
    assert {"torch", "marketorch.engine.trainer", "marketorch.tasks.detection"} <= set(fresh(code))


def test_no_module_imports_what_is_heavy_merely_by_being_imported() -> None:
    names = [name for name in modules() if not inner(name).startswith(MEASURING)]
    code = f"""
import importlib, json, sys
for name in {names}:
    importlib.import_module(name)
    found = sorted(set(sys.modules) & {{*{NEVER}}})
    assert not found, f"{{name}} imports {{found}}"
print(json.dumps(sorted(sys.modules)))
"""
    assert set(names) <= set(fresh(code))


def test_all_public_names_are_there_and_listed() -> None:
    import marketorch

    assert set(marketorch.__all__) <= set(dir(marketorch))
    assert all(hasattr(marketorch, name) for name in marketorch.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        marketorch.trian  # noqa: B018
