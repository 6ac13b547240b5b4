"""What rules share: defaults by name, being on-policy, what a difference by a constant means."""

from __future__ import annotations

from typing import Any

from ablatekit.backend import one_of
from ablatekit_rft.settings import RftSettings

ON_POLICY = {
    "minibatches": one_of(1),
    "epochs": one_of(1),
    "staleness": one_of(0),
    "replay": one_of("none"),
}
"""One update per round, on fresh rollouts of the current weights."""

NEAR = (
    "with Adam nearly the same trajectory (Adam's eps, gradient clipping and the relative weight of"
    " a KL loss or an entropy bonus remain), with SGD another learning rate"
)


def defaults(*names: str) -> dict[str, Any]:
    """The default values of these settings."""
    return {name: RftSettings.model_fields[name].default for name in names}
