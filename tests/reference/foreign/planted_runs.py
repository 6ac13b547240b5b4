"""Runs with planted effects: what the scripts of this folder log with other tools' packages.

Two optimisers x two learning rates x two data sets x two seeds. Accuracy is logged at steps 1 to 3;
the last value holds the effects. Replicates lie symmetrically around their cell, so that every
contrast is exact: sgd -0.125 against adam, a learning rate of 0.01 +0.0625 against 0.1, no
interaction. All values are multiples of 2^-10: any format keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

METRIC = "eval/accuracy"
OPTIMIZER_EFFECT, RATE_EFFECT = -0.125, 0.0625
STEPS = (1, 2, 3)


@dataclass(frozen=True)
class PlantedRun:
    """One run: what it is given, and its accuracy at every step of STEPS."""

    name: str
    config: dict[str, Any]
    accuracy: tuple[float, ...]

    @property
    def points(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Steps with their metrics; the loss is a second one that halves."""
        for step, value in zip(STEPS, self.accuracy, strict=True):
            yield step, {METRIC: value, "train/loss": 2.0**-step}


def planted_runs() -> list[PlantedRun]:
    """The 16 runs."""
    cells = product(("adam", "sgd"), (0.1, 0.01), ("letters", "digits"), (0, 1))
    return [_run(place, *cell) for place, cell in enumerate(cells)]


def _run(place: int, optimizer: str, rate: float, dataset: str, seed: int) -> PlantedRun:
    final = 0.5 + (0.0625 if dataset == "digits" else 0.0)
    final += (OPTIMIZER_EFFECT if optimizer == "sgd" else 0.0) + (RATE_EFFECT if rate < 0.1 else 0)
    final += (1 + place // 2 % 3) * 2.0**-10 * (1 if seed else -1)
    config = {
        "optimizer": {"name": optimizer, "lr": rate},
        "dataset": dataset,
        "seed": seed,
        "batch_size": 32,
        "augment": None,
    }
    name = f"{optimizer}-{rate}-{dataset}-{seed}"
    return PlantedRun(name, config, (0.25, 0.375, final))
