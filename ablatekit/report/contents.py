"""The report's sections in their order; a section whose data is absent is absent."""

from __future__ import annotations

from ablatekit.analysis.schema import Analysis
from ablatekit.report.answer import answer_section
from ablatekit.report.contextwise import contexts_section
from ablatekit.report.diagnostics import diagnostics_section
from ablatekit.report.document import Document, Section
from ablatekit.report.dynamics import dynamics_section
from ablatekit.report.effects import forest_section
from ablatekit.report.gapsection import map_section
from ablatekit.report.interplay import interactions_section
from ablatekit.report.methods import methods_section
from ablatekit.report.numbers import count
from ablatekit.report.reading import comparisons
from ablatekit.report.robust import robust_section
from ablatekit.report.sections import (
    design_section,
    missing_section,
    provenance_section,
    variance_section,
)


def compose(analysis: Analysis) -> Document:
    """The whole report as data."""
    study = analysis["study"]
    return Document(
        title=str(study.get("title") or study.get("name") or "Analysis"),
        question=str(study.get("question") or ""),
        facts=_facts(analysis),
        sections=[section for section in _sections(analysis) if section is not None],
    )


def _facts(analysis: Analysis) -> list[tuple[str, str]]:
    design, counts = analysis["design"], analysis["counts"]
    facts = [
        ("runs analysed", f"{counts['analysed']:,} of {counts['planned']:,}"),
        _number_of(len(design["factors"]), "factor"),
        _number_of(len(comparisons(analysis)), "level compared", "levels compared"),
        _number_of(len(design["contexts"]), "context"),
        _number_of(design["replicates"], "replicate"),
    ]
    if counts["failed"] or counts["diverged"]:
        lost = f"{count(counts['diverged'], 'run')} diverged, {counts['failed']:,} failed"
        facts.append(("not as planned", lost))
    return facts


def _number_of(value: int, noun: str, plural: str | None = None) -> tuple[str, str]:
    number, name = count(value, noun, plural).split(" ", 1)
    return name, number


def _sections(analysis: Analysis) -> list[Section | None]:
    return [
        answer_section(analysis),
        forest_section(analysis),
        map_section(analysis),
        interactions_section(analysis),
        contexts_section(analysis),
        dynamics_section(analysis),
        variance_section(analysis),
        robust_section(analysis),
        design_section(analysis),
        diagnostics_section(analysis),
        missing_section(analysis),
        methods_section(analysis),
        provenance_section(analysis),
    ]
