"""The run table of a study: one row per planned run, with the value that each response gives it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.tables.responses import respond
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan

RESPONSE, VARIABLE, COVARIATE = "response:", "variable:", "covariate:"
"""What columns of responses, blocking variables and their covariates (after the variable) begin
with: a factor may have their names."""


def run_table(plan: Plan, tables: StudyTables) -> pd.DataFrame:
    """Run, unit, factors, `context` and its variables, replicate, status and the responses.

    A run that does not enter the analysis of a response has no value there; diverged runs have the
    value that the policy of the plan gives them. Rows are in the order of the runs' names.
    """
    design = layout(plan)
    columns: dict[str, Any] = {
        f"{RESPONSE}{planned.name}": respond(planned, tables, design, plan.analysis.diverged).by_run
        for planned in plan.analysis.responses
    }
    variables: dict[str, Any] = {
        f"{VARIABLE}{name}": tables.runs["context"].map(
            dict(zip(design.contexts, levels, strict=True))
        )
        for name, levels in design.blocks.items()
    }
    for name, levels in plan.covariates.items():
        of_runs = variables[f"{VARIABLE}{name}"]
        for covariate in next(iter(levels.values()), {}):
            sizes = {level: numbers[covariate] for level, numbers in levels.items()}
            columns[f"{COVARIATE}{name}:{covariate}"] = of_runs.map(sizes)
    kept = tables.runs.drop(columns=["message", "order"], errors="ignore")
    frame = kept.assign(**{**variables, **columns})
    return frame.sort_values("run", kind="stable", ignore_index=True)
