"""What the words of a code are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ablatekit.report.language.numbers import count
from ablatekit.report.language.reading import Unit

NOISE: Mapping[Unit, str] = {"run": "seed noise", "row": "noise"}
"""What makes two runs of one cell differ."""


MOST_NAMED = 4
"""Names that a sentence lists; of more it gives the number."""
NOT_SET = "(not set)"
"""The level of a factor where it does not exist."""


@dataclass(frozen=True, slots=True)
class ByUnit:
    """Words that name what values belong to: runs, or the rows of a table."""

    speak: Callable[..., str]


Words: TypeAlias = str | Callable[..., str] | ByUnit


def in_contexts(contexts: int) -> str:
    """1 context, 2 contexts."""
    return count(contexts, "context")


def amount(size: float | str) -> str:
    """A size as it is shown beside it, else in the unit of the response."""
    return size if isinstance(size, str) else f"{size:g}"


def first_few(names: Sequence[str]) -> str:
    """The first few names, and how many there are besides."""
    shown = ", ".join(name or NOT_SET for name in names[:MOST_NAMED])
    left = len(names) - MOST_NAMED
    return f"{shown} and {left} more" if left > 0 else shown
