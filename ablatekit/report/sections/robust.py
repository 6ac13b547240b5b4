"""Robust companions: what the effects look like without a normal model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ablatekit.analysis.core.lookup import Comparison, comparisons
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import Profile, RobustCompanions
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    EstimateEntry,
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
from ablatekit.report.language.sentences import footers_of, say, told

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
    return Section("robust", leads.ROBUST, leads.ROBUST_LEAD, blocks)


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
        blocks.append(Gallery(pictures=pictures, caption=caption))
    return blocks


def _table(
    analysis: Analysis, name: str, response: ResponseAnalysis, robust: RobustCompanions
) -> Table:
    shown, unit = level_unit(scale_of(response)), subject_of(analysis).unit
    levels = comparisons(analysis)
    return Table(
        id=f"robust-{slug(name)}",
        caption=captions.robust(response["label"]),
        columns=[
            Column("factor"), Column("level"), Column(with_unit("IQM", shown), numeric=True),
            Column(with_unit("baseline's IQM", shown), numeric=True),
            Column("probability of improvement", numeric=True),
            Column("permutation p", numeric=True),
        ],
        rows=[_row(level, robust, scale_of(response), unit) for level in levels],
        keys=[[("factor", level.factor), ("level", level.level)] for level in levels],
        footer="\n".join(
            filter(
                None,
                (
                    captions.robust_footer(unit, say(robust["method"], unit)),
                    footers_of(response, unit).get("robust"),
                ),
            )
        ),
    )  # fmt: skip


def _row(level: Comparison, robust: RobustCompanions, scale: Scale, unit: Unit) -> list[Entry]:
    key = (level.factor, level.level)
    better = next((r for r in robust["improvement"] if (r["factor"], r["level"]) == key), None)
    test = next((r for r in robust["permutation"] if (r["factor"], r["level"]) == key), None)
    row: list[Entry] = [
        Text(level.label),
        Text(level.level, note=captions.against(level.baseline), strong=True),
        _iqm(robust, level.factor, level.level, scale),
        _iqm(robust, level.factor, level.baseline, scale),
    ]
    if better is None or absent(better["probability"]):
        row.append(Text("", note=told(better["reason"], unit) if better else ""))
    else:
        row.append(
            EstimateEntry(
                f"{SHARES.plain(better['probability'])}%",
                SHARES.interval(better["low"], better["high"]),
                better["probability"], better["low"], better["high"],
            )
        )  # fmt: skip
    p = test["p"] if test else None
    reason = told(test["reason"], unit) if test else ""
    row.append(Quantity(p_value(p), p, note=reason or ("exact" if test and test["exact"] else "")))
    return row


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
