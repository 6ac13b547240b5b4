"""Runs: how they ended, and what diagnostics say of them."""

from __future__ import annotations

from collections.abc import Mapping

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.numbers import count
from ablatekit.report.language.reading import Unit
from ablatekit.report.language.scopes import over
from ablatekit.report.language.statements.phrases import NOISE, ByUnit, Words, first_few


def _unsteady_cells(cells: int) -> str:
    return (
        f"{count(cells, 'cell')} lost 20% or more of the runs to divergence: intervals of single"
        " cells (effects at the baseline, of removal, Shapley values) are then too short; in"
        " simulation those at 95% covered 80 to 90%, unless diverged runs are excluded"
    )


def _unequal_variances(unit: Unit, p: float, pooled: bool) -> str:
    where = "; the pooled error averages over that" if pooled else ""
    size = "< 0.001" if p < 0.001 else f"= {p:.3f}"
    return f"{unit}-to-{unit} variance differs between cells (Brown-Forsythe p {size}){where}"


def _few_error_cells(unit: Unit, replicated: int, cells: int, df: int) -> str:
    return (
        f"only {replicated:,} of {count(cells, 'cell')} have two {unit}s, so that these {df:,}"
        f" residual df speak for the {NOISE[unit]} of all"
    )


def _shorter_broad(scope: list[str], effects: list[str]) -> str:
    return (
        f"the interval {over(scope)} is shorter than the narrow one for {first_few(effects)}: the"
        " few values behind it lie closer together than their noise lets expect"
    )


def _starts_at_worst(value: float, contexts: list[str], of_contexts: int, remedy: str) -> str:
    return (
        f"before training every item scores {value:g}{_where(contexts, of_contexts)}: where nothing"
        f" succeeds there is nothing to reinforce. What to try: {remedy}"
    )


def _starts_at_best(value: float, contexts: list[str], of_contexts: int, remedy: str) -> str:
    return (
        f"before training every item scores {value:g}{_where(contexts, of_contexts)}: there is"
        f" nothing left to learn. What to try: {remedy}"
    )


def _where(contexts: list[str], of_contexts: int) -> str:
    return "" if len(contexts) == of_contexts else f" in {first_few(contexts)}"


SENTENCES: Mapping[Code, Words] = {
    # diverged, failed and left-out runs
    "score_policy": "a diverged run enters with its last valid score",
    "worst_policy": "a diverged run enters with the worst possible value",
    "exclude_policy": "diverged runs are left out",
    "complete_rows_policy": "rows with a missing value are left out",
    "diverged_left_out": lambda runs: f"{count(runs, 'diverged run')} left out",
    "diverged_with_score": lambda runs: (
        f"{count(runs, 'diverged run')} entered with the last valid score"
    ),
    "diverged_without_score": lambda runs: (
        f"{count(runs, 'diverged run')} without a valid score left out"
    ),
    "diverged_with_worst": lambda runs, value: (
        f"{count(runs, 'diverged run')} entered with the worst value, {value:g}"
    ),
    "never_reached": lambda runs, threshold: (
        f"{count(runs, 'run')} never reached {threshold:g} and enter at their last step"
    ),
    "without_metric": ByUnit(
        lambda unit, runs, metric: (
            f"{count(runs, 'finished run')} never reported {metric}"
            if unit == "run"
            else f"{count(runs, unit)} without a value of {metric}"
        )
    ),
    "without_area": lambda runs, metric: (
        f"{count(runs, 'finished run')} reported {metric} at fewer than two steps, and an area"
        " needs two"
    ),
    "ended_on_part": lambda runs: (
        f"{count(runs, 'run')} could not be evaluated at the end: the last valid score is of a part"
        " of the items"
    ),
    "without_part": lambda runs, metric: (
        f"{count(runs, 'run')} did not report {metric} of the part of the items where all of them"
        " were evaluated: these steps are left out over training"
    ),
    "without_result": ByUnit(
        lambda unit, runs: (
            f"{count(runs, unit)} without a result: cells with fewer {unit}s keep their full"
            f" weight, cells without any {unit} leave their combinations out"
        )
    ),
    "unsteady_cells": _unsteady_cells,
    "unpaired_runs": ByUnit(
        lambda unit, runs: f"{count(runs, unit)} without both responses left out"
    ),
    "constant_gap": "the gap is the same in every {unit}",
    "outcomes_left_out": lambda runs: (
        f"{count(runs, 'run')} left out: the response is not the mean of the run's last item"
        " outcomes"
    ),
    "run_message": ByUnit(
        lambda unit, runs, of_runs, message: f"{runs:,} of {count(of_runs, unit)}: {message}"
    ),
    # diagnostics
    "starts_at_worst": _starts_at_worst,
    "starts_at_best": _starts_at_best,
    "unequal_variances": ByUnit(_unequal_variances),
    "near_bounds": lambda cells: (
        f"{count(cells, 'cell mean')} within 0.05 of 0 or 1: unequal room alone makes effects"
        " differ"
    ),
    "gap_near_bounds": lambda cells: (
        f"{count(cells, 'cell mean')} within 0.05 of 0 or 1 behind the gap: unequal room alone"
        " makes effects on learning and generalization differ"
    ),
    "few_error_cells": ByUnit(_few_error_cells),
    "uneven_contexts": lambda context, share: (
        f"{context} carries {share:.0%} of the residual sum of squares: the pooled error is too"
        " large elsewhere and too small there"
    ),
    "shorter_broad": _shorter_broad,
    "repeated_histories": lambda runs: (
        f"replicates repeat each other exactly in {count(runs, 'run')}, as under one seed"
    ),
    "unequal_starts": "step-0 scores differ within a context although the draws are common",
}
"""The words of every such code."""
