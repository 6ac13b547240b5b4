"""The words of the card that stands for a report where its link is shared."""

from __future__ import annotations


def effects(label: str, unit: str, certainty: str) -> str:
    """What the card's intervals are."""
    return f"Largest effects on {label}{f', {unit}' if unit else ''}, with {certainty} intervals"


def alternative(title: str, headline: str) -> str:
    """The card for who cannot see it."""
    return f"{title}: {headline}" if headline else title
