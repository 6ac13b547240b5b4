"""The diagnostics section: residual plots and checks of what the model assumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect, is_planned
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Facts,
    Fold,
    Gallery,
    Heading,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
    figure_data,
    plain_table,
    slug,
)
from ablatekit.report.figures.contexts import (
    ContextPanel,
    context_records,
    draw_contexts,
    limits_of,
)
from ablatekit.report.figures.influence import (
    MovedEffect,
    draw_influence,
    moved_limits,
    moved_records,
)
from ablatekit.report.figures.residuals import (
    draw_fitted,
    draw_order,
    draw_quantiles,
    residual_limits,
    residual_records,
)
from ablatekit.report.language import alternatives, captions, leads
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import Scale, absent, general, p_value, scale_of, sentence
from ablatekit.report.language.reading import Unit, factor_labels, subject_of
from ablatekit.report.language.sentences import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST_CONTEXTS = 3


def diagnostics_section(analysis: Analysis) -> Section | None:
    """Residual plots and checks, per response."""
    blocks: list[Block] = []
    for name, response in analysis["responses"].items():
        if response.get("diagnostics"):
            blocks += _diagnostic_blocks(analysis, name, response)
    if not blocks:
        return None
    lead = leads.diagnostics_lead(subject_of(analysis))
    return Section("diagnostics", leads.DIAGNOSTICS, lead, blocks)


def _diagnostic_blocks(analysis: Analysis, name: str, response: ResponseAnalysis) -> list[Block]:
    diagnostics, unit = response["diagnostics"], subject_of(analysis).unit
    facts = Facts(_model_facts(response, unit))
    blocks: list[Block] = [Heading(sentence(response["label"])), facts]
    moved = moved_effects(analysis, response)
    pictures = _residual_pictures(analysis, name, response)
    pictures += _ordered_contexts(analysis, name, response)
    if moved:
        pictures.append(influence_picture(name, response, moved, unit))
    if pictures:
        blocks.insert(
            1, Gallery(pictures=pictures, caption=captions.left_out_figure(unit) if moved else "")
        )
    messages = [*response["model"]["messages"], *diagnostics.get("messages", [])]
    if messages:
        told = dict.fromkeys(say(message, unit) for message in messages)
        blocks.append(Warnings(list(told)))
    if moved:
        table = influence_table(name, response, moved, unit)
        blocks.append(Fold(captions.left_out_fold(sentence(response["label"]), unit), [table]))
    if diagnostics.get("near_bounds"):
        rows = diagnostics["near_bounds"]
        near = plain_table(f"near-{slug(name)}", captions.NEAR_BOUNDS, rows)
        blocks.append(Fold(captions.counted(captions.NEAR_BOUNDS, len(rows)), [near]))
    start = diagnostics.get("step_zero")
    if start is not None and start["contexts"]:
        table = plain_table(f"start-{slug(name)}", captions.STEP_ZERO, start["contexts"])
        blocks.append(Fold(captions.STEP_ZERO, [table]))
    return blocks


def _model_facts(response: ResponseAnalysis, unit: Unit) -> list[tuple[str, str]]:
    model, diagnostics = response["model"], response["diagnostics"]
    facts = [
        ("model", model["formula"]),
        ("method", say(model["method"], unit)),
        (f"{unit}s analysed", f"{model['n']:,}"),
        ("residual sd", scale_of(response).plain(response["residual_sd"])),
        ("converged", "yes" if model["converged"] else "no"),
    ]
    if diagnostics.get("brown_forsythe_p") is not None:
        facts.append(("Brown-Forsythe p", p_value(diagnostics["brown_forsythe_p"])))
    largest = diagnostics.get("largest_residual")
    if largest:
        facts.append(("largest residual", _largest(largest, scale_of(response), unit)))
    start = diagnostics.get("step_zero")
    if start:
        facts.append(("step-0 scores", captions.step_zero(equal=bool(start.get("equal")))))
    return facts


def _largest(record: Mapping[str, Any], scale: Scale, unit: Unit) -> str:
    """The residual in the unit of the response and in residual sds, and whose it is."""
    size = f"{scale.effect(record['residual'])} {scale.unit}".strip()
    sds = f" ({general(record['in_sd'], 3)} residual sd)" if "in_sd" in record else ""
    where = [str(record[name]) for name in ("cell", "context") if name in record]
    whose = captions.value_of(unit, str(record.get("run", record.get("row"))))
    return "; ".join([f"{size}{sds}", whose, *where])


def _residual_pictures(analysis: Analysis, name: str, response: ResponseAnalysis) -> list[Picture]:
    residuals = response["diagnostics"]["residuals"]
    of_cells = "design" in analysis
    values, fitted = residuals.get("residual", []), residuals.get("fitted", [])
    quantiles = residuals.get("quantile", [])
    scale, label = scale_of(response), response["label"]
    limits = residual_limits(
        [
            part["diagnostics"]["residuals"].get("residual", [])
            for part in analysis["responses"].values()
            if part.get("diagnostics") and scale_of(part).unit == scale.unit
        ]
    )
    pictures: list[Picture] = []
    if values and len(fitted) == len(values):
        alt = alternatives.against_fitted(len(values), label, of_cells=of_cells)
        draw = partial(draw_fitted, fitted, values, limits, scale, of_cells=of_cells)
        pictures.append(_residuals("fitted", name, captions.FITTED, alt, draw, fitted, values))
    if values and len(quantiles) == len(values):
        alt = alternatives.against_quantiles(len(values), label)
        draw = partial(draw_quantiles, quantiles, values, limits, scale)
        pictures.append(
            _residuals("normal", name, captions.QUANTILES, alt, draw, quantiles, values)
        )
    order = residuals.get("order", [])
    if values and len(order) == len(values) and is_planned(analysis):
        alt = alternatives.in_run_order(len(values), label)
        draw = partial(draw_order, order, values, limits, scale)
        pictures.append(_residuals("drift", name, captions.ORDER, alt, draw, order, values))
    return pictures


def _residuals(
    kind: str, name: str, title: str, alt: str, draw: Callable[[], Figure],
    across: Sequence[float], values: Sequence[float],
) -> Picture:  # fmt: skip
    return Picture(
        id=f"{kind}-{slug(name)}",
        title=title,
        alt=alt,
        draw=draw,
        data=lambda: figure_data(residual_records(kind, across, values)),
    )


def _ordered_contexts(analysis: Analysis, name: str, response: ResponseAnalysis) -> list[Picture]:
    """The effect that varies most between contexts, contexts in the order of its size."""
    varying = [row for row in response.get("heterogeneity", []) if not absent(row["tau"])]
    if not varying:
        return []
    most = max(varying, key=lambda row: row["tau"] or 0.0)
    key = (most["factor"], most["level"])
    rows = [
        row
        for row in response.get("contexts", [])
        if (row["factor"], row["level"]) == key and not absent(row["estimate"])
    ]
    if len(rows) < FEWEST_CONTEXTS:
        return []
    rows.sort(key=lambda row: row["estimate"] or 0.0)
    scale, label = scale_of(response), sentence(response["label"])
    level = f"{factor_labels(analysis).get(key[0], key[0])}: {key[1]}"
    parts = (f"{row['context']}: {scale.effect(row['estimate'])}" for row in rows)
    alt = alternatives.ordered_contexts(level, response["label"], parts)
    panel = ContextPanel(label, rows, None, limits_of(rows), scale)
    title = captions.largest_spread(level)
    return [
        Picture(
            id=f"ordered-{slug(name)}",
            title=title,
            alt=alt,
            draw=partial(draw_contexts, [panel]),
            data=lambda: figure_data(context_records([panel])),
        )
    ]


def moved_effects(
    analysis: Analysis, response: ResponseAnalysis
) -> list[tuple[Comparison, MovedEffect]]:
    """Every average effect with its extremes, in the order of the study."""
    rows = response["diagnostics"].get("influence", [])
    extremes = {(row["factor"], row["level"]): row for row in rows}
    moved = []
    for level in comparisons(analysis):
        row = extremes.get((level.factor, level.level))
        effect = find_effect(response["effects"], level, "narrow")
        if row is not None and effect is not None:
            shifted = MovedEffect(level.name, effect, row["low"], row["high"], row["run"])
            moved.append((level, shifted))
    return moved


def influence_picture(
    name: str,
    response: ResponseAnalysis,
    moved: Sequence[tuple[Comparison, MovedEffect]],
    unit: Unit,
) -> Picture:
    """Each average effect with its extremes, drawn."""
    scale, rows = scale_of(response), [row for _, row in moved]
    limits = moved_limits(rows)
    parts = (f"{row.name}: {alternatives.between(row.low, row.high, scale)}" for row in rows)
    return Picture(
        id=f"moved-{slug(name)}",
        title=captions.left_out(unit),
        alt=alternatives.influence(unit, response["label"], parts),
        draw=partial(draw_influence, rows, response["smallest_effect"], limits, scale, unit),
        data=lambda: figure_data(moved_records(rows)),
    )


def influence_table(
    name: str,
    response: ResponseAnalysis,
    moved: Sequence[tuple[Comparison, MovedEffect]],
    unit: Unit,
) -> Table:
    """Each average effect, and its extremes with one run left out."""
    scale = scale_of(response)
    rows: list[list[Entry]] = []
    for level, row in moved:
        ends = (row.effect["estimate"], row.low, row.high)
        values = [Quantity(scale.effect(value), value) for value in ends]
        rows.append([Text(level.label), Text(level.level, strong=True), *values, Text(row.run)])
    return Table(
        id=f"influence-{slug(name)}",
        caption=captions.left_out_table(response["label"], unit),
        columns=[
            Column("factor"), Column("level"),
            *(Column(with_unit(title, scale.unit), numeric=True)
              for title in (f"all {unit}s", "smallest", "largest")),
            Column(f"{unit} that {captions.MOVES_MOST}"),
        ],
        rows=rows,
        footer=captions.left_out_footer(unit),
    )  # fmt: skip
