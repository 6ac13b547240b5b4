"""What differs in the plans of two studies: settings, factors, contexts, runs, rules, software."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ablatekit.analysis.compare import differing_settings, settings_held_equal
from ablatekit.analysis.core.layout import context_label
from ablatekit.analysis.core.lookup import factors_of, label_of, priced_metric, setting
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.report.comparison.studies import Studies, only_one_varies
from ablatekit.report.comparison.trust import differing_things
from ablatekit.report.document import Block, Column, Facts, Paragraph, Section, Table, Text
from ablatekit.report.language.brief import comparison as said
from ablatekit.report.language.captions import price_of
from ablatekit.report.language.numbers import scale_of
from ablatekit.report.language.reading import words

RULES = ("alpha", "adjust", "interactions", "inference", "diverged")
"""Parts of the analysis plan that may differ."""
MEASURED = ("metric", "summary", "direction", "unit", "smallest_effect")

Line = tuple[str, str, str, str]
"""What kind of thing it is, its name, and what it is in both studies."""


def plans_section(studies: Studies) -> Section:
    """Everything that differs, in one table; and how many settings do not."""
    lines = list(_lines(studies))
    shared = _equal_settings(studies)
    asked = any(analysis["study"].get("question") for analysis in studies.both)
    blocks: list[Block] = [_questions(studies)] if asked else []
    blocks += [_table(studies, lines)] if lines else [Paragraph(said.SAME_PLANS)]
    blocks += [Paragraph(said.equal_settings(shared))] if shared else []
    return Section("plans", said.PLANS, "", blocks, finding=_finding(studies))


def _finding(studies: Studies) -> str:
    """What each holds equal, and the factors that one alone varies."""
    held = said.held_equal(studies.said).rstrip(".")
    things = [] if held else differing_things(studies)
    only = only_one_varies(studies)
    parts = [held, *things, said.averaged(studies.names, only) if any(only) else ""]
    return said.plans_finding([part for part in parts if part])


def _questions(studies: Studies) -> Facts:
    """What each study asked."""
    return Facts(
        [
            (name, str(analysis["study"].get("question") or said.NO_QUESTION))
            for name, analysis in zip(studies.names, studies.both, strict=True)
        ]
    )


def _table(studies: Studies, lines: Sequence[Line]) -> Table:
    return Table(
        id="plans-differ",
        caption=said.PLANS_TABLE,
        columns=[Column("part"), Column("what"), *map(Column, studies.names)],
        rows=[
            [Text(kind), Text(name, strong=True), Text(ours), Text(theirs)]
            for kind, name, ours, theirs in lines
        ],
        sortable=False,
    )


def _lines(studies: Studies) -> Iterator[Line]:
    yield from _settings(studies)
    yield from _factors(studies)
    yield from _contexts(studies)
    yield from _different(said.RUNS, *(_runs(analysis) for analysis in studies.both))
    yield from _different(said.RULES, *(_rules(analysis) for analysis in studies.both))
    yield from _responses(studies)
    yield from _different(said.SOFTWARE, *(_software(analysis) for analysis in studies.both))


def _settings(studies: Studies) -> Iterator[Line]:
    """Held equal at different values, then held equal in one study only."""
    for name, first, second in differing_settings(studies.first, studies.second):
        yield said.HELD, name, words(first), words(second)
    ours, theirs = (settings_held_equal(analysis) for analysis in studies.both)
    if not ours or not theirs:
        return
    for name, value in ours.items():
        if name not in theirs:
            yield said.HELD, name, words(value), said.NOT_HELD
    for name, value in theirs.items():
        if name not in ours:
            yield said.HELD, name, said.NOT_HELD, words(value)


def _factors(studies: Studies) -> Iterator[Line]:
    ours, theirs = (_levels(analysis) for analysis in studies.both)
    labels = {
        factor["name"]: label_of(factor)
        for analysis in (studies.second, studies.first)
        for factor in factors_of(analysis)
    }
    for name in dict.fromkeys([*ours, *theirs]):
        first, second = ours.get(name, said.ABSENT), theirs.get(name, said.ABSENT)
        if first != second:
            yield said.FACTOR, labels[name], first, second


def _levels(analysis: Analysis) -> dict[str, str]:
    return {
        factor["name"]: said.levels_of(
            [str(level) for level in factor["levels"]], str(factor["baseline"])
        )
        for factor in factors_of(analysis)
    }


def _contexts(studies: Studies) -> Iterator[Line]:
    """Contexts that only one of them has."""
    ours, theirs = (
        [context_label(context) for context in analysis["design"]["contexts"] if context]
        for analysis in studies.both
    )
    only = [name for name in ours if name not in theirs], [name for name in theirs if
                                                            name not in ours]  # fmt: skip
    if any(only):
        first, second = (said.some_contexts(labels) if labels else "" for labels in only)
        yield said.CONTEXTS, said.ONLY_THERE, first, second


def _runs(analysis: Analysis) -> dict[str, str]:
    design, counts = analysis["design"], analysis.get("counts")
    return {
        "design": str(design["kind"]),
        "cells": f"{len(design['cells']):,}",
        "contexts": f"{len([context for context in design['contexts'] if context]):,}",
        "replicates": f"{design['replicates']:,}",
        "analysed": f"{counts['analysed']:,}" if counts else "",
    }


def _rules(analysis: Analysis) -> dict[str, str]:
    rules = {name: words(setting(analysis, name, None)) for name in RULES}
    return rules | {"price": price_of(priced_metric(analysis))}


def _responses(studies: Studies) -> Iterator[Line]:
    """How each response is measured; responses that only one of them has."""
    ours, theirs = (analysis["responses"] for analysis in studies.both)
    for name in dict.fromkeys([*ours, *theirs]):
        if name in ours and name in theirs:
            first, second = (_measured(part[name]) for part in (ours, theirs))
            yield from _different(f"{said.RESPONSE} {name}", first, second)
        else:
            known = ours.get(name) or theirs[name]
            told = [known["metric"] if name in part else said.ABSENT for part in (ours, theirs)]
            yield said.RESPONSE, name, told[0], told[1]


def _measured(response: Any) -> dict[str, str]:
    smallest = response["smallest_effect"]
    parts = {name: words(response[name]) for name in MEASURED}
    shown = scale_of(response).amount(smallest) if smallest is not None else said.NOT_DECLARED
    return parts | {"smallest_effect": shown}


def _software(analysis: Analysis) -> dict[str, str]:
    study, provenance = analysis["study"], analysis["provenance"]
    versions = provenance.get("versions") or {}
    return {
        "backend": words(study.get("backend")),
        "results version": words(study.get("results_version")),
        **{str(name): words(value) for name, value in versions.items()},
    }


def _different(kind: str, first: dict[str, str], second: dict[str, str]) -> Iterator[Line]:
    """The names under which both have something, and not the same."""
    for name in dict.fromkeys([*first, *second]):
        ours, theirs = first.get(name, ""), second.get(name, "")
        if ours != theirs:
            yield kind, name.replace("_", " "), ours, theirs


def _equal_settings(studies: Studies) -> int:
    ours, theirs = (settings_held_equal(analysis) for analysis in studies.both)
    return sum(name in theirs and theirs[name] == value for name, value in ours.items())
