"""Measures a run: python scripts/evaluate.py run=RUN_DIR [split=test] [baselines=false].

``baselines=[majority]`` fits other baselines than those of the run's config. Any other key=value
overrides that config, too; ``torchrun`` shares the work between processes.
"""

from __future__ import annotations

from marketorch.command_line import arguments_or_help, split_option, yes_or_no
from marketorch.errors import ConfigError, guard


def main(arguments: list[str]) -> None:
    """Writes RUN_DIR/evaluation and prints the run beside its baselines."""
    from marketorch.runs import evaluate  # with torch, which --help does not need

    run, overrides = split_option(arguments, "run")
    split, overrides = split_option(overrides, "split")
    baselines, others = split_option(overrides, "baselines")
    if run is None:
        raise ConfigError(f"run=RUN_DIR is missing. Usage: {__doc__}")
    if baselines and baselines.startswith("["):
        evaluate(run, split or "test", overrides)
    else:
        beside = yes_or_no("baselines", baselines or "true")
        evaluate(run, split or "test", others, baselines=beside)


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__))
