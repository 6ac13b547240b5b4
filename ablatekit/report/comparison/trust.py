"""How far to trust a comparison: the reasons by rule, the gravest first.

Weak: both are one study, nothing could be compared, or one of the studies is weak evidence by
itself. Limited: runs in both, contexts that are not shared or not independent, other factors
averaged over, plans that differ in several things, other metrics or versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ablatekit.analysis.compare import differing_settings
from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.report.brief.trust import trust_box
from ablatekit.report.comparison.configurations import (
    leading_configuration,
    shared_configurations,
)
from ablatekit.report.comparison.studies import Studies, factor_names, only_one_varies
from ablatekit.report.document import Trust, TrustLevel
from ablatekit.report.language.brief import comparison as said
from ablatekit.report.language.brief.trust import TITLES
from ablatekit.report.language.numbers import sentence
from ablatekit.report.language.sentences import say

LEVELS: tuple[TrustLevel, ...] = ("weak", "limited", "sound")
WEAK, LIMITED, SOUND = LEVELS
CONTEXTS = "contexts"


def comparison_trust(studies: Studies) -> Trust:
    """The level of trust, and its reasons, the gravest first."""
    if studies.same:
        return Trust(WEAK, said.ONE_STUDY, [])
    if not studies.effects:
        return Trust(WEAK, said.NOTHING, list(_only(studies)))
    reasons = sorted(_reasons(studies), key=lambda reason: LEVELS.index(reason[0]))
    level = reasons[0][0] if reasons else SOUND
    return Trust(level, TITLES[level], list(dict.fromkeys(text for _, text in reasons)))


def _only(studies: Studies) -> Iterator[str]:
    """What one study has and the other lacks."""
    only = studies.found.only_first, studies.found.only_second
    for name, parts in zip(studies.names, only, strict=True):
        if parts:
            yield said.only_one_has(name, [say(part) for part in parts])


def _reasons(studies: Studies) -> Iterator[tuple[TrustLevel, str]]:
    yield from _refused(studies)
    yield from _weak_studies(studies)
    notes = _by_code(studies)
    shares = {note["arguments"]["response"]: note["arguments"]["runs"]
              for note in notes.get("runs_in_both", [])}  # fmt: skip
    if shares:
        yield LIMITED, said.shared_runs(shares)
    yield from _plans(studies)
    yield from _contexts(studies, notes)
    yield from _measures(studies, notes)
    responses = [note["arguments"]["response"] for note in notes.get("no_margin_in_both", [])]
    if responses:
        every = len(responses) == len({row.response for row in studies.rows})
        yield SOUND, said.no_margin([] if every else responses)


def _by_code(studies: Studies) -> Mapping[str, list[Statement]]:
    notes: dict[str, list[Statement]] = {}
    for note in studies.found.notes:
        notes.setdefault(note["code"], []).append(note)
    return notes


def _refused(studies: Studies) -> Iterator[tuple[TrustLevel, str]]:
    """Effects that were not compared."""
    refused = [row for row in studies.rows if row.agreement == "not_compared"]
    if refused:
        level = WEAK if len(refused) == len(studies.rows) else LIMITED
        for text in said.comparison_reasons(studies.rows):
            yield level, f"{sentence(text.rstrip('.'))}."


def _weak_studies(studies: Studies) -> Iterator[tuple[TrustLevel, str]]:
    for name, analysis in zip(studies.names, studies.both, strict=True):
        box = trust_box(analysis)
        if box.level == WEAK:
            yield WEAK, said.weak_study(name, box.points[0] if box.points else "")


def _plans(studies: Studies) -> Iterator[tuple[TrustLevel, str]]:
    """In how many things the plans differ; factors that one study alone averages over."""
    things = differing_things(studies)
    only = only_one_varies(studies)
    if any(only):
        yield LIMITED, _averaged(studies, only)
    if len(things) > 1:
        yield LIMITED, said.several_things(things)
    elif things:
        yield SOUND, said.one_thing(things[0])


def _averaged(studies: Studies, only: tuple[list[str], list[str]]) -> str:
    """Factors of one study alone, and the leading effect where they stay at their baseline."""
    averages = said.averaged(studies.names, only)
    leading = studies.effects[0]
    name = leading.row.response
    alone = leading_configuration(studies, name, shared_configurations(studies, name))
    if alone is None:
        return f"{sentence(averages)}."
    estimates = alone.first["estimate"], alone.second["estimate"]
    remaining = replace(leading.said, level=alone.name, estimates=estimates)
    return said.averaged_unless(averages, remaining)


def differing_things(studies: Studies) -> list[str]:
    """What the plans differ in: backend, settings (a budget is one), factors varied, contexts."""
    settings = differing_settings(studies.first, studies.second)
    parents = [name.rpartition(".")[0] or name for name, _, _ in settings]
    backends = _backends(studies)
    things = [said.backends(*backends)] if len(set(backends)) > 1 else []
    things += dict.fromkeys(parents)
    if factor_names(studies.first).keys() != factor_names(studies.second).keys():
        things.append(said.FACTORS)
    if _labels(studies, 0) != _labels(studies, 1):
        things.append(CONTEXTS)
    return things


def _backends(studies: Studies) -> list[str]:
    """Who executed the runs, of the studies that say so."""
    stated = (analysis["study"].get("backend") for analysis in studies.both)
    return [str(backend) for backend in stated if backend]


def _labels(studies: Studies, place: int) -> set[tuple[str, ...]]:
    return {tuple(context.values()) for context in studies.both[place]["design"]["contexts"]}


def _contexts(
    studies: Studies, notes: Mapping[str, list[Statement]]
) -> Iterator[tuple[TrustLevel, str]]:
    for note in notes.get("shared_contexts", []):
        yield SOUND, said.paired(note["arguments"]["contexts"])
        if not any(row.beyond for row in studies.rows):
            yield LIMITED, said.NOTHING_BEYOND
    if studies.found.contexts == "disjoint":
        known = all(any(analysis["design"]["contexts"]) for analysis in studies.both)
        yield LIMITED, said.no_shared_context() if known else said.without_contexts()


def _measures(
    studies: Studies, notes: Mapping[str, list[Statement]]
) -> Iterator[tuple[TrustLevel, str]]:
    """Other metrics, and backends of another version."""
    for note in notes.get("unlike_metrics", []):
        given = note["arguments"]
        yield LIMITED, said.unlike_metrics(given["response"], (given["first"], given["second"]))
    ours, theirs = (analysis["study"] for analysis in studies.both)
    versions = ours.get("results_version"), theirs.get("results_version")
    backend = ours.get("backend")
    if backend and backend == theirs.get("backend") and versions[0] != versions[1]:
        yield LIMITED, said.unlike_versions(str(backend))
