"""How much of the best AUPRC anybody could reach on experiment=rare_event who has only the table.

    python scripts/benchmark/rare_bound.py [rows=100000]

The best reachable list knows what each of 300 telephones and 24 regions does to the odds of
leaving. Nobody can know that who has some 75 leavers to learn from. So two learners are told what
no model is told. One knows every rule and coefficient, and how widely the effects of levels are
spread: it has only these effects to find. The other knows the terms of the rules and must find
their coefficients, too. Both find the most probable values by L-BFGS. The first bounds, as far as
a most probable value can, what there is to be had.
"""

from __future__ import annotations

import sys
from statistics import mean

import numpy as np
from rounds import read_options
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import average_precision_score

from marketorch.console import say
from marketorch.data.synthetic import customers as drawn
from marketorch.errors import guard

PREVALENCE, STRENGTH = 0.001, 2.5  # of experiment=rare_event
SEEDS = (0, 1, 2)
SPREAD = 0.5 * STRENGTH  # of the effects of levels
COUNTS = {"region": drawn.NUM_REGIONS, "phone": drawn.NUM_MODELS}


def columns(places: range, seed: int) -> drawn.Columns:
    """Customers as the generator sees them, before they become a table."""
    blocks = range(places.start // drawn.BLOCK, -(-places.stop // drawn.BLOCK))
    parts = [drawn._block(block, seed) for block in blocks]
    start = places.start - blocks.start * drawn.BLOCK
    return {
        name: np.concatenate([part[name] for part in parts])[start : start + len(places)]
        for name in parts[0]
    }


def terms(own: drawn.Columns) -> np.ndarray:
    """What the rules of `drawn._score` add up, without coefficients ``(N, 13)``."""
    months = (drawn.TODAY - own["signed_up"]).astype(np.float64) / 30.4
    left = (own["contract_ends"] - drawn.TODAY).astype(np.float64)
    new, idle = np.exp(-months / 10), np.log1p(own["days_since_use"])
    income = np.where(np.isnan(own["income"]), 5000.0, own["income"])
    online = (own["channel"] == 0) | (own["channel"] == 2)
    parts = [new, np.minimum(own["calls_for_help"], 4) * (new > 0.4)]
    parts += [np.log(own["monthly_bill"] / income), (own["plan"] >= 2) * (idle - 1.8)]
    parts += [np.exp(-((left / 25) ** 2)), online != own["paperless"]]
    parts += [(own["age"] - 48) ** 2 / 1000, np.sqrt(own["gigabytes"])]
    parts += [~np.isnan(own["mails_opened"]), np.nan_to_num(own["mails_opened"])]
    parts += [own["payment"] == kind for kind in (1, 2, 3)]
    return np.stack([np.asarray(part, np.float64) for part in parts], 1)


def most_probable(
    known: np.ndarray, design: np.ndarray, own: drawn.Columns, left: np.ndarray
) -> list[np.ndarray]:
    """Coefficients of ``design (N, D)``, and effects of the levels, beside log-odds ``(N,)``."""
    sizes = np.cumsum([design.shape[1], *COUNTS.values()])
    precision = np.r_[np.full(sizes[0], 0.01), np.full(sizes[-1] - sizes[0], SPREAD**-2)]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = known + odds(np.split(weights, sizes[:-1]), design, own)
        error = expit(scores) - left
        levels = [np.bincount(own[name], error, count) for name, count in COUNTS.items()]
        gradient = np.concatenate([design.T @ error, *levels]) + precision * weights
        value = np.logaddexp(0, scores).sum() - scores[left].sum()
        return value + (precision * weights**2).sum() / 2, gradient

    found = minimize(loss, np.zeros(sizes[-1]), jac=True, method="L-BFGS-B")
    return np.split(found.x, sizes[:-1])


def odds(weights: list[np.ndarray], design: np.ndarray, own: drawn.Columns) -> np.ndarray:
    """What coefficients and levels add to the log-odds ``(N,)``."""
    coefficients, *effects = weights
    levels = [effect[own[name]] for effect, name in zip(effects, COUNTS, strict=True)]
    return design @ coefficients + sum(levels)


def told(rows: int, seed: int) -> tuple[float, float, float]:
    """AUPRC of the best list, of who knows the rules, and of who knows their terms."""
    train, test = columns(range(rows), seed), columns(range(2 * rows, 4 * rows), seed)
    bias = drawn.intercept(PREVALENCE, STRENGTH)
    scores = [STRENGTH * drawn._score(own) + bias for own in (train, test)]
    left = [own["uniform"] < expit(s) for own, s in zip((train, test), scores, strict=True)]
    effects = [STRENGTH * drawn._effects(count) for count in COUNTS.values()]
    nothing = [np.zeros((len(s), 0)) for s in scores]
    rules = [
        s - odds([np.zeros(0), *effects], none, own)
        for s, none, own in zip(scores, nothing, (train, test), strict=True)
    ]
    levels = most_probable(rules[0], nothing[0], train, left[0])
    designs = [
        np.c_[terms(own), np.ones(len(s))] for own, s in zip((train, test), scores, strict=True)
    ]
    start = np.full(len(scores[0]), bias)
    coefficients = most_probable(start, designs[0], train, left[0])
    lists = [
        scores[1],
        rules[1] + odds(levels, nothing[1], test),
        odds(coefficients, designs[1], test),
    ]
    best, rules_known, terms_known = (average_precision_score(left[1], each) for each in lists)
    return best, rules_known, terms_known


def main(arguments: list[str]) -> None:
    """Prints the bounds."""
    options = read_options(arguments, {"rows": 100_000}, {}, {})
    found = [told(options["rows"], seed) for seed in SEEDS]
    names = ("best reachable", "rules and coefficients known", "terms known, coefficients not")
    for name, values in zip(names, zip(*found, strict=True), strict=True):
        share = mean(values) / mean(row[0] for row in found)
        say(f"{name:31}  AUPRC {mean(values):.4f}  {share:.0%} of the best")


if __name__ == "__main__":
    with guard():
        main(sys.argv[1:])
