"""Tables that no study made: what is odd in one, and what was guessed of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.numbers import count
from ablatekit.report.language.statements.phrases import Words

FEW: Mapping[int, str] = {2: "two", 3: "three", 4: "four", 5: "five"}
SHOWN = 5


def _absent_words(column: str, words: list[str], rows: list[int]) -> str:
    shown = [f"{word!r} in row {row}" for word, row in zip(words, rows, strict=True)]
    return f"{column}: {_first(shown)} {'counts' if len(rows) == 1 else 'count'} as missing"


def _direction_guessed(direction: str, word: str) -> str:
    why = f"by {word!r} in its name" if word else "as its name says nothing else"
    return f"{direction} is better, {why}; --direction decides"


def _spelling_variants(column: str, spellings: list[str]) -> str:
    few = FEW.get(len(spellings), str(len(spellings)))
    shown = ", ".join(map(repr, spellings))
    return (
        f"{column} has {few} spellings: {shown}; they count as {few} levels; merge them if they are"
        " one"
    )


def _repeated_rows(rows: list[int]) -> str:
    where = f"row{'' if len(rows) == 1 else 's'} {_first([str(row) for row in rows])}"
    return f"{where}: the same as an earlier row in every column (copied?); all are analysed"


def _hidden_factor(column: str, levels: list[str]) -> str:
    return (
        "rows that agree in every factor and context count as replicates, but differ in"
        f" {column} ({', '.join(map(repr, levels))}); name it if it is a factor or a context"
    )


def _unlike_outcomes(metrics: list[str], runs: list[int]) -> str:
    parts = [f"{metric} in {count(n, 'run')}" for metric, n in zip(metrics, runs, strict=True)]
    return f"outcome is {', '.join(parts)}; name one with --response if they do not compare"


def _no_numbers(metric: str, words: list[str], rows: int) -> str:
    shown = _first([repr(word) for word in words])
    return f"{metric}: {shown} in {count(rows, 'row')} {_count(rows)} as missing, being no number"


def _count(rows: int) -> str:
    return "counts" if rows == 1 else "count"


def _left_out(names: list[str]) -> str:
    return f"{_first(names)} {'is' if len(names) == 1 else 'are'} left out"


def _first(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more


def _unreadable_logs(runs: list[str]) -> str:
    return f"left out, as nothing of {_their(runs)} can be read: {_first(runs)}"


def _logs_cut(runs: list[str]) -> str:
    missing = f"the end of {_their(runs)} is missing or damaged"
    return f"{missing}, so that last values may be of earlier steps: {_first(runs)}"


def _their(runs: Sequence[str]) -> str:
    return "one log" if len(runs) == 1 else f"{len(runs)} logs"


SENTENCES: Mapping[Code, Words] = {
    # what a table holds
    "absent_words": _absent_words,
    "direction_guessed": _direction_guessed,
    "spelling_variants": _spelling_variants,
    "repeated_rows": _repeated_rows,
    "hidden_factor": _hidden_factor,
    "rows_unplaced": lambda rows: (
        f"{count(rows, 'row')} left out, without a result and without a level of every choice"
    ),
    "failed_left_out": lambda rows: (
        f"{count(rows, 'row')} left out, whose status says that the run has no result"
    ),
    # where runs of other tools come from
    "unreadable_logs": _unreadable_logs,
    "logs_cut": _logs_cut,
    # what a folder of logs holds
    "earlier_left_out": lambda runs: (
        f"{_left_out(runs)}: a later evaluation of the same model and task has the same settings"
    ),
    "copies_left_out": lambda files: f"{_left_out(files)}: another file holds the same evaluation",
    "retried_left_out": lambda runs: f"{_left_out(runs)}: a later log is its retry",
    "no_settings_stated": lambda runs: (
        f"no file beside {_first(runs)} states settings; the folder's name counts as the model"
    ),
    "rows_repeated": lambda source, rows: (
        f"{source}: {count(rows, 'row')} repeat{'s' if rows == 1 else ''} an item and sample;"
        " the last one counts"
    ),
    "no_item_values": lambda metrics: (
        f"{_first(metrics)} left out: not every item has one number of it"
    ),
    "unlike_outcomes": _unlike_outcomes,
    "same_items": lambda dataset, items: (
        f"{count(items, 'item')} of {dataset} {'stands' if items == 1 else 'stand'} there more than"
        " once; the outcomes count as samples of one item"
    ),
    "unlike_items": lambda dataset, items: (
        f"{dataset}: {_first(items)} had another input in another run; items are paired by name, so"
        " check that names mean the same items"
    ),
    "items_without_outcome": lambda rows, runs: (
        f"{count(rows, 'row')} of {count(runs, 'run')} {'has' if rows == 1 else 'have'} no outcome"
        f" and {_count(rows)} as missing"
    ),
    "no_numbers": _no_numbers,
    # tests of outcomes
    "outcomes_agree": "outcomes of 0 and 1 agree within every cell, so nothing estimates the"
    " {noise}",
    "tested_by_permutation": "outcomes of 0 and 1 agree within every cell: p values of average"
    " effects are those of the permutation test, and there are no intervals",
    "permutation_test": "permutation test, labels exchanged within combination and context",
}
"""The words of every such code."""
