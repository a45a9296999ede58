"""Gradient-boosted trees (LightGBM, Ke et al. 2017): the model to beat on tables.

Trees read numbers as they are, missing ones too, and take levels apart by themselves. How many
trees there are is found on a share of the training rows, never on validation; then all rows are
fitted with as many. LightGBM comes with ``pip install 'marketorch[boost]'``.
Shapes: N rows of training, B rows, F numbers, C categories, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch.errors import ConfigError
from marketorch.models.blocks.sized_by_data import SizedByData


class BoostedTrees(SizedByData):
    """Log-probabilities ``(B, K)`` of raw numbers ``(B, F)``, NaN where missing, and levels.

    Fitted, not trained: it has no parameters. The trees travel with the weights, as text.

    Args:
        num_numbers, level_counts, num_classes: F, the levels of each category, K.
        rounds: the most trees a class.
        learning_rate: how much of each tree counts.
        num_leaves: of a tree.
        min_rows: rows that a leaf needs.
        l2: penalty on the values of leaves.
        columns: share of the columns that a tree may use.
        rows: share of the rows that a tree is grown on.
        level_smoothing: rows of a level that its statistics are pulled together by.
        held_out: share of the rows, class by class, that says when to stop; 0: all rounds.
        patience: rounds without a better log-loss there before it stops.
        refit: fit all rows once more when the number of rounds is known.
        seed: of the share held out, and of rows and columns.
    """

    raw = True
    sized_by_data = ("trees",)
    trees: Tensor

    def __init__(
        self,
        *,
        num_numbers: int,
        level_counts: Sequence[int],
        num_classes: int,
        rounds: int = 3000,
        learning_rate: float = 0.03,
        num_leaves: int = 15,
        min_rows: int = 20,
        l2: float = 1.0,
        columns: float = 0.5,
        rows: float = 1.0,
        level_smoothing: float = 100.0,
        held_out: float = 0.15,
        patience: int = 100,
        refit: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        lightgbm()
        self.num_classes = num_classes
        self.categories = [num_numbers + i for i in range(len(level_counts))]
        self.rounds, self.held_out, self.patience = rounds, held_out, patience
        self.refit, self.seed = refit, seed
        self.options: dict[str, Any] = {
            "learning_rate": learning_rate,
            "num_leaves": num_leaves,
            "min_data_in_leaf": min_rows,
            "lambda_l2": l2,
            "feature_fraction": columns,
            "bagging_fraction": rows,
            "bagging_freq": 1,
            "cat_smooth": level_smoothing,
        }
        self.register_buffer("trees", torch.zeros(0, dtype=torch.uint8))
        self._booster: Any = None

    # -- fitting ------------------------------------------------------------------------------

    def fit(self, train: Any) -> None:
        """Grows the trees on the labelled rows of ``train``."""
        known = (train.labels >= 0).numpy()
        rows, labels = side_by_side(train.numbers, train.categories), train.labels.numpy()
        if not known.all():
            rows, labels = rows[known], labels[known]
        self.fit_rows(rows, labels, stratified(labels, self.held_out, self.seed))

    def fit_rows(self, rows: np.ndarray, wanted: np.ndarray, aside: np.ndarray) -> None:
        """Grows the trees on ``rows (N, F + C)`` that lead to ``wanted (N,)``.

        Args:
            aside: which rows say when to stop ``(N,)``.
        """
        data = lightgbm().Dataset(
            rows,
            wanted,
            categorical_feature=self.categories,
            params=self._options(),
        )
        rounds = self.rounds
        if aside.any():
            data.construct()
            parts = [data.subset(np.flatnonzero(part)) for part in (~aside, aside)]
            booster = self._grow(parts[0], rounds, parts[1])
            rounds = booster.best_iteration
        if self.refit or not aside.any():
            booster = self._grow(data, rounds)
        text = booster.model_to_string(num_iteration=rounds).encode()
        self.trees = torch.frombuffer(bytearray(text), dtype=torch.uint8).to(self.trees.device)
        self._booster = None

    def _grow(self, data: Any, rounds: int, aside: Any = None) -> Any:
        """At most ``rounds`` trees, fewer if ``aside`` is predicted no better with more."""
        library = lightgbm()
        stop = library.early_stopping(self.patience, verbose=False)
        return library.train(
            self._options(),
            data,
            rounds,
            valid_sets=[aside] if aside is not None else [],
            callbacks=[stop] if aside is not None else [],
        )

    def _options(self) -> dict[str, Any]:
        """LightGBM's parameters; the same rows and seed give the same trees."""
        two = self.num_classes == 2
        return self.options | {
            "objective": "binary" if two else "multiclass",
            "num_class": 1 if two else self.num_classes,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": torch.get_num_threads(),
            "verbosity": -1,
        }

    # -- use ----------------------------------------------------------------------------------

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *others: Any) -> None:
        """Forgets the trees that were there."""
        super()._load_from_state_dict(state, prefix, *others)
        self._booster = None

    @property
    def booster(self) -> Any:
        """LightGBM's model."""
        if self._booster is None:
            text = self.trees.cpu().numpy().tobytes().decode()
            self._booster = lightgbm().Booster(model_str=text)
        return self._booster

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Log-probabilities ``(B, K)``."""
        rows = side_by_side(numbers, categories)
        threads = torch.get_num_threads()
        found = self.booster.predict(rows, raw_score=True, num_threads=threads)
        scores = torch.from_numpy(found).to(numbers.device)
        if self.num_classes == 2:
            return torch.stack([F.logsigmoid(-scores), F.logsigmoid(scores)], dim=1).float()
        return scores.log_softmax(1).float()


def lightgbm() -> Any:
    """LightGBM, imported when it is first needed.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import lightgbm as library
    except (ImportError, OSError) as error:
        raise ConfigError(
            "model=boosted_trees needs LightGBM: pip install 'marketorch[boost]' "
            f"(importing it failed with: {error})"
        ) from error
    return library


def side_by_side(numbers: Tensor, categories: Tensor) -> np.ndarray:
    """Numbers and levels as one float32 matrix ``(N, F + C)``."""
    parts = [part.cpu().numpy().astype(np.float32, copy=False) for part in (numbers, categories)]
    return np.concatenate(parts, axis=1)


def stratified(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """True for a random ``share`` of each class of ``labels (N,)``."""
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), bool)
    for number in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == number))
        chosen[members[: round(share * len(members))]] = True
    return chosen
