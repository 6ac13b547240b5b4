"""Over training: curves, effects at every step, milestones, stability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import Curve, EffectAtStep
from ablatekit.report.appendix import findings
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Fold,
    Gallery,
    Paragraph,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    figure_data,
    slug,
)
from ablatekit.report.figures.curves import (
    curve_limits,
    curve_records,
    draw_curves,
    draw_effects,
    effect_limits,
    effect_records,
)
from ablatekit.report.figures.panel import Limits
from ablatekit.report.language import alternatives, captions, leads
from ablatekit.report.language.numbers import (
    Scale,
    general,
    level_unit,
    percent,
    scale_of,
    sentence,
)
from ablatekit.report.language.reading import confidence, factor_labels, most_notable
from ablatekit.report.language.sentences import say_all

MEANING = "metric_meaning"
"""Code of the statement that says what a metric is."""
MOST_FACTORS = 6
"""Factors drawn over training; the tables hold all of them."""


def dynamics_section(analysis: Analysis) -> Section | None:
    """Curves of every metric and effects over training per factor; milestones and stability."""
    blocks: list[Block] = []
    labels = factor_labels(analysis)
    shown = list(dict.fromkeys(level.factor for level in most_notable(analysis, MOST_FACTORS)))
    for factor in shown:
        pictures = list(_factor_pictures(analysis, factor, labels.get(factor, factor)))
        if pictures:
            blocks.append(Fold(labels.get(factor, factor), [Gallery(pictures=pictures)]))
    if blocks:
        meanings = dict.fromkeys(map(_meaning, analysis["responses"].values()))
        blocks += [Paragraph(text) for text in [" ".join(filter(None, meanings))] if text]
    for name, response in analysis["responses"].items():
        tables = _tables(name, response, labels)
        if tables:
            blocks.append(Fold(captions.milestones_fold(response["label"]), tables))
    if not blocks:
        return None
    responses = analysis["responses"].values()
    effects = any(response.get("effects_over_training") for response in responses)
    left = len(labels) - len(shown)
    lead = leads.dynamics_lead(confidence(analysis), effects=effects, left=left)
    return Section("dynamics", leads.DYNAMICS, lead, blocks, findings.dynamics(analysis))


def _factor_pictures(analysis: Analysis, factor: str, label: str) -> Iterator[Picture]:
    responses = analysis["responses"].items()
    for name, response in responses:
        if any(curve["factor"] == factor for curve in response.get("dynamics", [])):
            limits = curve_limits(
                [curve for part in _alike(analysis, response) for curve in part.get("dynamics", [])]
            )
            yield _curve_picture(name, response, factor, label, limits)
    for name, response in responses:
        levels = _steps_by_level(response, factor)
        if levels:
            alike = _alike(analysis, response)
            rows = [row for part in alike for row in part.get("effects_over_training", [])]
            limits = effect_limits(rows, [part["smallest_effect"] for part in alike])
            yield _effect_picture(name, response, factor, levels, limits)


def _alike(analysis: Analysis, response: ResponseAnalysis) -> list[ResponseAnalysis]:
    """The responses that are shown in the unit of one: their figures share an axis."""
    unit = scale_of(response).unit
    return [part for part in analysis["responses"].values() if scale_of(part).unit == unit]


def _steps_by_level(response: ResponseAnalysis, factor: str) -> list[list[EffectAtStep]]:
    levels: dict[str, list[EffectAtStep]] = {}
    for row in response.get("effects_over_training", []):
        if row["factor"] == factor:
            levels.setdefault(row["level"], []).append(row)
    return list(levels.values())


def _effect_picture(
    name: str, response: ResponseAnalysis, factor: str, levels: Sequence[Sequence[EffectAtStep]],
    limits: Limits,
) -> Picture:  # fmt: skip
    scale = scale_of(response)
    ends = (
        alternatives.trend(rows[0]["level"], _at(rows[0], scale), _at(rows[-1], scale))
        for rows in levels
    )
    return Picture(
        id=f"trend-{slug(name)}-{slug(factor)}",
        title=captions.with_unit(captions.effect_on(response["label"]), scale.unit),
        alt=alternatives.trends(response["label"], ends),
        draw=partial(draw_effects, levels, response["smallest_effect"], limits, scale),
        data=lambda: figure_data(effect_records(levels)),
    )


def _at(row: EffectAtStep, scale: Scale) -> tuple[str, int]:
    return scale.effect(row["estimate"]), row["step"]


def _curve_picture(
    name: str, response: ResponseAnalysis, factor: str, label: str, limits: Limits
) -> Picture:
    curves = [curve for curve in response.get("dynamics", []) if curve["factor"] == factor]
    scale = scale_of(response)
    parts = (f"{curve['level']}: {_ends(curve, scale)}" for curve in curves)
    return Picture(
        id=f"curve-{slug(name)}-{slug(factor)}",
        title=captions.with_unit(sentence(response["label"]), level_unit(scale)),
        alt=alternatives.curves(response["label"], label, parts),
        draw=partial(draw_curves, curves, limits, scale),
        data=lambda: figure_data(curve_records(curves)),
    )


def _ends(curve: Curve, scale: Scale) -> str:
    if not curve["mean"]:
        return alternatives.WITHOUT_VALUES
    return alternatives.from_to(scale.plain(curve["mean"][0]), scale.plain(curve["mean"][-1]))


def _meaning(response: ResponseAnalysis) -> str:
    """What the metric of the curves is."""
    footers = response["footers"].get("dynamics", [])
    return say_all([part for part in footers if part["code"] == MEANING])


def _tables(name: str, response: ResponseAnalysis, labels: dict[str, str]) -> list[Block]:
    tables: list[Block] = []
    if response.get("milestones"):
        tables.append(_milestone_table(name, response, labels))
    if response.get("stability"):
        tables.append(_stability_table(name, response, labels))
    return tables


def _milestone_table(name: str, response: ResponseAnalysis, labels: dict[str, str]) -> Table:
    scale, rows = scale_of(response), response["milestones"]
    unit = "%" if scale.unit == "pp" else ""
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
        caption=captions.milestones(response["label"]),
        columns=[
            Column("factor"), Column("level"),
            Column(captions.with_unit("threshold", unit), numeric=True),
            Column(captions.REACHED, numeric=True), Column("mean step", numeric=True),
        ],
        rows=entries,
        keys=[[("factor", row["factor"]), ("level", row["level"])] for row in rows],
        computed=[captions.STEPS_FOOTER],
    )  # fmt: skip


def _stability_table(name: str, response: ResponseAnalysis, labels: dict[str, str]) -> Table:
    scale, rows = scale_of(response), response["stability"]
    return Table(
        id=f"stability-{slug(name)}",
        caption=captions.stability(response["label"]),
        columns=[
            Column("factor"), Column("level"),
            Column(captions.with_unit("late sd", scale.unit), numeric=True),
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
        computed=[captions.STEADY_FOOTER],
    )  # fmt: skip
