"""What is proposed for a table of runs: why columns have no part, and what to know of the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.numbers import count
from ablatekit.report.language.statements.phrases import Words, first_few


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _rows_doubled(column: str, levels: list[str], kept: str) -> str:
    return (
        f"the rows of one run differ in {column} ({first_few(levels)}), which would count every run"
        f" {len(levels)} times; only rows with {kept} are used; --where '{column}=LEVEL' takes"
        " others"
    )


def _always_together(first: str, second: str) -> str:
    return (
        f"{second} never changed without {first}: what is said of {first} is the effect of both"
        " together"
    )


def _changed_together(first: str, second: str, runs: int, of_runs: int) -> str:
    return (
        f"{second} changed together with {first} in {runs:,} of {of_runs:,} runs: their effects are"
        " hard to tell apart"
    )


def _repeats_agree(runs: int) -> str:
    return (
        f"all {count(runs, 'repeat')} of a cell gave exactly the results of an earlier run: the"
        " seeds did not change anything, or runs were copied; there is no measure of chance"
    )


def _results_repeated(runs: int) -> str:
    of_runs = "1 run has" if runs == 1 else f"{runs:,} runs have"
    return f"{of_runs} exactly the results of an earlier run of the same cell (copied or resumed?)"


def _seed_twice(columns: list[str], runs: int) -> str:
    repeat = "1 run repeats" if runs == 1 else f"{runs:,} runs repeat"
    return f"{repeat} the {_and(columns)} of another run of the same cell; all count as replicates"


def _runs_not_ended(failed: int, waiting: int) -> str:
    parts = [f"{count(failed, 'run')} failed"] if failed else []
    parts += [f"{count(waiting, 'run')} had not ended"] if waiting else []
    return f"{' and '.join(parts)}; they count as missing"


def _status_not_read(column: str, runs: int) -> str:
    return (
        f"{column} says that {count(runs, 'run')} did not end regularly, and their values are used;"
        " rename the column to status to leave them out"
    )


def _unequal_replicates(fewest: int, most: int) -> str:
    return f"cells have between {fewest:,} and {most:,} runs"


def _lacks_factor(runs: int) -> str:
    return f"no column of the {count(runs, 'run')} varies as a choice does"


SENTENCES: Mapping[Code, Words] = {
    # why a column has no part
    "column_excluded": "excluded",
    "column_filtered": "only rows with {level}",
    "column_about": "names or dates runs",
    "column_constant": "always {level}",
    "column_unique": "another value in every row",
    "column_many_values": lambda levels: (
        f"{levels:,} values, too many for a choice (a number may enter a --formula)"
    ),
    "column_empty": "empty",
    "column_unnamed": "it has no name",
    "column_not_nameable": "a comma or a blank at an end of its name: rename it to use it",
    "column_repeated": "its name stands twice; the first one is used",
    "column_of_items": "tells items of a run apart",
    "column_measures": "measured, too: add it to --response",
    "column_not_asked": "varies, but is not one of {option}",
    "column_combines": lambda columns: f"names combinations of {_and(columns)}",
    "column_same": "says the same as {column}",
    "column_always_with": "never changes without {column}, so that nothing tells them apart",
    "column_decided_by": "follows from {column}",
    "column_follows": lambda columns: f"follows from {_and(columns)}",
    "column_gaps": lambda rows: f"empty in {count(rows, 'row')} for no reason in the table",
    "column_beyond": "varies, too; of more than {most} choices name some by --factors",
    "column_too_few_runs": lambda runs: (
        f"varies, too; {count(runs, 'run')} cannot tell so many choices apart"
    ),
    # what to know of the runs
    "always_together": _always_together,
    "changed_together": _changed_together,
    "rows_doubled": _rows_doubled,
    "repeats_agree": _repeats_agree,
    "results_repeated": _results_repeated,
    "one_seed": "every run has {column} {seed}: it is not known what holds for other seeds",
    "one_seed_repeated": "every run has {column} {seed}: repeats of a cell may not be independent",
    "seed_twice": _seed_twice,
    "status_not_read": _status_not_read,
    "runs_not_ended": _runs_not_ended,
    "cells_without_runs": lambda empty, cells: f"{empty:,} of {cells:,} combinations have no run",
    "unequal_replicates": _unequal_replicates,
    "single_context": "there is one {column} only ({level}): nothing says what holds on others",
    # what a proposal lacks
    "lacks_rows": "no row is left",
    "lacks_response": "no column of numbers that vary looks like a result",
    "lacks_factor": _lacks_factor,
    "rows_per_step": "{run} has a row for every {column}: keep the last row of each run",
}
"""The words of every such code."""

USUAL_ORDER = 2
"""The order of interactions that needs no mention."""
PROPOSED = "Proposed, as this command states it (correct what is wrong in it):"
BASELINES = "A baseline is the most frequent level of its factor, of equal ones the first."
LEFT_OUT = "Left out:"
REMEDIES: Mapping[Code, str] = {
    "lacks_rows": "Check --where and --exclude",
    "lacks_response": "Name the column that holds the result: --response COLUMN",
    "lacks_factor": "Name choices by --factors COLUMN,...; of numbers that all differ ask by"
    ' --formula "result ~ log(rate)"',
    "rows_per_step": "The last row of a run is its result; or name a --response and --factors",
}
"""What to do about what a proposal lacks."""


def recognised(source: str, reader: str, rows: int, runs: int) -> str:
    """What a source is."""
    many = count(runs, "run") if rows == runs else f"{count(rows, 'row')} of {count(runs, 'run')}"
    return f"{source}: {many} (read as {reader})"


def response(name: str, direction: str, *, by_item: bool) -> str:
    """What is measured."""
    where = ", of every item" if by_item else ""
    return f"Response: {name} ({direction} is better{where})"


def factor(name: str, levels: Sequence[str], baseline: str | None) -> str:
    """What is chosen, the baseline first."""
    if baseline is None:
        return f"Factor: {name} ({first_few(levels)})"
    others = [level for level in levels if level != baseline]
    return f"Factor: {name} (baseline {baseline}; {first_few(others)})"


def context(name: str, levels: Sequence[str]) -> str:
    """Across what it must hold."""
    return f"Context: {name} ({first_few(levels)})"


def replicates(names: Sequence[str]) -> str:
    """What tells repeats apart."""
    if names:
        return f"Replicates: told apart by {_and(names)}"
    return "Replicates: rows that agree in all of these"
