"""What a look at the runs of a proposal should not miss: seeds, repeats, holes, how runs ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Integers
from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.proposal.columns import RunColumn
from ablatekit.analysis.proposal.names import is_context, is_model, is_run_id
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
    ended = _ended_rows(parts)
    rows = ended[_with_values(responses, ended)]
    kept = Parts(
        factors=[column.at(rows) for column in parts.factors],
        contexts=[column.at(rows) for column in parts.contexts],
        seeds=[column.at(rows) for column in parts.seeds],
        measures=[column.at(rows) for column in parts.measures],
        names=[column.at(rows) for column in parts.names],
    )
    names = {column.name for column in responses}
    cells = cells_of(kept, len(rows))
    return (
        *always_together(parts),
        *confounded(kept),
        *_same_results(kept, [c for c in kept.measures if c.name in names], cells),
        *_seeds(kept, cells),
        *_repeated_ids(kept, cells),
        *_ended(parts),
        *_without_result(responses, ended),
        *_holes(parts, np.bincount(cells)),
        *_single_contexts(parts),
    )


def _ended_rows(parts: Parts) -> Integers:
    """Positions of the runs that may have a result, by the column `status`."""
    ended = np.ones(len(parts.factors[0].codes), dtype=np.bool_)
    for column in parts.status:
        if column.name == STATUS:
            lost = [ending_of(level) in ("failed", "missing") for level in column.levels]
            ended = ~np.array([*lost, False])[column.codes]
    return np.flatnonzero(ended) if ended.any() else np.arange(len(ended))


def _with_values(responses: Sequence[RunColumn], rows: Integers) -> Booleans:
    """Which of some rows have a value in a response; all, where none has or nothing is measured."""
    valued = np.zeros(len(rows), dtype=np.bool_)
    for column in responses:
        valued |= ~np.isnan(column.numbers[rows])
    return valued if valued.any() else ~valued


def _without_result(responses: Sequence[RunColumn], ended: Integers) -> Iterator[Statement]:
    """Runs that ended and lack a response."""
    lacking = {column.name: np.isnan(column.numbers[ended]) for column in responses}
    names = [name for name, empty in lacking.items() if empty.any()]
    if names:
        runs = int(np.any([lacking[name] for name in names], axis=0).sum())
        yield statement("no_result", columns=names, runs=runs)


def _repeated_ids(parts: Parts, cells: Integers) -> Iterator[Statement]:
    """Identifiers that several runs have; labels of few repeats, other ones in a cell, are none.

    What a reader has called runs is not unique in every tool.
    """
    for column in parts.names:
        if column.role is not None or not is_run_id(column.name) or column.distinct < 2:
            continue
        filled = column.codes >= 0
        repeated = _later(column.codes) & filled
        in_cell = _later(groups([*parts.factors, *parts.contexts, column], len(cells))) & filled
        if repeated.any() and (in_cell.any() or 2 * repeated.sum() < filled.sum()):
            yield statement("run_id_repeated", column=column.name, runs=int(repeated.sum()))


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
    elif int(repeated.sum()) > _by_chance(several, cells):
        yield statement("results_repeated", runs=int(repeated.sum()))


def _by_chance(measures: Sequence[RunColumn], cells: Integers) -> float:
    """How many repeats agree by chance where results are rounded, as accuracies of few items are.

    Every pair of a cell could; the results of a cell lie within a tenth of the range of all.
    """
    sizes = np.bincount(cells).astype(float)
    pairs = float((sizes * (sizes - 1) / 2).sum())
    return pairs / float(np.prod([max(1.0, _steps(column) / 10) for column in measures]))


def _steps(column: RunColumn) -> float:
    """The range of a measure in units of the smallest difference between its values."""
    values = np.unique(column.numbers)
    values = values[np.isfinite(values)]
    return float(np.ptp(values) / np.diff(values).min()) if len(values) > 1 else 1.0


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
    """Models, data sets and the like of which there is one, where none of their kind varies."""
    varied = {is_model(column.name) for column in (*parts.contexts, *parts.factors)
              if is_context(column.name)}  # fmt: skip
    for left in parts.left_out:
        constant = left.reason["code"] == "column_constant" and is_context(left.column)
        if constant and is_model(left.column) not in varied:
            level = left.reason["arguments"]["level"]
            yield statement("single_context", column=left.column, level=level)
