"""What an effect is generalised over, in words: over models, on these 2 data sets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ablatekit.report.language.numbers import count

WORD = re.compile(r"[a-z]+")
"""A variable whose name is one plain word is called by it."""
LEVELS = {
    "dataset": "data set",
    "testset": "test set",
    "trainset": "train set",
    "data": "data set",
    **{f"{noun}s": noun for noun in (
        "benchmark", "domain", "environment", "language", "model", "problem", "prompt", "task",
    )},
    "datasets": "data set",
}  # fmt: skip
"""What one level of a variable is called whose name is no noun in the singular."""
ORDINALS = ("first", "second", "third", "fourth", "fifth")


def variable(name: str) -> str:
    """One level of a blocking variable: a model, a data set, a level of GPU-type."""
    return LEVELS.get(name, name) if WORD.fullmatch(name) else f"level of {name}"


def variables(name: str) -> str:
    """Its levels: models, data sets, levels of GPU-type."""
    if not WORD.fullmatch(name):
        return f"levels of {name}"
    single = variable(name)
    if re.search(r"(s|x|z|ch|sh)$", single):
        return f"{single}es"
    return re.sub(r"(?<![aeiou])y$", "ie", single) + "s"


def over(scope: Sequence[str]) -> str:
    """What a broad row generalises over: over models and data sets."""
    *most, last = (variables(name) for name in scope)
    return f"over {', '.join(most)} and {last}" if most else f"over {last}"


def within(scope: Sequence[str], levels: Mapping[str, Sequence[str]]) -> str:
    """The scope and, of the other variables, on what they stay: on these 2 data sets."""
    kept = [_kept(name, values) for name, values in levels.items() if name not in scope]
    return f"{over(scope)}, on {' and '.join(kept)}" if kept else over(scope)


def _kept(name: str, values: Sequence[str]) -> str:
    if len(values) == 1:
        return values[0]
    noun = variable(name)
    plural = variables(name)
    return f"these {count(len(values), noun, plural)}"


def needed(name: str, levels: int, fewest: int, of_levels: int) -> str:
    """What a scope lacks: needs a third model; needs 2 more models that have both levels."""
    lacking = fewest - levels
    missing = count(lacking, f"more {variable(name)}", f"more {variables(name)}")
    if lacking == 1 and fewest <= len(ORDINALS):
        missing = f"a {ORDINALS[fewest - 1]} {variable(name)}"
    return f"needs {missing}{' with both levels' if of_levels > levels else ''}"


def coverage(contexts: tuple[int | None, int | None], pairs: tuple[int | None, int | None]) -> str:
    """Of how many contexts and matched pairs an effect is: 5 of 6 contexts, 9 of 12 pairs.

    Both are (some, of all); nothing is said where they are all.
    """
    return ", ".join(filter(None, (_part(*contexts, "context"), _part(*pairs, "pair"))))


def _part(some: int | None, every: int | None, noun: str) -> str:
    if some is None or every is None or some == every:
        return ""
    return f"{some:,} of {count(every, noun)}"


def listed(names: Iterable[str]) -> str:
    """a, b and c."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def covariate(name: str, of: str, levels: int) -> str:
    """A covariate and how many levels of its variable it was taken from: params of 5 models."""
    return f"{name} of {count(levels, variable(of), variables(of))}"
