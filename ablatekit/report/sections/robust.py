"""Robust companions: what the effects look like without a normal model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ablatekit.analysis.core.lookup import Comparison, comparisons
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import (
    Improvement,
    InterquartileMean,
    Permutation,
    Profile,
    RobustCompanions,
)
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.below import Unknown, said_below
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    EstimateEntry,
    Fold,
    Gallery,
    Heading,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    figure_data,
    slug,
)
from ablatekit.report.figures.curves import draw_profiles, profile_records
from ablatekit.report.language import alternatives, captions, leads
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import Scale, absent, level_unit, p_value, scale_of, sentence
from ablatekit.report.language.reading import Unit, factor_labels, most_notable, subject_of
from ablatekit.report.language.sentences import footers_of, say

MOST_PROFILES = 4
SHARES = Scale(100.0, "%", 0)


def robust_section(analysis: Analysis) -> Section | None:
    """IQM, probability of improvement and permutation p per level; performance profiles."""
    blocks: list[Block] = []
    for name, response in analysis["responses"].items():
        robust = response.get("robust")
        if robust:
            blocks += _blocks(analysis, name, response, robust)
    if not blocks:
        return None
    return Section("robust", leads.ROBUST, leads.ROBUST_LEAD, blocks, findings.robust(analysis))


def _blocks(
    analysis: Analysis, name: str, response: ResponseAnalysis, robust: RobustCompanions
) -> list[Block]:
    blocks: list[Block] = [
        Heading(sentence(response["label"])),
        _table(analysis, name, response, robust),
    ]
    notable = dict.fromkeys(level.factor for level in most_notable(analysis, MOST_PROFILES))
    pictures = [
        _profile_picture(analysis, name, response, profiles)
        for factor in notable
        if (profiles := [row for row in robust["profiles"] if row["factor"] == factor])
    ]
    if pictures:
        caption = captions.profiles(subject_of(analysis).unit)
        gallery = Gallery(pictures=pictures, caption=caption)
        blocks.append(Fold(captions.profiles_fold(response["label"]), [gallery]))
    return blocks


def _table(
    analysis: Analysis, name: str, response: ResponseAnalysis, robust: RobustCompanions
) -> Table:
    shown, unit = level_unit(scale_of(response)), subject_of(analysis).unit
    levels = comparisons(analysis)
    known = {(row["factor"], row["level"]) for row in _with_values(robust)}
    rows = [level for level in levels if (level.factor, level.level) in known]
    below = said_below(_refused(levels, robust, unit), len(levels))
    return Table(
        id=f"robust-{slug(name)}",
        caption=captions.robust(response["label"]),
        columns=[
            Column("factor"), Column("level"), Column(with_unit(captions.IQM, shown), numeric=True),
            Column(with_unit("baseline's IQM", shown), numeric=True),
            Column(captions.IMPROVEMENT, numeric=True),
            Column(captions.PERMUTATION, numeric=True),
        ],
        rows=[_row(level, robust, scale_of(response)) for level in rows],
        keys=[[("factor", level.factor), ("level", level.level)] for level in rows],
        footer="\n".join(below),
        computed=list(filter(None, (
            captions.robust_footer(unit, say(robust["method"], unit)),
            footers_of(response, unit).get("robust"),
        ))),
    )  # fmt: skip


def _with_values(
    robust: RobustCompanions,
) -> Iterator[InterquartileMean | Improvement | Permutation]:
    """The companions that have a number."""
    yield from (row for row in robust["iqm"] if not absent(row["iqm"]))
    yield from (row for row in robust["improvement"] if not absent(row["probability"]))
    yield from (row for row in robust["permutation"] if not absent(row["p"]))


def _refused(
    levels: Sequence[Comparison], robust: RobustCompanions, unit: Unit
) -> Iterator[Unknown]:
    """Why companions of levels have no number."""
    labels = {(level.factor, level.level): level.label for level in levels}
    for what, rows in (
        (captions.IQM, robust["iqm"]),
        (captions.IMPROVEMENT, robust["improvement"]),
        (captions.PERMUTATION, robust["permutation"]),
    ):
        for row in rows:
            key = (row["factor"], row["level"])
            if row["reason"] is not None and key in labels:
                yield Unknown(labels[key], row["level"], say(row["reason"], unit), what)


def _row(level: Comparison, robust: RobustCompanions, scale: Scale) -> list[Entry]:
    key = (level.factor, level.level)
    better = next((r for r in robust["improvement"] if (r["factor"], r["level"]) == key), None)
    test = next((r for r in robust["permutation"] if (r["factor"], r["level"]) == key), None)
    p = test["p"] if test else None
    return [
        Text(level.label),
        Text(level.level, note=captions.against(level.baseline), strong=True),
        _iqm(robust, level.factor, level.level, scale),
        _iqm(robust, level.factor, level.baseline, scale),
        _probability(better),
        Quantity(p_value(p), p, note="exact" if test and test["exact"] else ""),
    ]


def _probability(row: Improvement | None) -> Entry:
    if row is None or absent(row["probability"]):
        return Text("")
    probability, low, high = row["probability"], row["low"], row["high"]
    shown = f"{SHARES.plain(probability)}%"
    return EstimateEntry(shown, SHARES.interval(low, high), probability, low, high)


def _iqm(robust: RobustCompanions, factor: str, level: str, scale: Scale) -> Entry:
    for row in robust["iqm"]:
        if (row["factor"], row["level"]) == (factor, level) and not absent(row["iqm"]):
            interval = "" if absent(row["low"]) else scale.interval(row["low"], row["high"])
            return EstimateEntry(
                scale.plain(row["iqm"]), interval, row["iqm"], row["low"], row["high"]
            )
    return Text("")


def _profile_picture(
    analysis: Analysis, name: str, response: ResponseAnalysis, profiles: Sequence[Profile]
) -> Picture:
    factor = profiles[0]["factor"]
    label = factor_labels(analysis).get(factor, factor)
    unit, scale = subject_of(analysis).unit, scale_of(response)
    parts = (f"{row['level']}: {_middle(row, scale, unit)}" for row in profiles)
    return Picture(
        id=f"profile-{slug(name)}-{slug(factor)}",
        title=label,
        alt=alternatives.profiles(unit, response["label"], label, parts),
        draw=partial(draw_profiles, profiles, response["label"], scale, SHARES),
        data=lambda: figure_data(profile_records(profiles)),
    )


def _middle(row: Profile, scale: Scale, unit: str) -> str:
    """Where half of the runs are above."""
    above = [
        threshold
        for threshold, share in zip(row["threshold"], row["share"], strict=True)
        if share is not None and share >= 0.5
    ]
    if not above:
        return alternatives.WITHOUT_THRESHOLD
    return alternatives.half_above(unit, scale.plain(above[-1]))
