"""What stands beside the effects: companions, and what they lack."""

from __future__ import annotations

from collections.abc import Mapping

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.statements.phrases import Words

SENTENCES: Mapping[Code, Words] = {
    # what companions lack
    "one_run_per_cell": "one {unit} per cell and context: nothing to resample",
    "shared_runs": "some {unit}s stand for several combinations, so labels are not free",
    "unequal_runs": "cells have different numbers of {unit}s, so their {unit}s are not exchangeable"
    " alike",
    "too_many_runs": "more than {runs} {unit}s or {replicates} replicates: the t test serves as"
    " well",
    "correlated_slope": "a correlated slope term has no profile limits; use the bootstrap",
    "failed_bootstraps": "{failed} of {draws} bootstrap fits failed",
}
"""The words of every such code."""
