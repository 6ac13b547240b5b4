"""Every estimand of a design as a linear contrast of cells (DESIGN 5).

A contrast is a set of combinations, averaged with equal weight; each combination is a small
weighted sum of cells: level minus baseline for an effect, difference of differences for an
interaction. Which combinations a context has decides what it averages there; how cell means are
estimated is a model's business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import factorial
from typing import TypeAlias

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.vocabulary import Estimand, Statement, statement

Place: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Levels of the changed factors, and codes of what joins with each."""

DIFFERENCE = np.array([1.0, -1.0])
DIFFERENCE_OF_DIFFERENCES = np.array([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Contrast:
    """`codes` (combinations, m) holds cell codes, `weights` (combinations, m) those cells' weights.

    `reason` is set when the design contains no combination; `varied` are the positions of the
    factors that the contrast changes; `grid` marks combinations taken from the grid of all levels
    because the design itself contains none; `notes` say what the combinations are. Rows that
    `combination` (rows,) gives one number are one combination with different levels of a factor
    that exists on one side only; without it every row is a combination of its own.
    """

    factor: str
    level: str
    baseline: str
    estimand: Estimand
    varied: tuple[int, ...]
    codes: Integers
    weights: Floats
    reason: Statement | None = None
    grid: bool = False
    notes: tuple[Statement, ...] = ()
    combination: Integers | None = None

    @cached_property
    def combinations(self) -> int:
        """How many combinations the contrast averages."""
        return len(self.codes) if self.combination is None else len(np.unique(self.combination))

    @property
    def first_rows(self) -> Integers:
        """A row of every combination."""
        if self.combination is None:
            return np.arange(len(self.codes), dtype=np.int64)
        return np.unique(self.combination, return_index=True)[1].astype(np.int64)

    def matched(self, complete: Booleans) -> Booleans:
        """Which combinations (k, C) have a row that is complete, of `complete` (rows, C)."""
        if self.combination is None:
            return complete
        _, place = np.unique(self.combination, return_inverse=True)
        there = np.zeros((self.combinations, complete.shape[1]), dtype=np.bool_)
        np.logical_or.at(there, place, complete)
        return there

    def shares(self, complete: Booleans) -> Floats:
        """The weight of every row (rows, C): equal on combinations, and on the rows of each."""
        matched = np.maximum(self.matched(complete).sum(axis=0), 1)
        if self.combination is None:
            return np.asarray(complete / matched)
        _, place = np.unique(self.combination, return_inverse=True)
        rows = np.zeros((self.combinations, complete.shape[1]))
        np.add.at(rows, place, complete)
        return np.asarray(complete / np.maximum(rows[place], 1.0) / matched)

    def everything(self) -> Floats:
        """The weight of every row (rows,) where all of them count."""
        return self.shares(np.ones((len(self.codes), 1), dtype=np.bool_))[:, 0]


@dataclass(frozen=True)
class Pairs:
    """Matched pairs of cells at a level and at the baseline, as in `Contrast`.

    `others` (pairs, m, F) are level indices in which what the pair itself changes is masked with
    -1, as is a factor that does not exist there.
    """

    codes: Integers
    weights: Floats
    others: Integers
    combination: Integers | None = None


def effect_contrasts(layout: Layout, codes: Integers, estimand: Estimand) -> list[Contrast]:
    """One contrast for each compared level of each factor, from the cells in `codes`."""
    build = {"average": average, "baseline": at_baseline, "removal": removal, "shapley": shapley}
    return [
        build[estimand](layout, codes, factor, level)
        for factor in range(len(layout.factors))
        for level in layout.compared(factor)
    ]


def average(layout: Layout, codes: Integers, factor: int, level: int) -> Contrast:
    """Level minus baseline over every combination of the others that has both (matched pairs)."""
    pairs = matched_pairs(layout, codes, factor, level)
    everything = np.ones(len(pairs.codes), dtype=bool)
    return _effect(layout, "average", factor, level, pairs, everything)


def at_baseline(layout: Layout, codes: Integers, factor: int, level: int) -> Contrast:
    """Level minus baseline with every other factor at its baseline: the marginal gain."""
    pairs = matched_pairs(layout, _joining_at(layout, codes, factor, True), factor, level)
    return _effect(layout, "baseline", factor, level, pairs, _all_others(layout, pairs, True))


def removal(layout: Layout, codes: Integers, factor: int, level: int) -> Contrast:
    """Level minus baseline with every other factor at a non-baseline level (leave one out).

    A factor with several non-baseline levels enters with equal weight on each of them.
    """
    pairs = matched_pairs(layout, _joining_at(layout, codes, factor, False), factor, level)
    return _effect(layout, "removal", factor, level, pairs, _all_others(layout, pairs, False))


def shapley(layout: Layout, codes: Integers, factor: int, level: int) -> Contrast:
    """The mean gain of switching the factor on, over all orders of switching all factors on.

    Shapley (1953): subsets S of the other F - 1 factors weigh |S|! (F - 1 - |S|)! / F!.
    """
    pairs = matched_pairs(layout, codes, factor, level)
    count = len(layout.factors)
    if (layout.sizes != 2).any() or len(np.unique(codes)) < layout.grid_size:
        nothing = np.zeros(len(pairs.codes), dtype=bool)
        return _effect(layout, "shapley", factor, level, pairs, nothing)
    on = (layout.decode(pairs.codes[:, 1]) != layout.baselines).sum(axis=1)
    shares = [factorial(s) * factorial(count - 1 - s) / factorial(count) for s in on.tolist()]
    weighted = (np.array(shares)[:, None] * pairs.weights).reshape(1, -1)
    whole = Pairs(pairs.codes.reshape(1, -1), weighted, pairs.others)
    return _effect(layout, "shapley", factor, level, whole, np.ones(1, dtype=bool))


def interaction_contrasts(layout: Layout, codes: Integers) -> list[Contrast]:
    """Every two-way difference of differences between compared levels and baselines."""
    return [
        _interaction(layout, codes, pair, (first, second))
        for pair in combinations(range(len(layout.factors)), 2)
        for first in layout.compared(pair[0])
        for second in layout.compared(pair[1])
    ]


def _interaction(
    layout: Layout, codes: Integers, pair: tuple[int, int], levels: tuple[int, int]
) -> Contrast:
    quads = _quadruples(layout, codes, pair, levels)
    names = [layout.factors[f] for f in pair]
    return Contrast(
        factor=":".join(factor.name for factor in names),
        level=":".join(layout.level(f, level) for f, level in zip(pair, levels, strict=True)),
        baseline=":".join(factor.baseline for factor in names),
        estimand="interaction",
        varied=pair,
        codes=quads.codes,
        weights=quads.weights,
        reason=None if len(quads.codes) else statement("no_quadruple"),
        combination=quads.combination,
    )


def _quadruples(
    layout: Layout, codes: Integers, pair: tuple[int, int], levels: tuple[int, int]
) -> Pairs:
    """The cells of every complete difference of differences.

    A factor that exists at one level of the pair only is at one level on both of its cells there.
    """
    bases = (int(layout.baselines[pair[0]]), int(layout.baselines[pair[1]]))
    joining = [
        [i for i in _joining(layout, f, level) if i not in pair]
        for f, level in zip(pair, levels, strict=True)
    ]
    joining[1] = [i for i in joining[1] if i not in joining[0]]
    if joining[0] or joining[1]:
        corners = [levels, (bases[0], levels[1]), (levels[0], bases[1]), bases]
        return _combinations(layout, codes, pair, corners, DIFFERENCE_OF_DIFFERENCES, joining)
    cells = layout.decode(codes)
    both = codes[(cells[:, pair[0]] == levels[0]) & (cells[:, pair[1]] == levels[1])]
    to_first, to_second = (
        (base - level) * int(layout.strides[f])
        for f, level, base in zip(pair, levels, bases, strict=True)
    )
    quads = np.stack([both, both + to_first, both + to_second, both + to_first + to_second], axis=1)
    quads = quads[np.isin(quads, codes).all(axis=1)]
    return Pairs(
        quads, np.tile(DIFFERENCE_OF_DIFFERENCES, (len(quads), 1)), np.empty((0, 4, 0), np.int64)
    )


def matched_pairs(layout: Layout, codes: Integers, factor: int, level: int) -> Pairs:
    """The pairs of cells that differ in this factor only.

    A factor that exists at one of the two levels only goes with it: that side is then the mean over
    the levels at which it exists, in every context over those that have runs there.
    """
    baseline = int(layout.baselines[factor])
    joining = _joining(layout, factor, level)
    if joining:
        sides = [(level,), (baseline,)]
        return _combinations(layout, codes, (factor,), sides, DIFFERENCE, [joining])
    at_level = codes[layout.decode(codes)[:, factor] == level]
    partner = at_level + (baseline - level) * layout.strides[factor]
    pairs = np.stack([at_level, partner], axis=1)[np.isin(partner, codes)]
    others = layout.decode(pairs)
    others[:, :, factor] = -1
    return Pairs(pairs, np.tile(DIFFERENCE, (len(pairs), 1)), _masked(layout, others))


def _joining(layout: Layout, factor: int, level: int) -> list[int]:
    """The factors that exist at this level or at the baseline, but not at both; and theirs."""
    baseline = int(layout.baselines[factor])
    joining = [
        conditional.inner
        for conditional in layout.conditionals
        if conditional.outer == factor
        and (level in conditional.inside) != (baseline in conditional.inside)
    ]
    return [*joining, *layout.under(joining)]


def _combinations(
    layout: Layout,
    codes: Integers,
    changed: tuple[int, ...],
    sides: Sequence[tuple[int, ...]],
    signs: Floats,
    joining: Sequence[Sequence[int]],
) -> Pairs:
    """Rows of one cell for each side, which agree in all factors but `changed` and `joining`.

    A side is the levels of the changed factors. Cells at the same level of a changed factor agree
    in what joins with it; rows that differ in that alone are one combination.
    """
    cells = layout.decode(codes)
    dropped = [*changed, *(inner for part in joining for inner in part)]
    rest = codes - cells[:, dropped] @ layout.strides[dropped]
    inner = np.stack([cells[:, list(p)] @ layout.strides[list(p)] for p in joining], axis=1)
    levels = cells[:, list(changed)]
    groups: dict[int, dict[Place, int]] = defaultdict(dict)
    for key, at, goes, code in zip(
        *map(np.ndarray.tolist, (rest, levels, inner, codes)), strict=True
    ):
        if tuple(at) in sides:
            groups[key][tuple(at), tuple(goes)] = code
    rows = [
        (number, row) for number, there in enumerate(groups.values()) for row in _rows(there, sides)
    ]
    chosen = np.array([row for _, row in rows], dtype=np.int64).reshape(-1, len(sides))
    others = layout.decode(chosen)
    others[:, :, dropped] = -1
    weights = np.tile(signs, (len(chosen), 1))
    number = np.array([number for number, _ in rows], dtype=np.int64)
    return Pairs(chosen, weights, _masked(layout, others), number)


def _rows(there: Mapping[Place, int], sides: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """Every choice of what joins at each level of the changed factors that has all its cells."""
    options: dict[tuple[int, int], dict[int, None]] = defaultdict(dict)
    for levels, inner in there:
        for place, (level, goes) in enumerate(zip(levels, inner, strict=True)):
            options[place, level][goes] = None
    if any((place, level) not in options for side in sides for place, level in enumerate(side)):
        return
    for choice in product(*options.values()):
        joined = dict(zip(options, choice, strict=True))
        places = [(side, tuple(joined[at] for at in enumerate(side))) for side in sides]
        if all(place in there for place in places):
            yield [there[place] for place in places]


def _joining_at(layout: Layout, codes: Integers, factor: int, at_baseline: bool) -> Integers:
    """The cells in which factors that exist under some levels of this one are at their baseline.

    Or, with `at_baseline` false, away from it; cells where they do not exist are among them.
    """
    cells = layout.decode(codes)
    keep = np.ones(len(codes), dtype=bool)
    for inner in layout.under([factor]):
        baseline, absent = layout.baselines[inner], layout.absent[inner]
        level = cells[:, inner]
        at = level == baseline
        only = baseline == absent  # one level where it exists: at no distance
        keep &= (level == absent) | only | (at if at_baseline else ~at)
    return codes[keep]


def _masked(layout: Layout, others: Integers) -> Integers:
    """Level indices with -1 where the factor does not exist, or has one level where it does."""
    return np.where((others == layout.absent) | (layout.baselines == layout.absent), -1, others)


def _all_others(layout: Layout, pairs: Pairs, at_baseline: bool) -> Booleans:
    """Whether all other factors that exist are at their baseline, or all away from it, (pairs,)."""
    same = pairs.others == layout.baselines
    fits = (pairs.others < 0) | (same if at_baseline else ~same)
    return np.asarray(fits.all(axis=(1, 2)), dtype=np.bool_)


NO_COMBINATION: Mapping[Estimand, Code] = {
    "average": "no_matched_pair",
    "baseline": "no_pair_at_baseline",
    "removal": "no_pair_off_baseline",
    "shapley": "incomplete_for_shapley",
}


def _effect(
    layout: Layout, estimand: Estimand, factor: int, level: int, pairs: Pairs, keep: Booleans
) -> Contrast:
    """The contrast over the pairs to keep; without any, the reason that fits best."""
    reason = None
    if not keep.any():
        structural = why_never_compared(layout, factor, level)
        reason = structural or statement(NO_COMBINATION[estimand])
    return Contrast(
        factor=layout.factors[factor].name,
        level=layout.level(factor, level),
        baseline=layout.factors[factor].baseline,
        estimand=estimand,
        varied=(factor,),
        codes=pairs.codes[keep],
        weights=pairs.weights[keep],
        combination=None if pairs.combination is None else pairs.combination[keep],
        reason=reason,
        notes=_notes(layout, factor, level),
    )


def why_never_compared(layout: Layout, factor: int, level: int) -> Statement | None:
    """The reason that lies in the factor itself: it exists at one level only where it exists."""
    for conditional in layout.conditionals:
        only = layout.baselines[factor] == conditional.absent
        if conditional.inner == factor and only:
            return statement(
                "one_level_inside",
                level=layout.level(factor, level),
                outer=layout.factors[conditional.outer].name,
                inside=[layout.level(conditional.outer, i) for i in sorted(conditional.inside)],
            )
    return None


def _notes(layout: Layout, factor: int, level: int) -> tuple[Statement, ...]:
    """Where a nested level is compared, and what goes along with a level that carries others."""
    baseline = int(layout.baselines[factor])
    notes = []
    inside = _only_under(layout, factor, level)
    if inside is not None:
        outer, under = inside
        name = layout.factors[outer].name
        notes.append(statement("compared_inside", outer=name, level=layout.level(outer, under)))
    for conditional in layout.conditionals:
        sides = (level in conditional.inside, baseline in conditional.inside)
        if conditional.outer == factor and sides[0] != sides[1]:
            only = layout.level(factor, level if sides[0] else baseline)
            for inner in (conditional.inner, *layout.under([conditional.inner])):
                name = layout.factors[inner].name
                notes.append(statement("goes_along", factor=name, level=only))
    return tuple(notes)


def _only_under(layout: Layout, factor: int, level: int) -> tuple[int, int] | None:
    """The other factor and its level under which alone a level exists.

    Under a baseline this goes without saying: designs that change one factor at a time are such.
    """
    at_level = layout.cells[layout.cells[:, factor] == level]
    conditional = {pair.outer for pair in layout.conditionals if pair.inner == factor}
    for outer in range(len(layout.factors)):
        under = np.unique(at_level[:, outer])
        away = outer in conditional or under[0] != layout.baselines[outer]
        if outer != factor and len(under) == 1 and away:
            return outer, int(under[0])
    return None
