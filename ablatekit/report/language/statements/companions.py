"""What stands beside the effects: companions, and what they lack."""

from __future__ import annotations

from collections.abc import Mapping

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.statements.phrases import ByUnit, Words

SENTENCES: Mapping[Code, Words] = {
    # what companions lack
    "unmatched_level": "its level meets no combination of the other factors that the others meet"
    " too",
    "one_run_per_cell": "one {unit} per cell and context: nothing to resample",
    "shared_runs": "some {unit}s stand for several combinations, so labels are not free",
    "unequal_runs": "cells have different numbers of {unit}s, so their {unit}s are not exchangeable"
    " alike",
    "too_many_runs": "more than {runs} {unit}s or {replicates} replicates: the t test serves as"
    " well",
    "correlated_slope": "a correlated slope term has no profile limits; use the bootstrap",
    "failed_bootstraps": "{failed} of {draws} bootstrap fits failed",
    "few_kenward_roger_df": "Kenward and Roger's df are {df:.2g}, below 2: so few levels say next"
    " to nothing of a variance",
    "mixed_model": ByUnit(
        lambda unit, variables, fewest: (
            f"for every effect, the {unit}s at its two levels in the contexts that have both: cells"
            f" fixed, {' and '.join(variables)} and their differences in the effect random and"
            f" normal (fixed with fewer than {fewest} levels); Kenward and Roger 1997. It assumes"
            " that differences between contexts have one size and nothing to do with what was"
            " observed there, and decides nothing"
        )
    ),
    # what a second opinion leaves out
    "too_large_to_recompute": "too large for statsmodels' dense least squares",
    "empty_cells": "type III by statsmodels needs {unit}s in every cell",
    "no_counterpart": "statsmodels has no counterpart",
    "no_optimum": "no search of statsmodels converged",
    "lower_optimum": "statsmodels stopped at a lower likelihood",
    "second_opinion_failed": "its process ended with status {status}: {message}",
    "second_opinion_late": "its process had no answer after {seconds} seconds",
    "no_statsmodels": "statsmodels is not installed",
}
"""The words of every such code."""
