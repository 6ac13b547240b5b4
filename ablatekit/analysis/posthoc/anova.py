"""ANOVA tables of linear models: F tests of every term by hypotheses of type I, II and III."""

from __future__ import annotations

from dataclasses import dataclass

from ablatekit.analysis.core.schema.vocabulary import AnovaType, Statement
from ablatekit.analysis.posthoc.coefficient_tests import FTest, LinearModel
from ablatekit.analysis.posthoc.hypotheses import hypotheses, hypothesis_notes


@dataclass(frozen=True, slots=True)
class AnovaTerm:
    """One row of an ANOVA table; `test` is None when no part of the term can be estimated.

    `notes` say what the row tests where cells are empty or a covariate interacts with the term.
    """

    term: str
    test: FTest | None
    notes: tuple[Statement, ...] = ()


def anova(model: LinearModel, kind: AnovaType = "III") -> tuple[AnovaTerm, ...]:
    """F tests of every term of the fixed part."""
    rows = hypotheses(model.frame, kind)
    notes = hypothesis_notes(model.frame, kind)
    return tuple(
        AnovaTerm(name, model.joint(matrix) if len(matrix) else None, told)
        for (name, matrix), told in zip(rows.items(), notes, strict=True)
    )
