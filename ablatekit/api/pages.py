"""A plan as a document, for notebooks."""

from __future__ import annotations

from collections.abc import Iterator

from ablatekit.cli.plan_tables import VALUE_SHOWN
from ablatekit.design.plan import Plan
from ablatekit.legible import legible_json
from ablatekit.report.document import Block, Document, Fold, Section, Warnings, plain_table
from ablatekit.study.messages import show

SHOWN_CELLS = 64


def plan_document(plan: Plan) -> Document:
    """What a plan would run: factors, cells, responses and warnings."""
    units = len({cell.unit for cell in plan.cells})
    facts = {
        "runs": len(plan.runs),
        "cells": len(plan.cells),
        **({"distinct cells": units} if units < len(plan.cells) else {}),
        "contexts": len(plan.contexts),
        "replicates": plan.replicates,
    }
    return Document(
        title=legible_json(plan.title),
        question=plan.question,
        facts=[(name, str(value)) for name, value in facts.items()],
        sections=[Section("plan", "", "", list(_blocks(plan)))],
    )


def _blocks(plan: Plan) -> Iterator[Block]:
    factors = [
        {"factor": f.label or f.name, "baseline": f.baseline, "compared with it": _joined(f.others)}
        for f in plan.factors
    ]
    yield plain_table("plan-factors", "Factors", legible_json(factors))
    responses = [
        {"response": r.label, "metric": r.metric, "summary": r.summary, "better": r.direction}
        for r in plan.analysis.responses
    ]
    yield plain_table("plan-responses", "Responses", legible_json(responses))
    if plan.warnings:
        yield Warnings(legible_json(list(plan.warnings)))
    cells = [dict(cell.levels) for cell in plan.cells[:SHOWN_CELLS]]
    title = f"{min(len(plan.cells), SHOWN_CELLS)} of {len(plan.cells)} cells"
    yield Fold(title, [plain_table("plan-cells", "Cells", legible_json(cells))])
    held = [
        {"setting": name, "value": show(value, VALUE_SHOWN)}
        for name, value in plan.held_equal.items()
    ]
    if held:
        yield Fold("Equal in every run", [plain_table("plan-held", "Settings", legible_json(held))])


def _joined(levels: tuple[str, ...]) -> str:
    return ", ".join(levels)
