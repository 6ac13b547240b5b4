"""The brief, and the sections of the appendix in their order; one without data is absent."""

from __future__ import annotations

from dataclasses import replace

from ablatekit.analysis.core.lookup import comparisons
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.legible import legible_json
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.once import said_once
from ablatekit.report.brief.brief import brief_of
from ablatekit.report.document import (
    Block,
    Document,
    Entry,
    EstimateEntry,
    Quantity,
    Section,
    Table,
    Text,
)
from ablatekit.report.language import captions, page
from ablatekit.report.language.numbers import count, scale_of
from ablatekit.report.language.reading import subject_of, title_of
from ablatekit.report.paste.section import methods_section
from ablatekit.report.sections.answer import gap_room, gap_scale, room
from ablatekit.report.sections.configurations import (
    configurations_section,
    configurations_table,
    plain_table_of,
)
from ablatekit.report.sections.contexts import (
    contexts_section,
    covariate_blocks,
    heterogeneity_table,
)
from ablatekit.report.sections.design import design_section
from ablatekit.report.sections.diagnostics import diagnostics_section
from ablatekit.report.sections.dynamics import dynamics_section
from ablatekit.report.sections.effects import compact_estimands, dose_blocks, forest_section
from ablatekit.report.sections.gap import carry_over_blocks, map_section
from ablatekit.report.sections.interactions import interactions_section
from ablatekit.report.sections.missing import missing_section
from ablatekit.report.sections.model import model_section
from ablatekit.report.sections.provenance import provenance_section
from ablatekit.report.sections.robust import robust_section
from ablatekit.report.sections.variance import mixed_blocks, variance_section
from ablatekit.report.whatif.payload import exploration


def compose(analysis: Analysis) -> Document:
    """The whole report as data; what others wrote is made legible."""
    analysis = legible_json(analysis)
    return said_once(Document(
        title=title_of(analysis),
        question=str(analysis.get("study", {}).get("question") or ""),
        facts=_facts(analysis),
        brief=brief_of(analysis),
        sections=[section for section in _sections(analysis) if section is not None],
        exploration=exploration(analysis),
        unit=subject_of(analysis).unit,
    ))  # fmt: skip


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
        forest_section(analysis),
        configurations_section(analysis),
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
        _methods(analysis),
        provenance_section(analysis),
    ]


def _methods(analysis: Analysis) -> Section:
    """The section on methods, with how long its text is where it says nothing else of itself."""
    section = methods_section(analysis)
    return section if section.finding else replace(section, finding=findings.methods(section))


def details(analysis: Analysis) -> list[Block]:
    """What a terminal shows on request beside the answer: every estimand, scope and companion."""
    analysis = legible_json(analysis)
    blocks: list[Block] = []
    for name, response in analysis["responses"].items():
        scale, available = scale_of(response), room(analysis, response)
        label = response["label"]
        blocks.append(compact_estimands(name, label, response["effects"], scale, available))
        configurations = response.get("configurations")
        if configurations and configurations["rows"]:
            blocks.append(configurations_table(analysis, name, response, configurations))
        plain = response.get("plain_contexts")
        if plain:
            blocks.append(plain_table_of(name, label, plain, scale, available.unit))
    for name, gap in analysis.get("comparisons", {}).items():
        scale, available = gap_scale(analysis, name), gap_room(analysis, name)
        blocks.append(compact_estimands(name, captions.GAP, gap["effects"], scale, available))
        blocks += carry_over_blocks(analysis, name)
    spread = heterogeneity_table(analysis)
    blocks += [spread] if spread is not None else []
    blocks += [*dose_blocks(analysis), *covariate_blocks(analysis), *mixed_blocks(analysis)]
    return [_with_numbers(block) for block in blocks if isinstance(block, Table)]


def _with_numbers(table: Table) -> Table:
    """The rows that have numbers: why others have none stands below the answer, and on the page."""
    rows = [
        [replace(entry, note="") if isinstance(entry, Text) else entry for entry in row]
        for row in table.rows
        if any(_is_known(entry) for entry in row)
    ]
    return replace(table, rows=rows, keys=())


def _is_known(entry: Entry) -> bool:
    return isinstance(entry, Quantity | EstimateEntry) and entry.value is not None
