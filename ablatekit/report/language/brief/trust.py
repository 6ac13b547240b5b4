"""How far to trust an answer, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ablatekit.analysis.core.schema.companions import SecondOpinion
from ablatekit.report.language.brief.headline import WORDS
from ablatekit.report.language.numbers import count, general, sentence
from ablatekit.report.language.reading import Unit
from ablatekit.report.language.scopes import listed, over, variable, variables
from ablatekit.report.language.statements.phrases import first_few

TITLES: Mapping[str, str] = {
    "sound": "Sound evidence",
    "limited": "Limited evidence: read with care",
    "weak": "Weak evidence: hints, not findings",
}
"""What each level of trust is called."""
GUESSED = "Whether higher or lower values are better was guessed from the name of the response."
NOT_PLANNED = (
    "No plan assigned the levels: other differences between the rows may stand behind the effects."
)
NO_CONTEXTS = "No models or data sets are told apart: nothing says whether it holds on others."
NO_SMALLEST = "No smallest effect was declared: nothing can be called too small to matter."
NO_PRICE = "No price is known: what an effect costs is left out."

PLAIN: Mapping[str, Callable[..., str]] = {
    "starts_at_worst": lambda contexts, of_contexts, **_: (
        f"Before training nothing succeeds{_in(contexts, of_contexts)}: there is nothing to"
        " reinforce."
    ),
    "starts_at_best": lambda contexts, of_contexts, **_: (
        f"Before training everything succeeds{_in(contexts, of_contexts)}: nothing is left to"
        " learn."
    ),
    "near_bounds": lambda cells: (
        f"{count(cells, 'mean lies', 'means lie')} within 0.05 of 0 or 1, where effects have no"
        " room."
    ),
    "uneven_contexts": lambda context, share: (
        f"{context} alone holds {share:.0%} of the variation that nothing explains."
    ),
    "shorter_broad": lambda scope, **_: (
        f"Intervals {over(scope)} may be too short: the few values behind them lie close together"
        " by chance."
    ),
    "few_error_cells": lambda replicated, cells, **_: (
        f"Only {replicated:,} of {count(cells, 'cell')} were repeated; they speak for the chance"
        " in all."
    ),
}
"""What some warnings say in a few plain words, by their code; the sections have the whole one."""


def _in(contexts: Sequence[str], of_contexts: int) -> str:
    """Where something is the case; nothing where it is so everywhere."""
    return "" if len(contexts) == of_contexts else f" in {first_few(contexts)}"


def one_per_cell(unit: Unit) -> str:
    """Nothing was repeated."""
    return f"One {unit} per cell: nothing was repeated, so luck and effect are hard to tell apart."


def untested() -> str:
    """No effect has an interval."""
    return "No effect could be tested."


def few_df(df: float) -> str:
    """The error is known from little."""
    return f"Chance is known only roughly ({general(df, 3)} degrees of freedom)."


def additive(order: int) -> str:
    """What a truncated model assumes."""
    if order == 1:
        return "The effects assume that choices add up without interacting."
    number = WORDS[order + 1] if order + 1 < len(WORDS) else str(order + 1)
    return f"The effects assume that no {number} choices interact."


def unmatched(names: Sequence[str]) -> str:
    """Levels that no pair of cells compares."""
    verb = "rests" if len(names) == 1 else "rest"
    return f"{first_few(names)} {verb} on a model alone: no two cells differ in just that choice."


def not_estimated(names: Sequence[str]) -> str:
    """Levels without an effect."""
    verb = "has" if len(names) == 1 else "have"
    return f"{first_few(names)} {verb} no estimate."


def lost(unit: Unit, diverged: int, missing: int, planned: int, *, left_out: bool = False) -> str:
    """Runs that did not end as planned; `left_out`: diverged ones do not enter."""
    enters = f" and {'is' if diverged == 1 else 'are'} left out" if left_out else ""
    parts = [f"{diverged:,} diverged{enters}"] if diverged else []
    parts += [f"{missing:,} {'has' if missing == 1 else 'have'} no value"] if missing else []
    return f"Of {count(planned, unit)}, {listed(parts)}."


def one_level(named: Sequence[tuple[str, str]]) -> str:
    """Blocking variables that have one level each, with it."""
    parts = listed(f"one {variable(name)} ({level})" for name, level in named)
    return f"{sentence(parts)}: nothing says whether it holds on others."


def few_levels(levels: Mapping[str, int], *, tested: bool) -> str:
    """Of how many models and data sets it is; `tested`: beyond them something was said."""
    many = listed(_counted(name, number) for name, number in levels.items())
    if not tested:
        return f"It holds for these {many}: too few to speak for others."
    return f"It holds for these {many}: a small sample to speak for others."


def _counted(name: str, number: int) -> str:
    if number == 1:
        return f"one {variable(name)}"
    return count(number, variable(name), variables(name))


def plainly(code: str, text: str, arguments: Mapping[str, Any]) -> str:
    """A warning in plain words where there are some, else as it is."""
    return PLAIN[code](**arguments) if code in PLAIN else text


def agreed(opinion: SecondOpinion) -> str:
    """A second program came to the same numbers."""
    return (
        f"A second program recomputed {opinion['recomputed']:,} of"
        f" {count(opinion['of'], 'number')} and agrees; the others are beyond what it can do."
    )


def more_remarks(number: int) -> str:
    """How many smaller warnings stand in the appendix."""
    return f"{sentence(count(number, 'smaller remark'))} in the sections below."
