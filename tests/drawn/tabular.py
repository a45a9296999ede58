"""Customers, with a leak in the columns that the configs leave out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from drawn import write


def customers(number: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Four columns of customers, and who of them is positive ``(number,)``."""
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "months": draw.integers(0, 70, number),
            "bill": draw.gamma(2.0, 30.0, number).round(2),
            "plan": draw.choice(["monthly", "yearly", "none"], number),
            "Last Visit": draw.integers(0, 9, number),
        }
    )
    score = rows["bill"] / 60 - rows["months"] / 35 + (rows["plan"] == "monthly")
    return rows, (score + draw.normal(0, 0.5, number) > 0.6).to_numpy()


def draw(root: Path, number: int = 320) -> None:
    rows, positive = customers(number)
    ids = [f"C{i:04d}" for i in range(number)]
    after = rows["bill"] + 100 * positive  # a leak, in the columns that the configs leave out
    write(
        root / "telco_churn.csv", rows.assign(customerID=ids, Churn=np.where(positive, "Yes", "No"))
    )
    write(
        root / "bank_marketing.csv", rows.assign(duration=after, y=np.where(positive, "yes", "no"))
    )
    leads = {"Prospect ID": ids, "Tags": after, "Lead Quality": after, "Converted": positive * 1}
    write(
        root / "lead_scoring.csv",
        rows.assign(**leads, **{"Asymmetrique Score": after}).replace({"none": "Select"}),
    )
    offer = np.where(np.arange(number) % 3, "Womens E-Mail", "No E-Mail")
    visit = positive * (np.arange(number) % 3 > 0)
    given = {"segment": offer, "visit": visit, "conversion": visit, "spend": after}
    write(root / "hillstrom.csv", rows.assign(**given))
    for name, seed in (("train", 0), ("test", 1)):
        rows, positive = customers(number, seed)
        income = np.where(positive, ">50K", "<=50K")
        write(root / f"adult_{name}.csv", rows.assign(income=income))
