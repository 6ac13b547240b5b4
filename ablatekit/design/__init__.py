"""From a study to its frozen plan: cells, merged cells, runs, order. Never fits a model."""

from ablatekit.design.amend import Amendment, Change, amend_plan
from ablatekit.design.build import build_plan, study_backend
from ablatekit.design.plan import Cell, Plan, PlannedRun

__all__ = [
    "Amendment",
    "Cell",
    "Change",
    "Plan",
    "PlannedRun",
    "amend_plan",
    "build_plan",
    "study_backend",
]
