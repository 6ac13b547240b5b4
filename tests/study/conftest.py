from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure: examples have no time limit.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

STUDY = """\
version: 1
name: toy
question: Which choice matters?
backend:
  name: fake
  settings: {budget: {unit: rounds, amount: 5}}
factors:
  advantage: {baseline: none, levels: [none, batch_norm]}
  rollouts: {baseline: 1, levels: [1, 4]}
  queries:
    baseline: q32
    levels:
      q32: {queries_per_round: 32}
      q64: {queries_per_round: 64}
  learning_rate: {baseline: 1e-4, levels: [1e-4, 3e-4]}
contexts:
  model: [a, b, c]
  dataset: [x, y]
replicates: 2
"""


@pytest.fixture
def study_text() -> str:
    return STUDY


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write
