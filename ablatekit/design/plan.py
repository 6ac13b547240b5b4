"""The frozen plan: cells, runs and their order, and the analysis decided before the first run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self, TypeAlias

from ablatekit.canonical import content_hash
from ablatekit.errors import Problem, WorkspaceError
from ablatekit.runs.records import RunSpec
from ablatekit.study.scales import Scale

PLAN_VERSION = 1

Bound: TypeAlias = Literal["worst", "best"]
"""An end of the scale of a proportion."""
ADVICE = ("at_zero", "at_one")
"""Keys of a response that decide nothing."""

BETWEEN_LEVELS = " / "
"""Between the levels of blocking variables in the name of a context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFactor:
    """A factor with its levels in the order of the study file; `scale` as the study states it."""

    name: str
    levels: tuple[str, ...]
    baseline: str
    label: str
    scale: Scale | None = None

    @property
    def others(self) -> tuple[str, ...]:
        """The non-baseline levels."""
        return tuple(level for level in self.levels if level != self.baseline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination of factor levels.

    `unit` names the experimental condition that is really run: cells whose canonical settings
    agree share a unit, are run once, and enter a model once.
    """

    levels: Mapping[str, str]
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run of the plan. `order` is its place in the randomised execution order."""

    run_id: str
    order: int
    unit: str
    context: Mapping[str, str]
    replicate: int
    spec: RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedResponse:
    """A response as the analysis will compute it; `doc` says what its metric measures.

    `partial`: between the first and the last step the metric is measured on a part of the items;
    its values on that part at the other steps are those of `part_metric(metric)`.
    `at_zero`, `at_one`: what to try where a proportion is that before training.
    """

    name: str
    metric: str
    summary: str
    direction: str
    smallest_effect: float | None
    items: str | None
    label: str
    unit: str = ""
    doc: str = ""
    partial: bool = False
    at_zero: str = ""
    at_one: str = ""

    def bound_at(self, value: float) -> Bound | None:
        """Which end of its scale a value is, if the backend says what to try there.

        Elsewhere a proportion may begin with 0 by nature, as that of a classifier does.
        """
        if value not in (0.0, 1.0) or not self.remedy_at(value):
            return None
        return "best" if (value == 1.0) == (self.direction == "higher") else "worst"

    def remedy_at(self, value: float) -> str:
        """What the backend suggests where every item scores 0 or 1 before training."""
        return self.at_zero if value == 0.0 else self.at_one


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAnalysis:
    """The analysis, frozen before the first run.

    `price` is the cost metric that prices count, where the study names it; `predict_at` holds the
    values of covariates at which effects are predicted.
    """

    responses: tuple[PlannedResponse, ...]
    interactions: int
    inference: str
    alpha: float
    adjust: Literal["holm", "none"]
    diverged: str
    price: str | None = None
    predict_at: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that `study run` will do, decided and hashed before it does anything.

    `held_equal` are the settings that are the same in every run; `warnings` are what rules say
    about combinations that run; `merged` lists groups of cells that are one unit; `covariates`
    holds what context variables carry: variable -> level -> name -> value; `lacks` what the backend
    does without (`ablatekit.backend.Lack`).
    """

    study: str
    title: str
    question: str
    backend: str
    results_version: int
    python: str | None
    design: str
    factors: tuple[PlannedFactor, ...]
    contexts: tuple[Mapping[str, str], ...]
    replicates: int
    cells: tuple[Cell, ...]
    excluded: tuple[Mapping[str, str], ...]
    runs: tuple[PlannedRun, ...]
    analysis: PlannedAnalysis
    held_equal: Mapping[str, Any]
    cost_metrics: tuple[str, ...] = ()
    unrepeatable_metrics: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    covariates: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Identity of the design and the analysis plan; where runs execute does not enter.

        What the settings of every run decide already (`partial`) does not enter either, nor advice
        (`at_zero`), nor what a study may state and does not.
        """
        value = _as_stated(replace(self, runs=()))
        del value["python"]
        for response in value["analysis"]["responses"]:
            for part in ("partial", *ADVICE):
                response.pop(part, None)
        runs = [[run.run_id, run.order, run.unit, run.replicate] for run in self.runs]
        return content_hash({**value, "runs": runs})

    @property
    def merged(self) -> tuple[tuple[Cell, ...], ...]:
        """Groups of two or more cells that are one unit."""
        groups: dict[str, list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault(cell.unit, []).append(cell)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)

    def to_json(self) -> dict[str, Any]:
        """The content of `plan.json`."""
        value = _as_stated(self)
        for run, planned in zip(value["runs"], self.runs, strict=True):
            run["spec"] = planned.spec.to_json()
        return {"plan_version": PLAN_VERSION, "hash": self.hash, **value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; WorkspaceError if another version of it did."""
        if value.get("plan_version") != PLAN_VERSION:
            rule = f"a plan of version {PLAN_VERSION} is needed"
            remedy = "Use the version of ablatekit that planned the study, or another workspace"
            raise WorkspaceError(Problem(rule, str(value.get("plan_version")), remedy))
        analysis = dict(value["analysis"])
        responses = tuple(PlannedResponse(**response) for response in analysis.pop("responses"))
        optional = ("covariates", "lacks")
        plain = {part.name: value[part.name] for part in fields(cls) if part.name not in optional}
        return cls(
            **{
                **plain,
                "factors": tuple(_factor(factor) for factor in value["factors"]),
                "contexts": tuple(value["contexts"]),
                "cells": tuple(Cell(**cell) for cell in value["cells"]),
                "excluded": tuple(value["excluded"]),
                "runs": tuple(_run(run) for run in value["runs"]),
                "analysis": PlannedAnalysis(responses=responses, **analysis),
                "cost_metrics": tuple(value["cost_metrics"]),
                "unrepeatable_metrics": tuple(value["unrepeatable_metrics"]),
                "warnings": tuple(value["warnings"]),
                "covariates": value.get("covariates", {}),
                "lacks": tuple(value.get("lacks", ())),
            }
        )


def cells_by_unit(plan: Plan) -> dict[str, Cell]:
    """For each unit, the cell that stands for it: the first of those that share it."""
    return {cell.unit: cell for cell in reversed(plan.cells)}


def cost_unit(metric: str) -> str:
    """What a cost metric counts, by its name: tokens for `cost/generated_tokens`."""
    return metric.rpartition("/")[2].rpartition("_")[2] or metric


def run_label(cell: Cell, run: PlannedRun) -> str:
    """A run in words: its levels, its context, its replicate."""
    levels = " ".join(f"{factor}={level}" for factor, level in cell.levels.items())
    return " | ".join([levels, *run.context.values(), str(run.replicate)])


def _as_stated(plan: Plan) -> dict[str, Any]:
    """The plan as plain data; keys that a study may leave out are absent where it did."""
    value = asdict(plan)
    analysis = value["analysis"]
    parts = (
        (value, "covariates"),
        (value, "lacks"),
        (analysis, "price"),
        (analysis, "predict_at"),
    )
    scales = ((factor, "scale") for factor in value["factors"])
    advice = ((part, key) for part in analysis["responses"] for key in ADVICE)
    for part, key in (*parts, *scales, *advice):
        if not part[key]:
            del part[key]
    return value


def _factor(value: Mapping[str, Any]) -> PlannedFactor:
    return PlannedFactor(**{**value, "levels": tuple(value["levels"])})


def _run(value: Mapping[str, Any]) -> PlannedRun:
    return PlannedRun(**{**value, "spec": RunSpec.from_json(value["spec"])})
