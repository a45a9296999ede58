"""The page that goes with a model: what it is and learnt from, how good it is, what it is not for.

It is written from what the run has recorded; what is not recorded is said to be unknown. The
sentences on use and misuse go by the task (`card_texts`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from marketorch.config.targets import ABOUT, locate
from marketorch.console import format_number
from marketorch.sharing.card_texts import (
    FACES,
    FILES,
    UNKNOWN,
    Source,
)
from marketorch.tasks.card import GENERAL, TaskCard

Result = dict[str, Any]


def model_card(
    config: dict[str, Any],
    report: dict[str, Any],
    evaluations: dict[str, Result],
    name: str | None = None,
) -> str:
    """The card in Markdown, with the header in YAML that the hub reads.

    Args:
        config: of the run, without private paths.
        report: what its report.json holds.
        evaluations: what its evaluation/*.json hold, by split.
        name: ``owner/name`` of the repository, if it is known.
    """
    kind: TaskCard = locate(config["task"]["_target_"]).card or GENERAL  # type: ignore[attr-defined]
    result = measured(report, evaluations)
    sources = sources_of(config["data"])
    sections = {
        "": introduction(config, report, kind),
        "Use": use(kind, name),
        "Data": data_section(config, report, sources),
        "Measured": measured_section(config["name"], result),
        "Limits": bullets(limits(config, sources)),
        "Intended use": kind.intended,
        "Not for": bullets(kind.misuse),
        "People": bullets(kind.people),
        "Faces": bullets(FACES) if shows_faces(config["data"]) else "",
        "What the files reveal": kind.reveals,
        "Licence": bullets(licences(config, sources)),
    }
    body = "".join(
        f"## {title}\n\n{text}\n\n" if title else f"{text}\n\n"
        for title, text in sections.items()
        if text
    )
    header = header_of(config, kind, result, sources)
    return f"---\n{header.to_yaml()}\n---\n\n# {config['name']}\n\n{body.strip()}\n"


# -- what is known ----------------------------------------------------------------------------


def named(node: dict[str, Any]) -> str:
    """The class that a node of the config builds."""
    return str(node["_target_"]).rpartition(".")[2]


def start_of(model: dict[str, Any]) -> tuple[str, str | None]:
    """The argument of a model that names what its weights start from, and its value.

    A model class may say so by ``starts_from``, the argument, and by ``needs_start``, whether it
    cannot be built again without.
    """
    argument: str = getattr(locate(model["_target_"]), "starts_from", "")
    return argument, model.get(argument)


def measured(report: dict[str, Any], evaluations: dict[str, Result]) -> Result:
    """Metrics of the test split if it was read, else of the validation split."""
    for split in ("test", "validation"):
        if split in evaluations:
            return evaluations[split]
    own = {name.removeprefix("val/"): value for name, value in report["metrics"].items()}
    return {"split": "validation", "num_examples": None, "metrics": own, "baselines": {}}


def files_of(data: dict[str, Any]) -> list[str]:
    """The files and folders that a data config names."""
    values = [data.get(key) or [] for key in FILES]
    lists = [[value] if isinstance(value, str) else value for value in values]
    return [str(file) for part in lists for file in part]


def sources_of(data: dict[str, Any]) -> list[Source]:
    """What is known of where the data come from: what ``about`` says of the files that are read."""
    files, said = files_of(data), [Source(**own) for own in data.get(ABOUT) or []]
    found = [own for own in said if own.of is None or any(own.of in file for file in files)]
    known = [own.of for own in found if own.of]
    strange = [file for file in files if not any(part in file for part in known)]
    return [*found, UNKNOWN] if strange or not found else found


def shows_faces(data: dict[str, Any]) -> bool:
    """Whether faces are what the model reads."""
    found = any(source.shows_faces for source in sources_of(data))
    return found or data.get("find_faces", "never") != "never"


def generated(sources: list[Source]) -> bool:
    """Whether the data are made up by marketorch alone, of no files."""
    return all(source.of is None and source is not UNKNOWN for source in sources)


def overall(metrics: dict[str, Any]) -> dict[str, float]:
    """The metrics that are numbers, and not of a single class."""
    return {
        name: value
        for name, value in metrics.items()
        if "/" not in name and value is not None and math.isfinite(value)
    }


# -- the header -------------------------------------------------------------------------------


def header_of(
    config: dict[str, Any], kind: TaskCard, result: Result, sources: list[Source]
) -> ModelCardData:
    """What the hub sorts and finds models by; the metrics are the model's own."""
    data = " + ".join(source.name for source in sources)
    results = [
        EvalResult(
            task_type=kind.tag or "other",
            dataset_type=named(config["data"]),
            dataset_name=data,
            dataset_split=result["split"],
            metric_type=name,
            metric_name=name,
            metric_value=round(value, 6),
        )
        for name, value in overall(result["metrics"]).items()
    ]
    return ModelCardData(
        library_name="marketorch",
        license="apache-2.0" if generated(sources) else "other",
        pipeline_tag=kind.tag,
        tags=["marketorch", named(config["task"]), named(config["model"])],
        model_name=config["name"],
        eval_results=results or None,
    )


# -- sections ---------------------------------------------------------------------------------


def introduction(config: dict[str, Any], report: dict[str, Any], kind: TaskCard) -> str:
    """One paragraph: what the model is."""
    size = f", {report['parameters']:,} trained parameters" if report.get("parameters") else ""
    classes = report["data"].get("classes") or []
    shown = f" Its classes: {', '.join(classes)}." if classes else ""
    model = f"`{named(config['model'])}`{size}"
    return f"A model that {kind.does}: {model}, trained by marketorch.{shown}"


def use(kind: TaskCard, name: str | None) -> str:
    """Code that loads the run and predicts."""
    address = f"hf://{name}" if name else "hf://OWNER/NAME"
    lines = ["from marketorch import load_run", "", f'run = load_run("{address}")']
    lines += [f"print(run.predict({kind.example}))"] if kind.example else []
    command = f"python scripts/predict.py run={address} input=…"
    return "```python\n" + "\n".join(lines) + f"\n```\n\nOn files: `{command}`."


def data_section(config: dict[str, Any], report: dict[str, Any], sources: list[Source]) -> str:
    """Where the data are from, how many, and how they were read."""
    about, data = report["data"], config["data"]
    counts = zip(about.get("classes", []), about.get("class_counts", []), strict=False)
    shares = ", ".join(f"{name} {count:,}" for name, count in counts)
    number = about.get("num_examples")
    lines = [f"Source: {source.name}." for source in sources]
    lines += [f"{number:,} training examples{f': {shares}' if shares else ''}."] if number else []
    lines += [f"Fingerprint of the training data: `{report['data_fingerprint']}`."]
    settings = {key: value for key, value in data.items() if key != ABOUT}
    shown = [f"{key}: {v}" for key, v in settings.items() if v not in (None, [], {})]
    return bullets(lines) + "\n\n```text\n" + "\n".join(shown) + "\n```"


def measured_section(name: str, result: Result) -> str:
    """A table with a column a model, the baselines beside it."""
    if result["split"] == "test":
        lead = f"On the test split, {result['num_examples']:,} examples that training never saw."
    else:
        lead = (
            "The test split was not read: these are numbers of the validation split, by which the "
            "weights were chosen, so they are a little too good."
        )
    if not result["baselines"]:
        lead += " No baselines were measured beside it."
    models = {name: result["metrics"]} | result["baselines"]
    rows = [
        [metric, *(number(values.get(metric)) for values in models.values())]
        for metric in overall(result["metrics"])
    ]
    head = ["metric", *models]
    table = [head, ["---", *["---:" for _ in models]], *rows]
    return lead + "\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in table)


def number(value: Any) -> str:
    """A metric as it is printed; a dash where there is none."""
    return format_number(math.nan if value is None else float(value))


def limits(config: dict[str, Any], sources: list[Source]) -> Iterator[str]:
    """What the numbers do not say."""
    yield f"One run, seed {config['seed']}: another seed gives somewhat other numbers."
    if config["task"].get("calibration") is True:
        yield (
            "What is calibrated (probabilities, or the score from which a detection counts) is so "
            "on data like the validation split. On others, measure again before you rely on it."
        )
    yield "It knows what its training data show, and fails where yours differ from them."
    if not generated(sources):  # backgrounds and marks are not what examples are labelled by
        data = config["data"]
        sources = sources_of({"path": data.get("path"), ABOUT: data.get(ABOUT)})
    yield from (limit for source in sources for limit in source.limits)


def licences(config: dict[str, Any], sources: list[Source]) -> Iterator[str]:
    """Licences of the code, of the data and of what the run started from."""
    yield "Code of marketorch: Apache 2.0."
    for source in sources:
        yield f"Data, {source.name}: {source.licence}"
    began = [start_of(config["model"])[1], config.get("pretrain"), config.get("init_from")]
    for origin in filter(None, began):
        yield f"It started from `{origin}`, whose data and licence count as well."
    if not generated(sources):
        yield "Weights may be bound by the licence of what they were learnt from."


def bullets(lines: Iterator[str] | list[str] | tuple[str, ...]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)
