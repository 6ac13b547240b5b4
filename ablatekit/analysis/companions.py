"""What stands beside a response's effect table: robust, detectable, training, missing runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from ablatekit.analysis.bounds import bounds, policies, unsteady_cells
from ablatekit.analysis.detectable import detectable_rows
from ablatekit.analysis.effects import Evaluated, Family, Fitted
from ablatekit.analysis.frame import StudyTables
from ablatekit.analysis.items import item_level
from ablatekit.analysis.missing import missing_runs
from ablatekit.analysis.outcomes import outcomes_of
from ablatekit.analysis.responses import History, Response, positions
from ablatekit.analysis.robust import robust
from ablatekit.analysis.schema import (
    Detectable,
    EffectAtStep,
    ItemLevel,
    Milestone,
    Missing,
    Robust,
    Stability,
)
from ablatekit.analysis.training import effects_over_training, milestones, stability
from ablatekit.canonical import content_hash
from ablatekit.design.plan import Plan, PlannedResponse


class Companions(TypedDict, total=False):
    """The optional sections of a response; an absent key is an absent section."""

    items: ItemLevel
    robust: Robust
    detectable: list[Detectable]
    effects_over_training: list[EffectAtStep]
    milestones: list[Milestone]
    stability: list[Stability]


def companions(
    plan: Plan,
    planned: PlannedResponse,
    response: Response,
    tables: StudyTables,
    fitted: Fitted,
    families: Sequence[Family],
) -> Companions:
    """All sections that the runs allow; draws are seeded by the plan and the response's name."""
    alpha, higher = plan.analysis.alpha, planned.direction == "higher"
    seed = int(content_hash([plan.hash, planned.name]), 16)
    average = [one for one, _ in families[0].members]
    found = Companions()
    outcomes = outcomes_of(planned, tables.outcomes, fitted.values)
    if outcomes is not None:
        found["items"] = item_level(outcomes, fitted, average, alpha)
    beside = robust(response.values, fitted.layout, average, alpha, seed, higher)
    if beside is not None:
        found["robust"] = beside
    detectable = detectable_rows(fitted, families, alpha)
    if detectable:
        found["detectable"] = detectable
    return {**found, **_training(planned, response, tables, fitted, average, alpha)}


def _training(
    planned: PlannedResponse,
    response: Response,
    tables: StudyTables,
    fitted: Fitted,
    average: Sequence[Evaluated],
    alpha: float,
) -> Companions:
    history, layout = response.history, fitted.layout
    if len(history.step) < 2:
        return Companions()
    found, higher = Companions(), planned.direction == "higher"
    analysed = History(history.step, history.value[~np.isnan(response.by_run)])
    over = effects_over_training(fitted, average, response.values, analysed, alpha)
    if over:
        found["effects_over_training"] = over
    status = tables.runs["status"].to_numpy(dtype=str)
    ended = np.isin(status, ("finished", "diverged"))
    unit = positions(tables.runs["unit"], layout.units)[ended]
    own = History(history.step, history.value[ended])
    reached = milestones(own, unit, layout, planned.summary, higher)
    if reached:
        found["milestones"] = reached
    if ended.any():
        found["stability"] = stability(own, unit, status[ended] == "diverged", layout, planned)
    return found


def missing_section(
    plan: Plan, planned: PlannedResponse, response: Response, tables: StudyTables, fitted: Fitted
) -> Missing:
    """Missing runs with their bounds and, where many diverged, the policies side by side."""
    layout, analysis = fitted.layout, plan.analysis
    kept = analysis.diverged != "exclude"
    messages = [*response.messages, *(unsteady_cells(tables, layout) if kept else [])]
    found = missing_runs(tables.runs, layout, analysis.diverged, messages)
    limits = bounds(planned, response, tables, layout)
    if limits:
        found["bounds"] = limits
    compared = policies(planned, tables, layout, analysis)
    if compared:
        found["policies"] = compared
    return found
