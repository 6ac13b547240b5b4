"""Two studies side by side: which average effects agree.

The two narrow estimates of one level are compared by the rule of every verdict (DESIGN 5), on their
difference: `agree` when its 1 - 2 alpha interval lies inside the smallest effect that matters,
`differ` when its Holm-adjusted p is below alpha within one response, else `undecided`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ablatekit.analysis.core.lookup import Comparison, alpha_of, comparisons, find_effect
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Number, Verdict
from ablatekit.analysis.stats.inference import Estimate, t_estimate
from ablatekit.analysis.stats.verdict import Judgement, VerdictRule, judge
from ablatekit.report.language.numbers import scale_of
from ablatekit.report.language.reading import flatten

Agreement: TypeAlias = Literal["agree", "differ", "undecided", "not compared"]
INDEPENDENT = "Welch t of independent estimates, no context in both studies"
PAIRED = "paired t over the contexts of both studies, df = contexts - 1"
FEWEST_PAIRS = 3
AGREEMENTS: Mapping[Verdict, Agreement] = {
    "equivalent": "agree", "helps": "differ", "hurts": "differ", "inconclusive": "undecided",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedEffect:
    """One level in both studies; `difference` is the second estimate minus the first.

    Over shared contexts `difference` is the mean of the paired ones, so it may not be the
    difference of the two estimates.
    """

    response: str
    factor: str
    level: str
    baseline: str
    first: Number
    first_verdict: str
    second: Number
    second_verdict: str
    difference: Number
    se: Number
    df: Number
    low: Number
    high: Number
    p: Number
    p_adjusted: Number
    method: str
    agreement: Agreement
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyComparison:
    """All levels that both studies have, and what only one of them has."""

    names: tuple[str, str]
    alpha: float
    contexts: Literal["disjoint", "overlapping"]
    effects: tuple[ComparedEffect, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    notes: tuple[str, ...]

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

    Where no context is in both, the difference has a Welch t test. Where some are, the studies
    share evaluation items and the contexts' own deviations: effects are paired by context.
    """
    alpha = max(alpha_of(first), alpha_of(second))
    shared = [name for name in _contexts(first) if name in set(_contexts(second))]
    pairs = [
        _Pair(name, response, second["responses"][name])
        for name, response in first["responses"].items()
        if name in second["responses"]
    ]
    levels = [level for level in comparisons(first) if level in comparisons(second)]
    names = _parts(first), _parts(second)
    return StudyComparison(
        names=(_name(first), _name(second)),
        alpha=alpha,
        contexts="overlapping" if shared else "disjoint",
        effects=tuple(row for pair in pairs for row in _rows(pair, levels, shared, alpha)),
        only_first=tuple(name for name in names[0] if name not in names[1]),
        only_second=tuple(name for name in names[1] if name not in names[0]),
        notes=(*_held_equal(first, second), *_notes(pairs, shared)),
    )


def _name(analysis: Analysis) -> str:
    return str(analysis["study"].get("title") or analysis["study"].get("name") or "study")


def _contexts(analysis: Analysis) -> list[str]:
    """The labels of its contexts; none for a study without blocking variables."""
    responses = analysis["responses"].values() if any(analysis["design"]["contexts"]) else ()
    return list(dict.fromkeys(row["context"] for one in responses for row in one["contexts"]))


def _parts(analysis: Analysis) -> list[str]:
    """Responses and levels in words."""
    levels = [f"{one.factor}: {one.level} vs {one.baseline}" for one in comparisons(analysis)]
    return [*(f"response {name}" for name in analysis["responses"]), *levels]


def _rows(
    pair: _Pair, levels: Sequence[Comparison], shared: Sequence[str], alpha: float
) -> Iterator[ComparedEffect]:
    found = [
        (level, first, second)
        for level in levels
        if (first := find_effect(pair.first["effects"], level, "narrow")) is not None
        and (second := find_effect(pair.second["effects"], level, "narrow")) is not None
    ]
    if _unlike(pair):
        differences = [Estimate(reason=_unlike(pair)) for _ in found]
    elif shared:
        differences = [_paired(pair, level, shared, alpha) for level, _, _ in found]
    else:
        differences = [_independent(first, second, alpha) for _, first, second in found]
    judgements = judge(
        differences, VerdictRule(alpha=alpha, adjust="holm", smallest_effect=pair.smallest)
    )
    for (level, *effects), difference, judgement in zip(
        found, differences, judgements, strict=True
    ):
        yield _row(pair.name, level, effects, difference, judgement)


