"""Where modules were before they moved, so that configs and runs of before still load."""

from __future__ import annotations

from typing import Any

MOVED = {
    "data.customers": "data.tables.source",
    "data.detection": "data.boxes.source",
    "data.events": "data.events.source",
    "data.images": "data.images.source",
    "data.synthetic.scene_data": "data.scenes.source",
    "data.text": "data.texts.source",
    "engine.optim": "optim.optimizers",
    "models.average_box": "models.boxes.average_box",
    "models.boosted_trees": "models.tables.boosted_trees",
    "models.compact_cnn": "models.images.compact_cnn",
    "models.compact_detector": "models.boxes.compact_detector",
    "models.dcn": "models.tables.dcn",
    "models.doubly_robust": "models.uplift.doubly_robust",
    "models.ft_transformer": "models.tables.ft_transformer",
    "models.graph_filter": "models.recommenders.graph_filter",
    "models.ials": "models.recommenders.ials",
    "models.item_counts": "models.recommenders.item_counts",
    "models.item_similarity": "models.recommenders.item_similarity",
    "models.keypoint_matcher": "models.boxes.keypoint_matcher",
    "models.linear_pixels": "models.images.linear_pixels",
    "models.matrix_factorization": "models.recommenders.matrix_factorization",
    "models.neumf": "models.recommenders.neumf",
    "models.ngrams": "models.texts.ngrams",
    "models.pairwise_logistic": "models.tables.pairwise_logistic",
    "models.pretrained_text": "models.texts.pretrained_text",
    "models.prior": "models.tables.prior",
    "models.sequential_transformer": "models.recommenders.sequential_transformer",
    "models.table_logistic": "models.tables.logistic",
    "models.table_mlp": "models.tables.mlp",
    "models.tabm": "models.tables.tabm",
    "models.text_transformer": "models.texts.text_transformer",
    "models.torchvision_classifier": "models.images.torchvision_classifier",
    "models.torchvision_detector": "models.boxes.torchvision_detector",
    "models.two_tower": "models.recommenders.two_tower",
    "models.uplift_learners": "models.uplift.learners",
}
"""From modules that a ``_target_`` could name, without ``marketorch.``, to where they are now."""


RENAMED = {
    "data_seed": "seed",
    "split_seed": "seed",
    "test_share": "test_fraction",
    "validation_share": "validation_fraction",
    "test_path": "test",
    "limit": "num_train",
}
"""Arguments of data sources, which all sources call alike now."""


def current(target: Any) -> Any:
    """A ``_target_`` as it reads today; what never moved stays as it is."""
    package, _, rest = str(target).partition(".")
    module, _, name = rest.rpartition(".")
    if package != "marketorch" or module not in MOVED:
        return target
    return f"{package}.{MOVED[module]}.{name}"


def with_current_targets(values: Any) -> Any:
    """Nested dicts and lists with every ``_target_``, and arguments of data, as they read today."""
    if isinstance(values, list):
        return [with_current_targets(value) for value in values]
    if not isinstance(values, dict):
        return values
    values = {
        key: current(value) if key == "_target_" else with_current_targets(value)
        for key, value in values.items()
    }
    if str(values.get("_target_")).startswith("marketorch.data."):
        names = {key: RENAMED.get(key, key) for key in values}
        return {key if names[key] in values else names[key]: v for key, v in values.items()}
    return values
