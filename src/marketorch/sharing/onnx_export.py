"""A run as an ONNX file, which runs without PyTorch and without marketorch.

The number of examples is free, and so is the length of texts and histories. Before a file is put in
its place, onnxruntime has to give with it what PyTorch gives.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from marketorch.console import say
from marketorch.engine import loading
from marketorch.engine.evaluation import CPU
from marketorch.engine.tracking import finite
from marketorch.errors import ConfigError, UserError
from marketorch.runs import Run, load_run
from marketorch.tasks.exports import ExportedFunction

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
OPSET = 20
TOLERANCE = 1e-4  # largest difference accepted; of numbers above 1, as a share of them
SIZES = (2, 5)  # of the batches that are compared


def export_onnx(path: str | Path, output: str | Path) -> float:
    """Writes a run as an ONNX file with all that using it takes.

    Returns:
        The largest difference between what onnxruntime and PyTorch give, see `compared`.

    Raises:
        ConfigError: a run of this kind cannot be exported, or a package is missing.
        UserError: onnxruntime gives something else; nothing is written.
    """
    output = Path(output)
    if output.suffix != ".onnx":
        raise ConfigError(f"output={output}: expected the name of a file that ends in .onnx.")
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ConfigError(f"format=onnx needs {', '.join(missing)}: pip install -e '.[export]'")
    run = load_run(path, ["trainer.device=cpu"])
    function = exported_function(run).eval()
    program = translated(function)
    program.model.metadata_props["marketorch"] = json.dumps(finite(facts(run, function)))
    batches, source = inputs(run, function)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        program.save(Path(folder) / output.name)
        difference = compared(function, Path(folder) / output.name, batches)
        for file in Path(folder).iterdir():  # weights of more than 1.5 GB are a file of their own
            file.replace(output.parent / file.name)
    say(f"checked   {sum(map(len, batches))} {source}: largest difference {difference:.1e}")
    say(f"written   {output}, opset {OPSET}")
    return difference


def exported_function(run: Run) -> ExportedFunction:
    """What is exported of a run. ConfigError if its task and model have no exported function."""
    try:
        return run.task.export(run.data)
    except ConfigError as error:
        raise ConfigError(f"run={run.directory} cannot be exported as ONNX: {error}") from error


def translated(function: ExportedFunction) -> Any:
    """The function as a graph of ONNX, as torch's exporter gives it.

    Raises:
        ConfigError: the exporter cannot follow the model.
    """
    free = {place: torch.export.Dim.DYNAMIC for place in range(len(function.free))}
    model, made_up = type(function.task.model).__name__, (function.made_up(2),)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            traced = torch.export.export(function, made_up, dynamic_shapes=(free,))
            traced = traced.run_decompositions(REWRITTEN)
            program: Any = torch.onnx.export(
                traced,
                input_names=[function.reads],
                output_names=list(function.gives),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter raises a dozen kinds, depending on what it meets
        raise ConfigError(
            f"{model} cannot be exported as ONNX: {str(error).strip().splitlines()[0]}"
        ) from error
    names = program.model.graph.inputs[0].shape
    program.rename_axes({names[place]: name for place, name in enumerate(function.free)})
    return program


def searchsorted(keys: Tensor, values: Tensor, **options: Any) -> Tensor:
    """How many of the sorted ``keys (F,)`` are less than each of ``values``: halving, unrolled.

    ONNX has no such operator.
    """
    number = keys.shape[0]
    places, step = torch.zeros_like(values), 1 << number.bit_length()
    while step := step // 2:
        ahead = places + step
        less = (ahead <= number) & (keys[(ahead - 1).clamp_max(number - 1)] < values)
        places = torch.where(less, ahead, places)
    return places


REWRITTEN = {torch.ops.aten.searchsorted.Tensor: searchsorted}


def facts(run: Run, function: ExportedFunction) -> dict[str, Any]:
    """What travels in the file, under the name ``marketorch``: see `ExportedFunction.about`."""
    task = type(run.task).__name__
    return {"name": run.config.name, "task": task, **function.about()}


def inputs(run: Run, function: ExportedFunction) -> tuple[list[Tensor], str]:
    """Two batches of different sizes, of the validation split if that can be read; and of what."""
    try:
        validation: Any = run.data.split("validation")
    except UserError:
        validation = None
    if not validation:
        return [function.made_up(size) for size in SIZES], "made-up inputs"
    dataset = function.encode(validation)
    number = len(dataset)
    first, second = SIZES
    places = [
        [i % number for i in range(first)],
        [i % number for i in range(first, first + second)],
    ]
    keys = [loading.Key(0, 0, 0, part) for part in places]
    batches = [batch for _, batch in loading.load(dataset, keys, device=CPU)]
    return [function.read(batch) for batch in batches], "inputs of the validation split"


@torch.no_grad()
def compared(function: ExportedFunction, file: Path, batches: list[Tensor]) -> float:
    """The largest difference between what onnxruntime and PyTorch give for ``batches``.

    Numbers above 1, such as pixels, are compared as shares: they have no more digits than others.

    Raises:
        UserError: it is more than `TOLERANCE`, or not a number.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    worst = 0.0
    for batch in batches:
        expected = function(batch)
        expected = expected if isinstance(expected, tuple) else (expected,)
        given = session.run(list(function.gives), {function.reads: batch.numpy()})
        for name, one, other in zip(function.gives, expected, given, strict=True):
            apart = (one - torch.from_numpy(other)).abs() / one.abs().clamp_min(1)
            difference = float(apart.max())
            if not difference <= TOLERANCE:
                raise UserError(
                    f"onnxruntime gives other {name} than PyTorch, by {difference:.1e} in a batch "
                    f"of {len(batch)}; at most {TOLERANCE:.0e} is accepted. Nothing was written."
                )
            worst = max(worst, difference)
    return worst
