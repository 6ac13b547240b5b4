"""Two studies side by side: which average effects agree.

The two narrow estimates of one level are compared by the rule of every verdict (DESIGN 5), on their
difference: `agree` when its 1 - 2 alpha interval lies inside the smallest effect that matters,
`differ` when its Holm-adjusted p is below alpha within one response, else `undecided`. Beside it
stands the same for contexts like these: the one-way t of the differences over the levels of one
blocking variable, because contexts that are a product of models and data sets are no sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.layout import context_label
from ablatekit.analysis.core.lookup import (
    Comparison,
    alpha_of,
    comparisons,
    find_effect,
    is_planned,
    name_of,
)
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import (
    Number,
    Size,
    Statement,
    Verdict,
    statement,
)
from ablatekit.analysis.stats.inference import Estimate, t_estimate
from ablatekit.analysis.stats.verdict import Judgement, VerdictRule, judge

Agreement: TypeAlias = Literal["agree", "differ", "undecided", "not_compared"]
INDEPENDENT = statement("independent_t")
SHARED = statement("shared_contexts_t")
LEVELS = statement("levels_t")
FEWEST_LEVELS = 3
AGREEMENTS: Mapping[Verdict, Agreement] = {
    "equivalent": "agree", "helps": "differ", "hurts": "differ", "inconclusive": "undecided",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEffect:
    """What one study says of a level: the narrow effect, and the widest broad verdict beside it.

    `broad` is null where no scope exists.
    """

    estimate: Number
    low: Number
    high: Number
    verdict: Verdict
    size: Size | None
    broad: Verdict | None
    scope: tuple[str, ...]
    price: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The second estimate minus the first, tested as every effect is, and whether they agree."""

    difference: Number
    se: Number
    df: Number
    low: Number
    high: Number
    p: Number
    p_adjusted: Number
    agreement: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class WiderDifference(Difference):
    """The difference over levels like those of a blocking variable that both studies have."""

    variable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedEffect(Difference):
    """One level in both studies; `difference` is the second estimate minus the first.

    Where contexts are shared, over these contexts only, so it may not be the difference of the two
    estimates; `beyond` is null where no blocking variable has three shared levels. `size` is that
    of studies that differ, against the smallest effect that matters.
    """

    response: str
    factor: str
    level: str
    baseline: str
    first: StudyEffect
    second: StudyEffect
    method: Statement
    size: Size | None
    reason: Statement | None
    beyond: WiderDifference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyComparison:
    """All levels that both studies have, and what only one of them has."""

    names: tuple[str, str]
    alpha: float
    contexts: Literal["disjoint", "overlapping"]
    effects: tuple[ComparedEffect, ...]
    only_first: tuple[Statement, ...]
    only_second: tuple[Statement, ...]
    notes: tuple[Statement, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One response of both analyses."""

    name: str
    first: ResponseAnalysis
    second: ResponseAnalysis

    @property
    def smallest(self) -> float | None:
        """The smaller of the two smallest effects, if both studies declare one."""
        known = [part["smallest_effect"] for part in (self.first, self.second)]
        return None if None in known else min(size for size in known if size is not None)


def compare(first: Analysis, second: Analysis) -> StudyComparison:
    """Every response, factor and level that both analyses have, by name.

    The difference has a Welch t test of the narrow estimates, which are over the shared contexts
    where there are any. These contexts are fixed: only the runs of the studies differ by chance.
    """
    alpha = max(alpha_of(first), alpha_of(second))
    theirs = set(_contexts(second))
    blocks = {context_label(context): context for context in first["design"]["contexts"]}
    shared = {name: blocks[name] for name in _contexts(first) if name in theirs}
    pairs = [
        _Pair(name, response, second["responses"][name])
        for name, response in first["responses"].items()
        if name in second["responses"]
    ]
    levels = [level for level in comparisons(first) if level in comparisons(second)]
    parts = _parts(first), _parts(second)
    return StudyComparison(
        names=(name_of(first), name_of(second)),
        alpha=alpha,
        contexts="overlapping" if shared else "disjoint",
        effects=tuple(row for pair in pairs for row in _rows(pair, levels, shared, alpha)),
        only_first=tuple(part for part in parts[0] if part not in parts[1]),
        only_second=tuple(part for part in parts[1] if part not in parts[0]),
        notes=(
            *([statement("same_study")] if is_same_study(first, second) else []),
            *_held_equal(first, second),
            *_notes(pairs, shared, same_names=_name_runs_alike(first, second)),
        ),
    )


def is_same_study(first: Analysis, second: Analysis) -> bool:
    """Whether both are analyses of the same runs under the same plan."""
    if (first["design"], first["responses"]) == (second["design"], second["responses"]):
        return True
    ours, theirs = (
        [analysis["provenance"].get(name) for name in ("plan_hash", "results_hash")]
        for analysis in (first, second)
    )
    return ours == theirs and None not in ours


def _name_runs_alike(first: Analysis, second: Analysis) -> bool:
    """Whether one name is one run: that of a planned one is, that of a row is in one table."""
    if is_planned(first) and is_planned(second):
        return True
    ours, theirs = (analysis["provenance"].get("table_hash") for analysis in (first, second))
    return ours is not None and ours == theirs


def _contexts(analysis: Analysis) -> list[str]:
    """The labels of its contexts; none for a study without blocking variables."""
    responses = analysis["responses"].values() if any(analysis["design"]["contexts"]) else ()
    return list(
        dict.fromkeys(row["context"] for response in responses for row in response["contexts"])
    )


def _parts(analysis: Analysis) -> list[Statement]:
    """Responses and levels."""
    levels = [
        statement("level_part", factor=level.factor, level=level.level, baseline=level.baseline)
        for level in comparisons(analysis)
    ]
    return [*(statement("response_part", response=name) for name in analysis["responses"]), *levels]


def _rows(
    pair: _Pair, levels: Sequence[Comparison], shared: Shared, alpha: float
) -> Iterator[ComparedEffect]:
    levels_of_both = [
        (level, first, second)
        for level in levels
        if (first := find_effect(pair.first["effects"], level, "narrow")) is not None
        and (second := find_effect(pair.second["effects"], level, "narrow")) is not None
    ]
    unlike = _unlike(pair)
    method = SHARED if shared else INDEPENDENT
    differences, wider = [], []
    for level, first, second in levels_of_both:
        inside = _ContextDifferences.of(pair, level, shared)
        if unlike is not None:
            difference = Estimate(method=method, reason=unlike)
        elif shared:
            difference = inside.here(first, second, alpha)
        else:
            difference = _independent(_numbers(first), _numbers(second), alpha, INDEPENDENT)
        differences.append(difference)
        wider.append(inside.beyond(alpha) if unlike is None else None)
    rule = VerdictRule(alpha=alpha, adjust="holm", smallest_effect=pair.smallest)
    beyond = _wider(wider, rule)
    for (level, *effects), difference, judgement, beside in zip(
        levels_of_both, differences, judge(differences, rule), beyond, strict=True
    ):
        parts = zip((pair.first, pair.second), effects, strict=True)
        said = [_study_effect(part, level, effect) for part, effect in parts]
        yield _row(pair.name, level, said, difference, judgement, beside)


def _wider(
    differences: Sequence[tuple[str, Estimate] | None], rule: VerdictRule
) -> Iterator[WiderDifference | None]:
    """The differences over levels of a blocking variable, judged as a family of their own."""
    known = [wider for wider in differences if wider is not None]
    judged = iter(judge([estimate for _, estimate in known], rule))
    for wider in differences:
        if wider is None:
            yield None
            continue
        (variable, estimate), judgement = wider, next(judged)
        yield WiderDifference(variable=variable, **_tested(estimate, judgement))


def _study_effect(response: ResponseAnalysis, level: Comparison, narrow: Effect) -> StudyEffect:
    beside = find_effect(response["effects"], level, "broad")
    known = beside is not None and beside["low"] is not None
    return StudyEffect(
        estimate=narrow["estimate"],
        low=narrow["low"],
        high=narrow["high"],
        verdict=narrow["verdict"],
        size=narrow["size"],
        broad=beside["verdict"] if beside is not None and known else None,
        scope=tuple(beside["scope"]) if beside is not None and known else (),
        price=narrow["price"],
    )


def _unlike(pair: _Pair) -> Statement | None:
    """Why the two responses are not on one scale; None where they are."""
    for key in ("summary", "direction", "unit"):
        ours, theirs = pair.first[key], pair.second[key]
        if ours != theirs:
            return statement(
                "unlike_studies", part=key, response=pair.name, first=ours, second=theirs
            )
    return None


_Numbers: TypeAlias = tuple[Number, Number, Number]
"""Estimate, standard error, df."""
Shared: TypeAlias = Mapping[str, Mapping[str, str]]
"""The contexts of both studies by their labels: variable -> level."""


def _numbers(effect: Effect) -> _Numbers:
    return effect["estimate"], effect["se"], effect["df"]


def _independent(first: _Numbers, second: _Numbers, alpha: float, method: Statement) -> Estimate:
    """Difference of two independent estimates, df after Welch (1947)."""
    known = [value for value in (*first, *second) if value is not None]
    if len(known) < 6:
        return Estimate(method=method, reason=statement("no_standard_error"))
    estimate, se, df, other, other_se, other_df = known
    variances = np.array([se**2, other_se**2])
    if not variances.sum() > 0:
        return Estimate(method=method, reason=statement("no_variation_in_either"))
    welch = variances.sum() ** 2 / (variances**2 / np.array([df, other_df])).sum()
    spread = float(np.sqrt(variances.sum()))
    return t_estimate(other - estimate, spread, float(welch), alpha, method)


@dataclass(frozen=True, slots=True)
class _ContextDifferences:
    """An effect in the contexts that both studies have: estimates and standard errors (C, 2)."""

    contexts: Sequence[Mapping[str, str]]
    estimate: Floats
    se: Floats

    @classmethod
    def of(cls, pair: _Pair, level: Comparison, shared: Shared) -> _ContextDifferences:
        """The rows of one level in the contexts that both studies have."""
        sides = [_by_context(part, level) for part in (pair.first, pair.second)]
        names = [name for name in shared if all(name in side for side in sides)]
        values = np.array([[side[name] for side in sides] for name in names], dtype=float)
        values = values.reshape(len(names), 2, 2)
        return cls([shared[name] for name in names], values[:, :, 0], values[:, :, 1])

    def here(self, first: Effect, second: Effect, alpha: float) -> Estimate:
        """In exactly these contexts: the error is that of the runs of both studies."""
        if not self.contexts:
            few = statement("few_shared_contexts", contexts=0, fewest=1)
            return Estimate(method=SHARED, reason=few)
        means = self.estimate.mean(axis=0)
        errors = np.sqrt(np.square(self.se).sum(axis=0)) / len(self.contexts)
        sides = [
            (number(mean), number(error), effect["df"])
            for mean, error, effect in zip(
                means.tolist(), errors.tolist(), (first, second), strict=True
            )
        ]
        return _independent(sides[0], sides[1], alpha, SHARED)

    def beyond(self, alpha: float) -> tuple[str, Estimate] | None:
        """Over the levels of the blocking variable with the widest interval, three at least."""
        names = dict.fromkeys(name for context in self.contexts for name in context)
        over = [(name, self._over(name, alpha)) for name in names]
        known = [(name, estimate) for name, estimate in over if estimate is not None]
        return max(known, key=lambda pair: pair[1].half_width(alpha), default=None)

    def _over(self, variable: str, alpha: float) -> Estimate | None:
        """The one-way t of the level means; None of fewer than three levels or without spread."""
        levels = np.array([context[variable] for context in self.contexts])
        difference = self.estimate[:, 1] - self.estimate[:, 0]
        means = np.array([difference[levels == level].mean() for level in dict.fromkeys(levels)])
        if len(means) < FEWEST_LEVELS or not np.ptp(means) > 0:
            return None
        se = float(np.std(means, ddof=1) / np.sqrt(len(means)))
        return t_estimate(float(means.mean()), se, len(means) - 1, alpha, LEVELS)


def _by_context(response: ResponseAnalysis, level: Comparison) -> dict[str, tuple[float, float]]:
    """Estimate and standard error (NaN where unknown) of an effect, by context."""
    return {
        row["context"]: (float(row["estimate"]), np.nan if row["se"] is None else row["se"])
        for row in response["contexts"]
        if (row["factor"], row["level"]) == (level.factor, level.level)
        and row["estimate"] is not None
    }


def _row(
    response: str,
    level: Comparison,
    effects: Sequence[StudyEffect],
    difference: Estimate,
    judgement: Judgement,
    beyond: WiderDifference | None,
) -> ComparedEffect:
    first, second = effects
    return ComparedEffect(
        response=response,
        factor=level.factor,
        level=level.level,
        baseline=level.baseline,
        first=first,
        second=second,
        method=difference.method,
        size=judgement.size,
        reason=difference.reason,
        beyond=beyond,
        **_tested(difference, judgement),
    )


def _tested(difference: Estimate, judgement: Judgement) -> dict[str, Any]:
    """The fields of a `Difference`."""
    return {
        "difference": number(difference.estimate),
        "se": number(difference.se),
        "df": number(difference.df),
        "low": number(difference.low),
        "high": number(difference.high),
        "p": number(difference.p),
        "p_adjusted": number(judgement.p_adjusted),
        "agreement": AGREEMENTS.get(judgement.verdict, "not_compared"),
    }


def differing_settings(first: Analysis, second: Analysis) -> list[tuple[str, Any, Any]]:
    """Settings that each study holds equal in all of its runs, but at different values."""
    ours, theirs = settings_held_equal(first), settings_held_equal(second)
    return [
        (name, value, theirs[name])
        for name, value in ours.items()
        if name in theirs and theirs[name] != value
    ]


def settings_held_equal(analysis: Analysis) -> dict[str, Any]:
    """What a study holds equal in all of its runs, by dotted name."""
    return dict(_flat(analysis["design"]["held_equal"]))


def _held_equal(first: Analysis, second: Analysis) -> Iterator[Statement]:
    """What the plans of two studies hold equal and vary differently."""
    differing = differing_settings(first, second)
    if differing:
        names, ours, theirs = (list(values) for values in zip(*differing, strict=True))
        yield statement("held_different", names=names, first=ours, second=theirs)
    factors = [
        sorted(factor["name"] for factor in analysis["design"]["factors"])
        for analysis in (first, second)
    ]
    if factors[0] != factors[1]:
        yield statement("averaged_differently", first=factors[0], second=factors[1])


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as pairs of a dotted name and a value."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _notes(pairs: Sequence[_Pair], shared: Shared, *, same_names: bool) -> Iterator[Statement]:
    if shared:
        yield statement("shared_contexts", contexts=len(shared))
    for pair in pairs:
        common = _runs(pair.first) & _runs(pair.second) if same_names else set()
        if common:
            yield statement("runs_in_both", response=pair.name, runs=len(common))
        if pair.smallest is None:
            yield statement("no_margin_in_both", response=pair.name)
        metrics = pair.first["metric"], pair.second["metric"]
        if metrics[0] != metrics[1]:
            yield statement(
                "unlike_metrics", response=pair.name, first=metrics[0], second=metrics[1]
            )


def _runs(response: ResponseAnalysis) -> set[str]:
    return set(response["diagnostics"]["residuals"].get("run", ()))
