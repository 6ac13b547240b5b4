"""Texts of at most so many words: passages in order of reading, chosen by importance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """One thing to say: its topic, how soon it is left out, and its wordings, the longest first.

    `rank` is 1 for what every text says; the higher, the sooner a short text leaves it out.
    """

    topic: str
    rank: int
    wordings: Sequence[str]


def words_of(text: str) -> int:
    """How many words a text has, as a journal counts them."""
    return len(text.split())


def fitted(passages: Sequence[Passage], limit: int) -> list[tuple[str, str]]:
    """(topic, wording) of the passages that fit into `limit` words together, in their order.

    A passage comes in its shortest wording when its rank is due, in the next longer one a rank
    later, and so on; what would not fit is passed over.
    """
    chosen: dict[int, str] = {}
    left = limit
    for place, text in _offers(passages):
        spare = left + words_of(chosen.get(place, ""))
        if words_of(text) <= spare:
            chosen[place] = text
            left = spare - words_of(text)
    return [(passages[place].topic, chosen[place]) for place in sorted(chosen)]


def _offers(passages: Sequence[Passage]) -> list[tuple[int, str]]:
    """(place, wording) of everything that could be said, by rank."""
    ranked = [
        (passage.rank + longer, place, text)
        for place, passage in enumerate(passages)
        for longer, text in enumerate(reversed(passage.wordings))
    ]
    return [(place, text) for _, place, text in sorted(ranked, key=lambda offer: offer[:2])]
