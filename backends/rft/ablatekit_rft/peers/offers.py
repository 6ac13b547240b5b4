"""What another trainer offers by name, and what it is here. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "loss", "advantage", "clip", "KL", "entropy", "correction", "filter", "schedule"
]
"""What an offer decides; `correction` is of an engine that draws from other probabilities."""

KINDS: tuple[Kind, ...] = (
    "loss",
    "advantage",
    "clip",
    "KL",
    "entropy",
    "correction",
    "filter",
    "schedule",
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One choice of another trainer.

    name: as its users write it. ours: our settings for it, those at their defaults left out; None
    where it is not offered. note: how the two differ or, where it is not offered, why not.
    """

    kind: Kind
    name: str
    ours: Mapping[str, Any] | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another trainer, at the version that was read; `read` says where."""

    name: str
    version: str
    read: str
    offers: tuple[Offer, ...] = field(repr=False)

    @property
    def title(self) -> str:
        """Name and version, as the head of a column."""
        return f"{self.name} {self.version}"

    def offering(self, setting: str, value: Any) -> tuple[Offer, ...]:
        """The offers for which a setting has this value here."""
        return tuple(
            offer
            for offer in self.offers
            if offer.ours is not None and setting in offer.ours and offer.ours[setting] == value
        )


CRITIC = "a learned value function: here a baseline is computed, never trained"
TEACHER = "learns from another model's probabilities: a run here has one policy and a verifier"
TURNS = "tools and turns: a completion here is one answer"
PREFERENCES = "learns from pairs or labels that a data set brings, not from a verifier"
COMPONENTS = "several reward functions: outcome and form are one reward before they are compared"
OWN = "a function of the user's own: every stage takes `module:function`"
FOLLOWS = "a coefficient that follows the KL measured so far: an outcome of the run, not a choice"


def refused(kind: Kind, why: str, *names: str) -> Iterable[Offer]:
    """Offers without a counterpart, for one reason."""
    return tuple(Offer(kind, name, None, why) for name in names)
