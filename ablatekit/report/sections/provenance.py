"""The provenance section: versions, hashes and machines."""

from __future__ import annotations

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.companions import SecondOpinion
from ablatekit.report.appendix import findings
from ablatekit.report.document import (
    Block,
    Column,
    Facts,
    Fold,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
)
from ablatekit.report.language import captions, leads
from ablatekit.report.language.numbers import general
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
    blocks.append(
        Facts([("schema version", str(analysis["schema_version"])), *known_facts(record)])
    )
    opinion = analysis.get("second_opinion")
    if opinion and opinion["kinds"]:
        blocks.append(Fold(captions.SECOND_OPINION, [_recomputed(opinion)]))
    lead = leads.provenance_lead(subject_of(analysis))
    finding = findings.provenance(analysis)
    return Section("provenance", leads.PROVENANCE, lead, blocks, finding)


def _recomputed(opinion: SecondOpinion) -> Table:
    """What the second opinion recomputed, kind by kind."""
    return Table(
        id="second-opinion",
        caption=captions.SECOND_OPINION,
        columns=[
            Column("kind"), Column("numbers", numeric=True),
            Column(captions.WORST, numeric=True), Column("tolerance", numeric=True),
        ],
        rows=[
            [
                Text(row["kind"].replace("_", " ")),
                Quantity(f"{row['count']:,}", row["count"]),
                Quantity(general(row["worst"], 2), row["worst"]),
                Quantity(general(row["tolerance"], 2), row["tolerance"]),
            ]
            for row in opinion["kinds"]
        ],
    )  # fmt: skip
