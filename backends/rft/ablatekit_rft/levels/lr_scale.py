"""Learning rate by batch size: `(b) -> factor`, b = rollouts per update over `REFERENCE_BATCH`."""

from __future__ import annotations

import math

from ablatekit_rft.levels.types import level

REFERENCE_BATCH = 32
"""Rollouts per update at which every level is 1: the minimalist reference, arXiv:2601.22532."""

_PEERS = {"TRL": "by hand", "verl": "by hand", "OpenRLHF": "by hand"}


@level(
    "lr_scale",
    "const",
    formula="lr",
    source="arXiv:2601.22532",
    traits={"neutral_at_reference_batch"},
    peers=_PEERS,
)
def const(_batch: float) -> float:
    """The same learning rate for every batch size."""
    return 1.0


@level(
    "lr_scale",
    "sqrt",
    formula="lr sqrt(rollouts per update / 32)",
    source="The rule for adaptive optimizers, arXiv:2205.10287",
    traits={"neutral_at_reference_batch"},
    params={"reference_batch": REFERENCE_BATCH},
    peers=_PEERS,
)
def sqrt(batch: float) -> float:
    """Grows with the square root of the batch: equal gradient noise under Adam."""
    return math.sqrt(batch)


@level(
    "lr_scale",
    "linear",
    formula="lr (rollouts per update / 32)",
    source="The rule for SGD, arXiv:1706.02677",
    traits={"neutral_at_reference_batch"},
    params={"reference_batch": REFERENCE_BATCH},
    peers=_PEERS,
)
def linear(batch: float) -> float:
    """Grows with the batch: equal progress per rollout under SGD."""
    return batch


LEVELS = (const, sqrt, linear)
