"""The second opinion: every number of an analysis that statsmodels can recompute from the runs.

Rows are taken at their word: factor, level, baseline, estimand, inference and scope say what they
contrast, and the definitions of DESIGN 5 say how, written here a second time.
"""

from __future__ import annotations

import gc

import pandas as pd

from ablatekit.analysis.companions.second_opinion.effect_rows import (
    configurations,
    context_rows,
    effects,
    plain_rows,
    predictions,
)
from ablatekit.analysis.companions.second_opinion.inquiry import gap_inquiry, response_inquiry
from ablatekit.analysis.companions.second_opinion.model_rows import anova_rows, mixed_rows
from ablatekit.analysis.companions.second_opinion.ratios import carry_over_rows
from ablatekit.analysis.companions.second_opinion.recount import Recount
from ablatekit.analysis.companions.second_opinion.trends import covariate_rows, dose_rows
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.companions import SecondOpinion


def second_opinion(analysis: Analysis, runs: pd.DataFrame) -> SecondOpinion:
    """Recompute what stands in an analysis from its run table (`tables.run_table`)."""
    gc.freeze()  # statsmodels' multipletests collects garbage at every call
    try:
        return _recomputed(analysis, runs)
    finally:
        gc.unfreeze()


def _recomputed(analysis: Analysis, runs: pd.DataFrame) -> SecondOpinion:
    recount = Recount()
    for name, response in analysis["responses"].items():
        inquiry = response_inquiry(analysis, runs, name, response)
        if inquiry is None:
            continue
        effects(recount, inquiry, response["effects"])
        context_rows(recount, inquiry, response)
        plain_rows(recount, inquiry, response.get("plain_contexts", []))
        predictions(recount, inquiry, response)
        configurations(recount, inquiry, response)
        dose_rows(recount, inquiry, response)
        covariate_rows(recount, inquiry, response)
        anova_rows(recount, inquiry, response)
        mixed_rows(recount, inquiry, response)
    for name, comparison in analysis["comparisons"].items():
        inquiry = gap_inquiry(analysis, runs, name)
        if inquiry is not None:
            effects(recount, inquiry, comparison["effects"])
            plain_rows(recount, inquiry, comparison.get("plain_contexts", []))
            carry_over_rows(recount, inquiry, comparison)
    return recount.result()
