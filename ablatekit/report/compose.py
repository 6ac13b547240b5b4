"""The report's sections in their order; a section whose data is absent is absent."""

from __future__ import annotations

from ablatekit.analysis.core.lookup import comparisons
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.report.document import Document, Section
from ablatekit.report.language import page
from ablatekit.report.language.numbers import count
from ablatekit.report.language.reading import subject_of, title_of
from ablatekit.report.sections.answer import answer_section
from ablatekit.report.sections.contexts import contexts_section
from ablatekit.report.sections.design import design_section
from ablatekit.report.sections.diagnostics import diagnostics_section
from ablatekit.report.sections.dynamics import dynamics_section
from ablatekit.report.sections.effects import forest_section
from ablatekit.report.sections.gap import map_section
from ablatekit.report.sections.interactions import interactions_section
from ablatekit.report.sections.methods import methods_section
from ablatekit.report.sections.missing import missing_section
from ablatekit.report.sections.model import model_section
from ablatekit.report.sections.provenance import provenance_section
from ablatekit.report.sections.robust import robust_section
from ablatekit.report.sections.variance import variance_section


def compose(analysis: Analysis) -> Document:
    """The whole report as data."""
    return Document(
        title=title_of(analysis),
        question=str(analysis.get("study", {}).get("question") or ""),
        facts=_facts(analysis),
        sections=[section for section in _sections(analysis) if section is not None],
        unit=subject_of(analysis).unit,
    )


def _facts(analysis: Analysis) -> list[tuple[str, str]]:
    """The size of what was analysed, in the order of its importance."""
    counts, design, subject = analysis.get("counts"), analysis.get("design"), subject_of(analysis)
    if not counts or not design:
        return _sizes_of_fits(analysis)
    facts = [
        (page.analysed(subject.unit), f"{counts['analysed']:,} of {counts['planned']:,}"),
        _number_of(len(design["factors"]), "factor"),
        _number_of(len(comparisons(analysis)), "level compared", "levels compared"),
    ]
    if subject.planned or any(design["contexts"]):
        facts.append(_number_of(len(design["contexts"]), "context"))
    facts.append(_number_of(design["replicates"], "replicate"))
    if counts["failed"] or counts["diverged"]:
        facts.append(page.lost(subject.unit, counts["diverged"], counts["failed"]))
    return facts


def _sizes_of_fits(analysis: Analysis) -> list[tuple[str, str]]:
    """The rows of every fitted formula, and the levels that were compared."""
    rows = dict.fromkeys(response["model"]["n"] for response in analysis["responses"].values())
    levels = _number_of(len(comparisons(analysis)), "level compared", "levels compared")
    return [*((page.analysed("row"), f"{number:,}") for number in rows), levels]


def _number_of(value: int, noun: str, plural: str | None = None) -> tuple[str, str]:
    number, name = count(value, noun, plural).split(" ", 1)
    return name, number


def _sections(analysis: Analysis) -> list[Section | None]:
    return [
        answer_section(analysis),
        forest_section(analysis),
        model_section(analysis),
        map_section(analysis),
        interactions_section(analysis),
        contexts_section(analysis),
        dynamics_section(analysis),
        variance_section(analysis),
        robust_section(analysis),
        design_section(analysis) if "design" in analysis else None,
        diagnostics_section(analysis),
        missing_section(analysis),
        methods_section(analysis),
        provenance_section(analysis),
    ]
