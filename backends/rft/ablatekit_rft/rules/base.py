"""What rules share: defaults by name, and what a difference by a constant means."""

from __future__ import annotations

from typing import Any

from ablatekit_rft.settings import RftSettings

NEAR = (
    "with Adam nearly the same trajectory (Adam's eps, gradient clipping and the relative weight of"
    " a KL loss remain), with SGD another learning rate"
)


def defaults(*names: str) -> dict[str, Any]:
    """The default values of these settings."""
    return {name: RftSettings.model_fields[name].default for name in names}
