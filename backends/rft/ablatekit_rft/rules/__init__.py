"""Combinations of settings that cannot run, change nothing, or deserve a warning, as data.

Every rule is verified numerically by the tests: an alias by equal advantages, weights or gradients,
a near-alias by its exact scale. Rules on the loss come before those on rewards and advantages,
because aliases depend on where KL is, and parameters that no level reads any more come last: one
pass in this order reaches the canonical settings.
"""

from __future__ import annotations

from ablatekit_rft.rules import (
    generation,
    loss,
    parameters,
    recoding,
    run,
    selection,
    signal,
    updates,
)

RULES = (
    *run.RULES,
    *generation.RULES,
    *updates.RULES,
    *loss.RULES,
    *signal.RULES,
    *recoding.RULES,
    *selection.RULES,
    *parameters.RULES,
)
