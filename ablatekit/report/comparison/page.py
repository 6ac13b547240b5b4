"""The page of two studies side by side, composed of the same parts as a report."""

from __future__ import annotations

from collections import Counter

from ablatekit.report.comparison.answer import MOST_LINES, compared_table
from ablatekit.report.comparison.configurations import configurations_section
from ablatekit.report.comparison.figure import compared_picture
from ablatekit.report.comparison.headline import comparison_sentences
from ablatekit.report.comparison.plans import plans_section
from ablatekit.report.comparison.studies import Studies
from ablatekit.report.comparison.trust import comparison_trust
from ablatekit.report.document import Brief, Document, Section
from ablatekit.report.language.brief import comparison as said

LOW = 5
"""Effects in a figure that leaves room for the trust box below it."""


def comparison_document(studies: Studies) -> Document:
    """The whole page as data."""
    return Document(
        title=said.title(studies.names, same=studies.same),
        question=said.QUESTION,
        facts=_facts(studies),
        brief=_brief(studies),
        sections=[section for section in _sections(studies) if section is not None],
    )


def _brief(studies: Studies) -> Brief:
    headline, settled = comparison_sentences(studies)
    return Brief(
        headline=headline,
        settled=settled,
        figure=compared_picture(studies),
        table=compared_table(studies),
        trust=comparison_trust(studies),
        low=len(studies.effects) <= LOW,
    )


def _facts(studies: Studies) -> list[tuple[str, str]]:
    """How many effects are in both, how they agree, and the contexts of both."""
    if studies.same:
        return []
    numbers = Counter(row.agreement for row in studies.found.effects)
    facts = [said.in_both(len(studies.found.effects))]
    facts += [said.counted(agreement, number) for agreement, number in sorted(numbers.items())]
    paired = (
        note["arguments"]["contexts"]
        for note in studies.found.notes
        if note["code"] == "shared_contexts"
    )
    return [*facts, *map(said.shared_contexts, paired)]


def _sections(studies: Studies) -> list[Section | None]:
    return [_all_effects(studies), plans_section(studies), configurations_section(studies)]


def _all_effects(studies: Studies) -> Section | None:
    """The table of all effects, where the brief has room for some of them only."""
    table = compared_table(studies, most=None)
    if table is None or len(studies.effects) <= MOST_LINES:
        return None
    return Section("effects", said.ALL, "", [table])
