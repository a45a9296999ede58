"""A folder like ``data_dir``, with a small drawn file in the place and form of each real one.

What an experiment reads is written where its config says, with the columns and classes that the
config names, so that a recipe runs as it does on real data. What is drawn is easy to learn. Each
module draws the folder of its name: a new one is a new file with ``draw(folder)``.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

import pandas as pd


def write(path: Path, rows: pd.DataFrame) -> None:
    """Writes a table as CSV or Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        rows.to_csv(path, index=False)
    else:
        rows.to_parquet(path)


def data_dir(root: Path) -> Path:
    """Writes all of it to a folder."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}").draw(root / module.name)
    return root
