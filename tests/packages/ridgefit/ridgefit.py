"""A closed-form regression as a backend: no training, no chance, no items, nothing to continue."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ablatekit.backend import MetricSpec, Resources, RunResult


class RidgeSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    penalty: float = Field(default=1.0, gt=0)
    """How much large weights cost."""
    centred: bool = True
    """Whether the means of the inputs are taken off first."""
    dataset: str = "waves"
    """Which data are fitted."""


class Ridge:
    """What it does without, it declares."""

    name: ClassVar[str] = "ridge"
    results_version: ClassVar[int] = 1
    settings: ClassVar[type[BaseModel]] = RidgeSettings
    lacks = frozenset({"step_zero", "stop_points", "content", "randomness"})

    def rules(self):
        return ()

    def metrics(self, _settings):
        return [MetricSpec(name="test/r2", direction="higher", role="generalization")]

    def resources(self, _settings):
        return Resources()

    def content(self, _settings):
        return {}

    def run(self, run, context):
        settings = RidgeSettings(**run.settings)
        inputs, targets = _data(settings.dataset)
        if settings.centred:
            inputs = inputs - inputs.mean(axis=0)
        train, test = inputs[:60], inputs[60:]
        square = train.T @ train + settings.penalty * np.eye(inputs.shape[1])
        weights = np.linalg.solve(square, train.T @ targets[:60])
        left = targets[60:] - test @ weights
        metrics = {"test/r2": 1 - float(left @ left) / float(targets[60:] @ targets[60:])}
        context.log(1, metrics)
        return RunResult(status="finished", metrics=metrics)


def _data(name):
    generator = np.random.default_rng(sum(name.encode()))
    inputs = generator.standard_normal((80, 4)) + 1
    return inputs, inputs @ [1.0, -1.0, 0.5, 0.0] + generator.standard_normal(80)
