"""The brief: the answer on one screen and one sheet."""

from __future__ import annotations

from ablatekit.analysis.core.lookup import comparisons
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.report.brief.frontier import frontier_picture
from ablatekit.report.brief.headline import headline_sentences
from ablatekit.report.brief.trust import trust_box
from ablatekit.report.document import Brief
from ablatekit.report.sections.answer import answer_table


def brief_of(analysis: Analysis) -> Brief:
    """What a reader needs who reads nothing else.

    Where no levels are compared there is neither a figure nor a table.
    """
    headline, settled = headline_sentences(analysis)
    compared = bool(comparisons(analysis))
    return Brief(
        headline=headline,
        settled=settled,
        figure=frontier_picture(analysis) if compared else None,
        table=answer_table(analysis) if compared else None,
        trust=trust_box(analysis),
    )
