"""Robust companions of the effect table: rows from the bootstrap and the permutation test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablatekit.analysis.cells.effects import Evaluated
from ablatekit.analysis.companions.matched import matched_levels
from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import Layout, level_units
from ablatekit.analysis.core.numbers import number, numbers
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import (
    Improvement,
    InterquartileMean,
    Permutation,
    Profile,
    RobustCompanions,
)
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.stats.adjust import adjust_p
from ablatekit.analysis.stats.inference import Estimate
from ablatekit.analysis.stats.permutation import permutation_test
from ablatekit.analysis.stats.resampling import (
    Resamples,
    improvement,
    interquartile_mean,
    percentile_interval,
    profile,
    resample,
)
from ablatekit.analysis.stats.verdict import VerdictRule, rule_for, verdict

THRESHOLDS = 41
ALONE = statement("one_run_per_cell")
UNMATCHED = statement("unmatched_level")


@dataclass(frozen=True)
class _Sides:
    """Run positions of a level and of its baseline, per combination and context that has both."""

    pairs: list[tuple[Integers, Integers]]
    reason: Statement | None


def robust(
    values: RunValues,
    layout: Layout,
    average: Sequence[Evaluated],
    alpha: float,
    seed: int,
    higher: bool,
) -> RobustCompanions | None:
    """IQM, probability of improvement, profiles and permutation tests; None without runs.

    `average` are the average effects, whose matched combinations are compared; `seed` makes the
    draws a function of the plan.
    """
    if not len(values.y):
        return None
    generator = np.random.default_rng(seed)
    drawn = resample(values, len(layout.contexts), generator)
    members = _members(values, layout)
    sides = [_sides(effect, members, layout) for effect in average]
    sign = 1.0 if higher else -1.0
    return RobustCompanions(
        method=statement("stratified_bootstrap", draws=len(drawn.weights), alpha=alpha),
        iqm=_iqm_rows(values, layout, drawn, alpha),
        improvement=[
            _improvement_row(effect, side, drawn, alpha, sign)
            for effect, side in zip(average, sides, strict=True)
        ],
        profiles=_profile_rows(values, layout, drawn, alpha),
        permutation=[
            _permutation_row(effect, side, values.y, generator)
            for effect, side in zip(average, sides, strict=True)
        ],
    )


def answered_by_permutation(analysis: Analysis) -> Analysis:
    """Outcomes of 0 and 1 that agree within cells: the permutation test in place of a t test.

    Narrow average effects take its p and have no interval; other rows say why there are none. The
    diagnostics tell. Responses with noise, or with other values, stay as they are.
    """
    study = analysis["study"]
    for response in analysis["responses"].values():
        refused = [row for row in response["effects"] if _agree(row["reason"])]
        if not refused:
            continue
        rule = rule_for(
            response["direction"], study["alpha"], study["adjust"], response["smallest_effect"]
        )
        _answer_by_permutation(response, refused, rule)
    return analysis


def _agree(reason: Statement | None) -> bool:
    return reason is not None and reason["code"] == "outcomes_agree"


def _answer_by_permutation(
    response: ResponseAnalysis, refused: Sequence[Effect], rule: VerdictRule
) -> None:
    tests = {(row["factor"], row["level"]): row for row in response["robust"]["permutation"]}
    family = [
        row for row in refused if (row["estimand"], row["inference"]) == ("average", "narrow")
    ]
    p = np.array([tests[row["factor"], row["level"]]["p"] for row in family], dtype=float)
    adjusted = adjust_p(p, rule.adjust, int((~np.isnan(p)).sum()))
    for row, raw, shown in zip(family, p.tolist(), adjusted.tolist(), strict=True):
        row["method"] = statement("permutation_test")
        row["reason"] = tests[row["factor"], row["level"]]["reason"]
        row["p"], row["p_adjusted"] = number(raw), number(shown)
        tested = Estimate(method=row["method"], estimate=row["estimate"] or 0.0, p=raw)
        row["verdict"] = verdict(replace(tested, reason=row["reason"]), shown, rule)
    model = response["model"]
    model["messages"] = [message for message in model["messages"] if not _agree(message)]
    response["diagnostics"]["messages"].append(statement("tested_by_permutation"))


def _members(values: RunValues, layout: Layout) -> dict[tuple[int, int], Integers]:
    """Positions of the runs of every unit and context."""
    key = values.unit * len(layout.contexts) + values.context
    order = np.argsort(key, kind="stable")
    keys, first = np.unique(key[order], return_index=True)
    groups = np.split(order, first[1:])
    contexts = len(layout.contexts)
    return {divmod(int(k), contexts): positions for k, positions in zip(keys, groups, strict=True)}


def _sides(effect: Evaluated, members: dict[tuple[int, int], Integers], layout: Layout) -> _Sides:
    """Every matched pair of cells with runs on both sides in a context."""
    contrast = effect.contrast
    if effect.values.identical or contrast.reason or contrast.grid:
        reason = effect.values.reason or contrast.reason
        return _Sides([], reason or statement("no_level_pair"))
    rows: dict[int, list[tuple[int, int]]] = {}
    numbers = range(len(contrast.codes)) if contrast.combination is None else contrast.combination
    for combination, codes in zip(numbers, contrast.codes.tolist(), strict=True):
        pair = (layout.unit_of[codes[0]], layout.unit_of[codes[1]])
        rows.setdefault(int(combination), []).append(pair)
    pairs = []
    for alternatives in rows.values():
        for c in range(len(layout.contexts)):
            there = [pair for pair in alternatives if all((u, c) in members for u in pair)]
            if there:
                sides = zip(*there, strict=True)
                level, baseline = (_runs_of(members, set(side), c) for side in sides)
                pairs.append((level, baseline))
    missing = None if pairs else effect.values.reason or statement("no_shared_runs")
    return _Sides(pairs, missing)


def _runs_of(members: dict[tuple[int, int], Integers], units: set[int], context: int) -> Integers:
    """Positions of the runs of all units in a context."""
    return np.concatenate([members[unit, context] for unit in sorted(units)])


def _level_runs(values: RunValues, layout: Layout) -> list[tuple[str, str, Integers]]:
    """Factor, level and the positions of its runs where the levels share a combination.

    No runs where they do not, or where the level has no matched pair.
    """
    present = np.zeros((len(layout.units), len(layout.contexts)), dtype=bool)
    present[values.unit, values.context] = True
    rows = []
    for f, matched in enumerate(matched_levels(layout, present)):
        for level, name in enumerate(layout.factors[f].levels):
            runs = matched.at(values.unit, values.context, level_units(layout, f, level))
            there = runs if level in matched.levels else np.zeros_like(runs)
            rows.append((matched.factor, name, np.flatnonzero(there)))
    return rows


def _iqm_rows(
    values: RunValues, layout: Layout, drawn: Resamples, alpha: float
) -> list[InterquartileMean]:
    rows = []
    for factor, level, runs in _level_runs(values, layout):
        low, high, centre = np.nan, np.nan, np.nan
        reason = None if len(runs) else UNMATCHED
        if len(runs):
            centre = float(interquartile_mean(drawn.y[runs], np.ones((1, len(runs))))[0])
            reason = None if drawn.varies[runs].any() else ALONE
        if reason is None:
            draws = interquartile_mean(drawn.y[runs], drawn.weights[:, runs])
            low, high = (float(limit) for limit in percentile_interval(draws, alpha))
        rows.append(
            InterquartileMean(
                factor=factor,
                level=level,
                iqm=number(centre),
                low=number(low),
                high=number(high),
                n=len(runs),
                reason=reason,
            )
        )
    return rows


def _improvement_row(
    effect: Evaluated, sides: _Sides, drawn: Resamples, alpha: float, sign: float
) -> Improvement:
    reason, centre, low, high = sides.reason, np.nan, np.nan, np.nan
    if sides.pairs:
        flat = np.ones((1, len(drawn.y)))
        centre = float(improvement(drawn.y, sides.pairs, flat, sign)[0])
        runs = np.concatenate([run for pair in sides.pairs for run in pair])
        reason = None if drawn.varies[runs].any() else ALONE
    if sides.pairs and reason is None:
        draws = improvement(drawn.y, sides.pairs, drawn.weights, sign)
        low, high = (float(limit) for limit in percentile_interval(draws, alpha))
    return Improvement(
        factor=effect.contrast.factor,
        level=effect.contrast.level,
        baseline=effect.contrast.baseline,
        probability=number(centre),
        low=number(low),
        high=number(high),
        reason=reason,
    )


def _profile_rows(
    values: RunValues, layout: Layout, drawn: Resamples, alpha: float
) -> list[Profile]:
    if np.ptp(values.y) == 0:
        return []
    threshold = np.linspace(float(values.y.min()), float(values.y.max()), THRESHOLDS)
    rows = []
    for factor, level, runs in _level_runs(values, layout):
        if not len(runs):
            continue
        parts = (drawn.y[runs], drawn.size[runs], threshold)
        share = profile(*parts, np.ones((1, len(runs))))[0]
        low = high = np.full(THRESHOLDS, np.nan)
        if drawn.varies[runs].any():
            low, high = percentile_interval(profile(*parts, drawn.weights[:, runs]), alpha)
        rows.append(
            Profile(
                factor=factor,
                level=level,
                threshold=threshold.tolist(),
                share=numbers(share),
                low=numbers(low),
                high=numbers(high),
            )
        )
    return rows


def _permutation_row(
    effect: Evaluated, sides: _Sides, y: Floats, generator: np.random.Generator
) -> Permutation:
    pairs, reason = sides.pairs, sides.reason
    runs = np.concatenate([run for pair in pairs for run in pair]) if pairs else np.empty(0)
    if len(np.unique(runs)) < len(runs):
        pairs, reason = [], statement("shared_runs")
    sides_y = [y[left] for left, _ in pairs], [y[right] for _, right in pairs]
    test = permutation_test(*sides_y, generator)
    return Permutation(
        factor=effect.contrast.factor,
        level=effect.contrast.level,
        p=number(test.p),
        statistic=number(test.statistic),
        n_permutations=test.permutations,
        exact=test.exact,
        reason=reason or test.reason,
    )
