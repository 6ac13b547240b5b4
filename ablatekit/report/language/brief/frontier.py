"""The figure of a brief in words: gain against price."""

from __future__ import annotations

from collections.abc import Iterable

from ablatekit.report.language.alternatives import joined
from ablatekit.report.language.brief.headline import in_unit, price_noun
from ablatekit.report.language.numbers import Scale, count, general, sentence

BASELINE = "baseline"
COLUMNS = ("configuration", "price", "gain", "low", "high", "verdict", "on the frontier")
LEVEL_COLUMNS = ("level", *COLUMNS[1:])


def title(
    response: str, scope: str, *, priced: bool, levels: bool, numbers: tuple[int, int]
) -> str:
    """What the figure shows; `scope` is what its intervals are over, empty for these contexts.

    `numbers` are how many configurations (or levels) are shown, and of how many.
    """
    of, (some, every) = "level" if levels else "configuration", numbers
    part = "" if some == every else f"{some:,} of {count(every, of)}"
    against = (
        "for its price (equal prices side by side)" if priced else f"of {part or f'every {of}'}"
    )
    shown = f"{sentence(gain(response))} {against}"
    if priced and part:
        shown += f", {part}"
    return f"{shown}, intervals {scope}" if scope else shown


def gain(response: str) -> str:
    """The axis of gains."""
    return f"gain on {response}"


def price(metric: str) -> str:
    """The axis of prices."""
    return f"price: {price_noun(metric)}, as a multiple of the baseline's"


def alternative(response: str, points: Iterable[str]) -> str:
    """The figure in words."""
    return joined(f"Gain on {response} over the baseline.", points)


def point(name: str, scale: Scale, estimate: float, ends: str, price: float | None) -> str:
    """One point in words."""
    cost = "" if price is None else f" at {general(price, 3)} times the price"
    return f"{name}: {in_unit(scale.effect(estimate), scale)}{f' {ends}' if ends else ''}{cost}"
