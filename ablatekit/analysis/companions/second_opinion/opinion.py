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
)
from ablatekit.analysis.companions.second_opinion.model_rows import anova_rows, mixed_rows
from ablatekit.analysis.companions.second_opinion.question import gap_question, response_question
from ablatekit.analysis.companions.second_opinion.tally import Tally
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
    tally = Tally()
    for name, response in analysis["responses"].items():
        question = response_question(analysis, runs, name, response)
        if question is None:
            continue
        effects(tally, question, response["effects"])
        context_rows(tally, question, response)
        plain_rows(tally, question, response.get("plain_contexts", []))
        configurations(tally, question, response)
        anova_rows(tally, question, response)
        mixed_rows(tally, question, response)
    for name, comparison in analysis["comparisons"].items():
        question = gap_question(analysis, runs, name)
        if question is not None:
            effects(tally, question, comparison["effects"])
            plain_rows(tally, question, comparison.get("plain_contexts", []))
    return tally.result()
