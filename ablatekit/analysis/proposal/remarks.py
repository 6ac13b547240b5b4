"""What a look at the runs of a proposal should not miss: seeds, repeats, holes, how runs ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Integers
from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.proposal.columns import RunColumn
from ablatekit.analysis.proposal.names import is_context
from ablatekit.analysis.proposal.parts import Parts
from ablatekit.analysis.proposal.structure import (
    always_together,
    cells_of,
    confounded,
    possible_cells,
)
from ablatekit.analysis.proposal.together import groups
from ablatekit.analysis.tables.words import STATUS, ending_of


def remarks(parts: Parts, responses: Sequence[RunColumn]) -> tuple[Statement, ...]:
    """Everything of note about the runs, the gravest first.

    Of runs whose status says that they have no result it is said that they have none.
    """
    rows = _with_result(parts)
    kept = Parts(
        factors=[column.at(rows) for column in parts.factors],
        contexts=[column.at(rows) for column in parts.contexts],
        seeds=[column.at(rows) for column in parts.seeds],
        measures=[column.at(rows) for column in parts.measures],
    )
    names = {column.name for column in responses}
    cells = cells_of(kept, len(rows))
    return (
        *always_together(parts),
        *confounded(kept),
        *_same_results(kept, [c for c in kept.measures if c.name in names], cells),
        *_seeds(kept, cells),
        *_ended(parts),
        *_holes(parts, np.bincount(cells)),
        *_single_contexts(parts),
    )


def _with_result(parts: Parts) -> Integers:
    """Positions of the runs that may have a result, by the column `status`."""
    ended = np.ones(len(parts.factors[0].codes), dtype=np.bool_)
    for column in parts.status:
        if column.name == STATUS:
            lost = [ending_of(level) in ("failed", "missing") for level in column.levels]
            ended = ~np.array([*lost, False])[column.codes]
    return np.flatnonzero(ended) if ended.any() else np.arange(len(ended))


def _same_results(
    parts: Parts, responses: Sequence[RunColumn], cells: Integers
) -> Iterator[Statement]:
    """Repeats that agree to the last digit, in the responses and in all else that is measured."""
    total = int(cells.max()) + 1
    several = [column for column in parts.measures if 2 * column.distinct > total]
    if not any(column in several for column in responses):
        return
    valued = np.all([column.codes >= 0 for column in responses], axis=0)
    both = groups([*parts.factors, *parts.contexts, *several], len(cells))
    repeated = _later(both) & valued
    repeats = int((_later(cells) & valued).sum())
    if repeats and int(repeated.sum()) == repeats:
        yield statement("repeats_agree", runs=repeats)
    elif repeated.any():
        yield statement("results_repeated", runs=int(repeated.sum()))


def _later(numbers: Integers) -> Booleans:
    """Whether a number has stood in an earlier row."""
    later = np.ones(len(numbers), dtype=np.bool_)
    later[np.unique(numbers, return_index=True)[1]] = False
    return later


def _seeds(parts: Parts, cells: Integers) -> Iterator[Statement]:
    """Seeds that are the same in every run, or twice in one cell."""
    if not parts.seeds:
        return
    fixed = [c for c in parts.seeds if c.distinct == 1 and not c.gaps]
    if len(fixed) == len(parts.seeds):
        code: Code = "one_seed_repeated" if _later(cells).any() else "one_seed"
        yield statement(code, column=fixed[0].name, seed=fixed[0].levels[0])
        return
    both = groups([*parts.factors, *parts.contexts, *parts.seeds], len(cells))
    twice = int(_later(both).sum())
    if twice:
        yield statement("seed_twice", columns=[c.name for c in parts.seeds], runs=twice)


def _ended(parts: Parts) -> Iterator[Statement]:
    """Runs without a regular end, as far as a column says so."""
    stated = [column for column in parts.status if column.name == STATUS]
    for column in stated or parts.status:
        endings = [ending_of(level) for level in column.levels]
        counts = np.bincount(column.codes[column.codes >= 0], minlength=column.distinct)
        failed, waiting = (
            int(sum(n for n, ending in zip(counts, endings, strict=True) if ending == wanted))
            for wanted in ("failed", "missing")
        )
        if column.name != STATUS:
            if failed or waiting:
                yield statement("status_not_read", column=column.name, runs=failed + waiting)
        elif failed or waiting:
            yield statement("runs_not_ended", failed=failed, waiting=waiting)


def _holes(parts: Parts, sizes: Integers) -> Iterator[Statement]:
    """Combinations without a run, and cells with more runs than others."""
    possible = possible_cells(parts)
    conditional = any(column.gaps for column in parts.factors)
    if len(sizes) < possible and not conditional:
        yield statement("cells_without_runs", empty=possible - len(sizes), cells=possible)
    if len(sizes) and sizes.min() < sizes.max():
        yield statement("unequal_replicates", fewest=int(sizes.min()), most=int(sizes.max()))


def _single_contexts(parts: Parts) -> Iterator[Statement]:
    """Models, data sets and the like of which there is one."""
    for left in parts.left_out:
        if left.reason["code"] == "column_constant" and is_context(left.column):
            level = left.reason["arguments"]["level"]
            yield statement("single_context", column=left.column, level=level)
