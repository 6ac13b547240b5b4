"""What to paste into a paper: methods in few and in more words, and the results."""

from __future__ import annotations

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.report.document import Block, Excerpt, Heading, Section
from ablatekit.report.language import leads
from ablatekit.report.language.references import references
from ablatekit.report.paste.methods import LONG, SHORT, methods_text
from ablatekit.report.paste.results import results_text

METHODS_SECTION = "methods"
METHODS, BRIEF_METHODS, RESULTS = "methods-text", "methods-short", "results-text"
"""Ids of the section and of its excerpts."""


def methods_section(analysis: Analysis) -> Section:
    """Methods in 400 words with their references, in 120, and a paragraph of results."""
    results, long = results_text(analysis), methods_text(analysis, LONG)
    cited = [work for work in references(analysis) if work.is_cited(" ".join(long))]
    blocks: list[Block] = [
        Heading(leads.methods_in(LONG)),
        Excerpt(METHODS, long, cited),
        Heading(leads.methods_in(SHORT)),
        Excerpt(BRIEF_METHODS, [" ".join(methods_text(analysis, SHORT))], []),
    ]
    if results:
        blocks += [Heading(leads.RESULTS), Excerpt(RESULTS, [results], [])]
    return Section(METHODS_SECTION, leads.METHODS, leads.METHODS_LEAD, blocks)
