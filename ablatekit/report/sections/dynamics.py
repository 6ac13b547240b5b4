"""Over training: curves, effects at every step, milestones, stability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import Curve, EffectAtStep
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Fold,
    Gallery,
    Heading,
    Paragraph,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    slug,
)
from ablatekit.report.figures.curves import draw_curves, draw_effects
from ablatekit.report.language.numbers import Scale, general, percent, scale_of, sentence
from ablatekit.report.language.reading import confidence, factor_labels, most_notable

MOST_FACTORS = 6
"""Factors drawn over training; the tables hold all of them."""


def dynamics_section(analysis: Analysis) -> Section | None:
    """Curves of every metric and effects over training per factor; milestones and stability."""
    blocks: list[Block] = []
    labels = factor_labels(analysis)
    shown = list(dict.fromkeys(one.factor for one in most_notable(analysis, MOST_FACTORS)))
    for factor in shown:
        pictures = list(_factor_pictures(analysis, factor, labels.get(factor, factor)))
        if pictures:
            blocks += [Heading(labels.get(factor, factor)), Gallery(pictures=pictures)]
    if blocks:
        responses = analysis["responses"].values()
        notes = dict.fromkeys(one["footers"].get("dynamics", "") for one in responses)
        blocks += [Paragraph(note) for note in notes if note]
    for name, response in analysis["responses"].items():
        tables = _tables(name, response, labels)
        if tables:
            blocks.append(Fold(f"Milestones and stability: {response['label']}", tables))
    if not blocks:
        return None
    lead = (
        "Mean over cells and contexts at each level; bands are pointwise"
        f" {confidence(analysis)} intervals from the run-to-run variance."
    )
    if any(response.get("effects_over_training") for response in analysis["responses"].values()):
        lead += (
            " Effects are against the baseline, narrow; their outer band holds at all steps"
            " together."
        )
    left = len(labels) - len(shown)
    lead += f" {left} factors with smaller effects are in the tables only." if left > 0 else ""
    return Section("dynamics", "Over training", lead, blocks)


def _factor_pictures(analysis: Analysis, factor: str, label: str) -> Iterator[Picture]:
    responses = analysis["responses"].items()
    for name, response in responses:
        if any(curve["factor"] == factor for curve in response.get("dynamics", [])):
            yield _curve_picture(name, response, factor, label)
    for name, response in responses:
        levels = _steps_by_level(response, factor)
        if levels:
            yield _effect_picture(name, response, factor, levels)


def _steps_by_level(response: ResponseAnalysis, factor: str) -> list[list[EffectAtStep]]:
    levels: dict[str, list[EffectAtStep]] = {}
    for row in response.get("effects_over_training", []):
        if row["factor"] == factor:
            levels.setdefault(row["level"], []).append(row)
    return list(levels.values())


def _effect_picture(
    name: str, response: ResponseAnalysis, factor: str, levels: Sequence[Sequence[EffectAtStep]]
) -> Picture:
    scale = scale_of(response)
    alt = f"Effect on {response['label']} over training. " + "; ".join(
        f"{rows[0]['level']}: {scale.effect(rows[0]['estimate'])} at step {rows[0]['step']},"
        f" {scale.effect(rows[-1]['estimate'])} at step {rows[-1]['step']}"
        for rows in levels
    )
    unit = f", {scale.unit}" if scale.unit else ""
    return Picture(
        id=f"trend-{slug(name)}-{slug(factor)}",
        title=f"Effect on {response['label']}{unit}",
        alt=alt,
        draw=partial(draw_effects, levels, response["smallest_effect"], scale),
    )


def _curve_picture(name: str, response: ResponseAnalysis, factor: str, label: str) -> Picture:
    curves = [curve for curve in response.get("dynamics", []) if curve["factor"] == factor]
    scale = scale_of(response)
    alt = f"{response['label']} over training for each level of {label}. " + "; ".join(
        f"{curve['level']}: {_ends(curve, scale)}" for curve in curves
    )
    unit = f", {'%' if scale.unit == 'pp' else scale.unit}" if scale.unit else ""
    return Picture(
        id=f"curve-{slug(name)}-{slug(factor)}",
        title=f"{sentence(response['label'])}{unit}",
        alt=alt,
        draw=partial(draw_curves, curves, scale),
    )


def _ends(curve: Curve, scale: Scale) -> str:
    if not curve["mean"]:
        return "no values"
    return f"from {scale.plain(curve['mean'][0])} to {scale.plain(curve['mean'][-1])}"


def _tables(name: str, response: ResponseAnalysis, labels: dict[str, str]) -> list[Block]:
    tables: list[Block] = []
    if response.get("milestones"):
        tables.append(_milestone_table(name, response, labels))
    if response.get("stability"):
        tables.append(_stability_table(name, response, labels))
    return tables


def _milestone_table(name: str, response: ResponseAnalysis, labels: dict[str, str]) -> Table:
    scale, rows = scale_of(response), response["milestones"]
    entries: list[list[Entry]] = [
        [
            Text(labels.get(row["factor"], row["factor"])),
            Text(row["level"], strong=True),
            Quantity(scale.plain(row["threshold"]), row["threshold"]),
            Quantity(f"{row['reached']:,}", row["reached"], note=f"of {row['runs']:,}"),
            Quantity(general(row["mean_step"]), row["mean_step"]),
        ]
        for row in rows
    ]
    return Table(
        id=f"milestones-{slug(name)}",
        caption=f"Steps until {response['label']} reaches a threshold",
        columns=[
            Column("factor"), Column("level"),
            Column(f"threshold{', %' if scale.unit == 'pp' else ''}", numeric=True),
            Column("runs that reached it", numeric=True), Column("mean step", numeric=True),
        ],
        rows=entries,
        keys=[[("factor", row["factor"]), ("level", row["level"])] for row in rows],
        footer="Steps are those of evaluations. Restricted mean: a run that never reached the"
        " threshold counts with its last step, so the mean is a lower bound where some did not."
        f" {response['footers'].get('dynamics', '')}".rstrip(),
    )  # fmt: skip


def _stability_table(name: str, response: ResponseAnalysis, labels: dict[str, str]) -> Table:
    scale, rows = scale_of(response), response["stability"]
    unit = f", {scale.unit}" if scale.unit else ""
    return Table(
        id=f"stability-{slug(name)}",
        caption=f"How steady {response['label']} is",
        columns=[
            Column("factor"), Column("level"), Column(f"late sd{unit}", numeric=True),
            Column("collapse rate", numeric=True),
        ],
        rows=[
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], strong=True),
                Quantity(scale.plain(row["late_sd"]), row["late_sd"]),
                Quantity(percent(row["collapse_rate"]), row["collapse_rate"]),
            ]
            for row in rows
        ],
        keys=[[("factor", row["factor"]), ("level", row["level"])] for row in rows],
        footer="Late sd: mean standard deviation within a run over the last quarter of its steps."
        " Collapse: diverged, or fell back below half of the way from first to best value."
        f" {response['footers'].get('dynamics', '')}".rstrip(),
    )  # fmt: skip
