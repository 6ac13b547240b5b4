"""A small backend whose rules, nesting and execution settings touch every part of planning."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import HealthCheck, settings
from pydantic import BaseModel, ConfigDict, Field

from ablatekit.backend import (
    Backend,
    Rule,
    RunContext,
    Settings,
    above_setting,
    at_least,
    one_of,
)
from ablatekit.canonical import content_hash
from ablatekit.design.build import build_plan
from ablatekit.design.plan import Plan
from ablatekit.errors import Problem, UsageError
from ablatekit.runs.records import MetricSpec, Resources, RunResult, RunSpec
from ablatekit.study.load import load_study

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


class FakeBudget(BaseModel):
    model_config = ConfigDict(extra="forbid")

    unit: Literal["rounds", "samples"] = "rounds"
    amount: int = Field(default=10, ge=1)


class FakeSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    advantage: Literal["none", "batch_mean", "batch_norm", "group_norm"] = "none"
    rollouts: int = Field(default=1, ge=1, le=64)
    queries_per_round: int = Field(default=32, ge=1)
    minibatch: int = 32
    learning_rate: float = Field(default=1e-4, ge=0)
    kl: Literal["none", "loss"] = "none"
    kl_coefficient: float = 0.0
    clip: float | None = None
    centre: bool = False
    betas: dict[str, float] = Field(default_factory=dict)
    budget: FakeBudget = FakeBudget()
    model: str = "a"
    dataset: str = "x"
    device: str = Field(default="auto", json_schema_extra={"execution": True})


class FakeBackend:
    name: ClassVar[str] = "fake"
    results_version: ClassVar[int] = 1
    settings: ClassVar[type[BaseModel]] = FakeSettings

    def rules(self) -> Sequence[Rule]:
        return (
            Rule(
                name="groups",
                kind="invalid",
                when={"advantage": one_of("group_norm"), "rollouts": one_of(1)},
                why="a group of one has no spread",
                remedy="Use two or more rollouts",
            ),
            Rule(
                name="minibatch",
                kind="invalid",
                when={"minibatch": above_setting("queries_per_round")},
                why="a minibatch cannot exceed the batch",
            ),
            Rule(
                name="no_kl",
                kind="inert",
                when={"kl": one_of("none")},
                then={"kl_coefficient": 0},
                why="no KL term, no coefficient",
            ),
            Rule(
                name="zero_kl",
                kind="alias",
                when={"kl_coefficient": one_of(0.0)},
                then={"kl": "none"},
                why="a KL term of weight zero is none",
            ),
            Rule(
                name="fast",
                kind="warn",
                when={"learning_rate": at_least(1e-2)},
                why="a large learning rate often diverges",
            ),
        )

    def metrics(self, settings: Settings) -> Sequence[MetricSpec]:
        kl = [MetricSpec(name="kl", direction="lower")] if settings["kl"] == "loss" else []
        return (
            MetricSpec(name="train/score", direction="higher", role="learning"),
            MetricSpec(name="test/score", direction="higher", role="generalization"),
            MetricSpec(name="updates", direction="lower", role="cost"),
            MetricSpec(name="seconds", direction="lower", role="cost", repeatable=False),
            *kl,
        )

    def resources(self, settings: Settings) -> Resources:  # noqa: ARG002
        return Resources()

    def content(self, settings: Settings) -> Mapping[str, str]:
        if settings["model"] == "missing":
            raise UsageError(Problem("there is no such model", "missing"))
        return {name: content_hash(settings[name]) for name in ("model", "dataset")}

    def run(self, run: RunSpec, context: RunContext) -> RunResult:  # noqa: ARG002
        return RunResult(status="finished", metrics={})


@pytest.fixture
def backend() -> Backend:
    return FakeBackend()


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


@pytest.fixture
def make_plan(backend: Backend, write_study: Callable[[str], Path]) -> Callable[..., Plan]:
    def make(text: str = STUDY, *overrides: Any) -> Plan:
        return build_plan(load_study(write_study(text), overrides), backend)

    return make


@pytest.fixture(scope="session")
def toy_plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan of the study as it stands above, made once."""
    path = tmp_path_factory.mktemp("toy") / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return build_plan(load_study(path), FakeBackend())
