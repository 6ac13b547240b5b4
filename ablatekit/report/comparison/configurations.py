"""Configurations that both studies have: the same levels against the same baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablatekit.analysis.core.lookup import factors_of, ranked_responses
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Configuration
from ablatekit.report.brief.headline import judging_configuration, rows_by_cell
from ablatekit.report.comparison.answer import estimate
from ablatekit.report.comparison.studies import Compared, Studies, factor_names
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
    if studies.same or not _same_baselines(studies):
        return None
    tables, finding = [], ""
    for name in ranked_responses(studies.first):
        shared = list(_shared(studies, name))[:MOST] if name in studies.second["responses"] else []
        responses = [analysis["responses"][name] for analysis in studies.both if shared]
        if responses and scale_of(responses[0]).unit == scale_of(responses[1]).unit:
            tables.append(_table(studies, name, responses[0], shared))
            finding = finding or _finding(studies, name, responses[0], shared)
    if not tables:
        return None
    title, lead = said.CONFIGURATIONS, said.CONFIGURATIONS_LEAD
    return Section("same-configurations", title, lead, tables, finding=finding)


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
        if changes and second is not None:
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


def _finding(
    studies: Studies, name: str, response: ResponseAnalysis, shared: Sequence[Shared]
) -> str:
    """How many they are, and the numbers of the one whose effect leads the page."""
    led = _leading(studies.effects, name, shared)
    told = ""
    if led is not None and not absent(led.first["estimate"]) and not absent(led.second["estimate"]):
        estimates = led.first["estimate"], led.second["estimate"]
        told = said.configuration_change(led.name, scale_of(response), estimates)
    return said.both_have(len(shared), clipped(response["label"]), told)


def _leading(effects: Sequence[Compared], response: str, shared: Sequence[Shared]) -> Shared | None:
    """The configuration that is the first effect of the page alone, else the first one."""
    leading = next((effect.row for effect in effects if effect.row.response == response), None)
    for part in shared:
        if leading is not None and part.changes == {(leading.factor, leading.level)}:
            return part
    return next(iter(shared), None)