def _unlike(pair: _Pair) -> str:
    """Why the two responses are not on one scale."""
    for key in ("summary", "direction", "unit"):
        ours, theirs = pair.first[key], pair.second[key]
        if ours != theirs:
            return f"the studies differ in the {key} of {pair.name}: {ours!r} and {theirs!r}"
    return ""


def _independent(first: Effect, second: Effect, alpha: float) -> Estimate:
    """Difference of two independent estimates, df after Welch (1947)."""
    numbers = [
        value
        for effect in (first, second)
        for value in (effect["estimate"], effect["se"], effect["df"])
        if value is not None
    ]
    if len(numbers) < 6:
        return Estimate(reason="one of the studies has no standard error for it")
    estimate, se, df, other, other_se, other_df = numbers
    variances = np.array([se**2, other_se**2])
    if not variances.sum() > 0:
        return Estimate(reason="no run-to-run variation in either study")
    welch = variances.sum() ** 2 / (variances**2 / np.array([df, other_df])).sum()
    spread = float(np.sqrt(variances.sum()))
    return t_estimate(other - estimate, spread, float(welch), alpha, INDEPENDENT)


def _paired(pair: _Pair, level: Comparison, shared: Sequence[str], alpha: float) -> Estimate:
    """Mean difference of the effects inside the contexts that both studies have."""
    ours, theirs = (_by_context(part, level) for part in (pair.first, pair.second))
    values = [theirs[name] - ours[name] for name in shared if name in ours and name in theirs]
    if len(values) < FEWEST_PAIRS:
        return Estimate(
            reason=f"{len(values)} of at least {FEWEST_PAIRS} shared contexts hold this contrast"
        )
    se = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    if not se > 0:
        return Estimate(
            reason="the effects differ by the same amount in every context: shared runs?"
        )
    return t_estimate(float(np.mean(values)), se, len(values) - 1, alpha, PAIRED)


def _by_context(response: ResponseAnalysis, level: Comparison) -> dict[str, float]:
    return {
        row["context"]: float(row["estimate"])
        for row in response["contexts"]
        if (row["factor"], row["level"]) == (level.factor, level.level)
        and row["estimate"] is not None
    }


def _row(
    response: str,
    level: Comparison,
    effects: Sequence[Effect],
    difference: Estimate,
    judgement: Judgement,
) -> ComparedEffect:
    first, second = effects
    return ComparedEffect(
        response=response,
        factor=level.factor,
        level=level.level,
        baseline=level.baseline,
        first=first["estimate"],
        first_verdict=first["verdict"],
        second=second["estimate"],
        second_verdict=second["verdict"],
        difference=_known(difference.estimate),
        se=_known(difference.se),
        df=_known(difference.df),
        low=_known(difference.low),
        high=_known(difference.high),
        p=_known(difference.p),
        p_adjusted=_known(judgement.p_adjusted),
        method=difference.method,
        agreement=AGREEMENTS.get(judgement.verdict, "not compared"),
        reason=difference.reason,
    )


def _known(value: float) -> Number:
    return None if np.isnan(value) else value


def _held_equal(first: Analysis, second: Analysis) -> Iterator[str]:
    """Settings that each study holds equal in all of its runs, but at different values."""
    held = (dict(flatten(one["design"]["held_equal"])) for one in (first, second))
    ours, theirs = held
    different = [
        f"{name} {ours[name]} against {theirs[name]}"
        for name in ours
        if name in theirs and ours[name] != theirs[name]
    ]
    if different:
        yield f"The studies hold different things equal: {'; '.join(different)}."
    factors = [{one["name"] for one in part["design"]["factors"]} for part in (first, second)]
    if factors[0] != factors[1]:
        yield (
            f"Effects are averaged over other factors too: {', '.join(sorted(factors[0]))} against"
            f" {', '.join(sorted(factors[1]))}."
        )


def _notes(pairs: Sequence[_Pair], shared: Sequence[str]) -> Iterator[str]:
    if shared:
        yield (
            f"{len(shared)} contexts are in both studies: effects are paired by context, and speak"
            " for contexts like these."
        )
    for pair in pairs:
        common = _runs(pair.first) & _runs(pair.second)
        if common:
            yield f"{pair.name}: {len(common)} runs are in both studies, which pulls them together."
        if pair.smallest is None:
            yield f"{pair.name}: without a smallest effect in both studies nothing can agree."
        if not _unlike(pair) and scale_of(pair.first).unit != scale_of(pair.second).unit:
            yield f"{pair.name}: the studies show it in different units."


def _runs(response: ResponseAnalysis) -> set[str]:
    return set(response["diagnostics"]["residuals"].get("run", ()))
