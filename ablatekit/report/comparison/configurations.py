"""Configurations that both studies have: the same levels against the same baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ablatekit.analysis.core.lookup import factors_of, ranked_responses
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Configuration
from ablatekit.report.brief.headline import judging_configuration, rows_by_cell
from ablatekit.report.comparison.answer import estimate
from ablatekit.report.comparison.studies import Studies, factor_names
from ablatekit.report.document import Badge, Column, Entry, Section, Table, Text, slug
from ablatekit.report.language.brief import comparison as said
from ablatekit.report.language.brief.headline import clipped, configuration_name, level_name
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import Scale, absent, scale_of, sentence

MOST = 60
"""Configurations that a table lists."""
Changes = frozenset[tuple[str, str]]
"""The factors of a configuration that are not at their baseline, with their levels."""


@dataclass(frozen=True, slots=True)
class Shared:
    """One configuration on one response in both studies."""

    name: str
    changes: Changes
    first: Configuration
    second: Configuration


def configurations_section(studies: Studies) -> Section | None:
    """A table per response; nothing where no configuration is in both."""
    tables, finding = [], ""
    for name in ranked_responses(studies.first):
        shared = shared_configurations(studies, name)
        if shared:
            response = studies.first["responses"][name]
            tables.append(_table(studies, name, response, shared))
            finding = finding or _finding(studies, name, response, shared)
    if not tables:
        return None
    title, lead = said.CONFIGURATIONS, said.CONFIGURATIONS_LEAD
    return Section("same-configurations", title, lead, tables, finding=finding)


def shared_configurations(studies: Studies, response: str) -> list[Shared]:
    """Configurations with an estimate in both, where baselines and units are the same."""
    parts = [analysis["responses"].get(response) for analysis in studies.both]
    units = [scale_of(part).unit for part in parts if part is not None]
    if studies.same or len(units) < 2 or units[0] != units[1] or not _same_baselines(studies):
        return []
    return list(islice(_shared(studies, response), MOST))


def _same_baselines(studies: Studies) -> bool:
    """Whether factors that both have are at the same level in both baselines."""
    ours, theirs = (_baselines(analysis) for analysis in studies.both)
    return all(theirs[name] == level for name, level in ours.items() if name in theirs)


def _baselines(analysis: Analysis) -> dict[str, str]:
    return {factor["name"]: str(factor["baseline"]) for factor in factors_of(analysis)}


def _shared(studies: Studies, response: str) -> Iterator[Shared]:
    ours, theirs = (_by_changes(analysis, response) for analysis in studies.both)
    labels = factor_names(studies.second) | factor_names(studies.first)
    factors = max(len(factor_names(analysis)) for analysis in studies.both)
    for changes, first in ours.items():
        second = theirs.get(changes)
        if changes and second is not None and _is_known(first) and _is_known(second):
            names = [level_name(labels.get(factor, factor), level)
                     for factor, level in first["levels"].items()
                     if (factor, level) in changes]  # fmt: skip
            yield Shared(configuration_name(names, factors=factors), changes, first, second)


def _by_changes(analysis: Analysis, response: str) -> dict[Changes, Configuration]:
    """The judging row of every configuration by what it changes."""
    part = analysis["responses"][response]
    configurations = part.get("configurations")
    baseline = configurations["baseline"] if configurations else {}
    return {
        frozenset(
            (factor, level)
            for factor, level in row["levels"].items()
            if level != baseline.get(factor)
        ): row
        for rows in rows_by_cell(part).values()
        for row in [judging_configuration(rows)]
    }


def _table(
    studies: Studies, name: str, response: ResponseAnalysis, shared: Sequence[Shared]
) -> Table:
    scale = scale_of(response)
    label = with_unit(sentence(clipped(response["label"])), scale.unit)
    return Table(
        id=f"same-configurations-{slug(name)}",
        caption=said.same_configurations(label),
        columns=[
            Column("configuration"),
            *(
                Column(title, study, numeric=title == "gain")
                for study in studies.names
                for title in ("gain", "verdict")
            ),
        ],
        rows=[_row(part, scale) for part in shared],
    )


def _row(part: Shared, scale: Scale) -> list[Entry]:
    row: list[Entry] = [Text(part.name, strong=True)]
    for side in (part.first, part.second):
        row.append(estimate(scale, side["estimate"], side["low"], side["high"]))
        row.append(Badge(side["verdict"], size=side["size"]))
    return row


def _is_known(row: Configuration) -> bool:
    return not absent(row["estimate"])


def _finding(
    studies: Studies, name: str, response: ResponseAnalysis, shared: Sequence[Shared]
) -> str:
    """How many they are, and the numbers of the one whose effect leads the page."""
    shown = leading_configuration(studies, name, shared) or shared[0]
    estimates = shown.first["estimate"], shown.second["estimate"]
    told = said.configuration_change(shown.name, scale_of(response), estimates)
    return said.both_have(len(shared), clipped(response["label"]), told)


def leading_configuration(
    studies: Studies, response: str, shared: Sequence[Shared]
) -> Shared | None:
    """The configuration that differs from the baseline in the page's first level alone."""
    rows = (effect.row for effect in studies.effects if effect.row.response == response)
    leading = next(rows, None)
    if leading is None:
        return None
    changes = {(leading.factor, leading.level)}
    return next((part for part in shared if part.changes == changes), None)
