"""The provenance section: versions, hashes and machines."""

from __future__ import annotations

from ablatekit.analysis.core.lookup import is_planned
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.report.document import (
    Block,
    Facts,
    Paragraph,
    Section,
    Warnings,
)
from ablatekit.report.language import leads
from ablatekit.report.language.reading import subject_of
from ablatekit.report.sections.design import (
    EXECUTION_COSTS,
)
from ablatekit.report.sections.missing import known_facts


def provenance_section(analysis: Analysis) -> Section:
    """Versions, hashes, and deviations from the frozen plan."""
    record = dict(analysis["provenance"])
    for name in EXECUTION_COSTS:
        record.pop(name, None)
    blocks: list[Block] = []
    deviations = analysis.get("deviations")
    if deviations:
        blocks.append(Warnings(deviations))
    elif is_planned(analysis):
        blocks.append(Paragraph(leads.FROZEN))
    blocks.append(
        Facts([("schema version", str(analysis["schema_version"])), *known_facts(record)])
    )
    lead = leads.provenance_lead(subject_of(analysis))
    return Section("provenance", leads.PROVENANCE, lead, blocks)
