"""The recipe that fits published rows: its architecture, and settings of training to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.errors import ConfigError, TrainingError
from steelyard.learning.data import Kind
from steelyard.learning.loaders.source import Scan
from steelyard.learning.recipes import recipe_named
from steelyard.learning.recipes.base import Architecture
from steelyard.learning.recipes.tabular import decimal
from steelyard.learning.running_stats import RunningStats

RECIPES: Mapping[Kind, str] = {Kind.IMAGES: "image-cnn", Kind.FEATURES: "tabular", Kind.TEXTS: "text"}
TRAINING: Mapping[str, Mapping[str, Any]] = {
    "image-cnn": {"batch_size": 64, "learning_rate": "0.08"},
    "tabular": {"batch_size": 32, "learning_rate": "0.05", "local_epochs": 5},
    "text": {
        "batch_size": 32,
        "learning_rate": "0.01",
        "local_epochs": 5,
        "optimizer": "adam",
        "clip_norm": "0",
    },
}


def architecture_for(scan: Scan, moments: RunningStats) -> Architecture:
    """What the recipe of the scan's kind is given. Raises ConfigError where it does not take the rows."""
    classes = len(scan.names)
    found: Architecture
    if scan.kind is Kind.IMAGES:
        channels, height, width = scan.shape
        found = {
            "channels": channels, "height": height, "width": width, "classes": classes, "filters": (16, 32),
            "mean": round(float(moments.mean[0])), "deviation": max(1, round(float(moments.deviation[0]))),
        }  # fmt: skip
    elif scan.kind is Kind.FEATURES:
        found = {
            "columns": scan.shape[0], "classes": classes, "hidden": (64, 32),
            "mean": tuple(decimal(value) for value in moments.mean),
            "deviation": tuple(decimal(value) for value in moments.deviation),
        }  # fmt: skip
    else:
        length = scan.shape[0]
        found = {"length": length, "classes": classes, "ngram": 4, "buckets": 4096, "width": 16}
    try:
        recipe_named(RECIPES[scan.kind]).layout(found)
    except TrainingError as error:
        raise ConfigError(error.message, remedy="scale images with --image-size 28, say") from error
    return found
