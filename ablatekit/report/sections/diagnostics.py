"""The diagnostics section: residual plots and checks of what the model assumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect, is_planned
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.report.appendix import findings
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Fold,
    Gallery,
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
from ablatekit.report.language.reading import Unit, subject_of
from ablatekit.report.language.sentences import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def diagnostics_section(analysis: Analysis) -> Section | None:
    """Residual plots and checks, per response."""
    checked = {
        name: response
        for name, response in analysis["responses"].items()
        if response.get("diagnostics")
    }
    if not checked:
        return None
    unit = subject_of(analysis).unit
    texts = _messages(checked, unit)
    blocks: list[Block] = [_summary(checked, unit), *([Warnings(texts)] if texts else [])]
    for name, response in checked.items():
        blocks += _diagnostic_blocks(analysis, name, response)
    lead = leads.diagnostics_lead(subject_of(analysis))
    finding = findings.diagnostics(analysis)
    return Section("diagnostics", leads.DIAGNOSTICS, lead, blocks, finding)


def _diagnostic_blocks(analysis: Analysis, name: str, response: ResponseAnalysis) -> list[Block]:
    diagnostics, unit = response["diagnostics"], subject_of(analysis).unit
    blocks: list[Block] = []
    moved = moved_effects(analysis, response)
    pictures = _residual_pictures(analysis, name, response)
    inside: list[Block] = []
    if moved:
        pictures.append(influence_picture(name, response, moved, unit))
    if pictures:
        caption = captions.left_out_figure(unit) if moved else ""
        inside.append(Gallery(pictures=pictures, caption=caption))
    if moved:
        inside.append(influence_table(name, response, moved, unit))
    if inside:
        blocks.append(Fold(captions.residuals_fold(response["label"]), inside))
    if diagnostics.get("near_bounds"):
        rows = diagnostics["near_bounds"]
        near = plain_table(f"near-{slug(name)}", captions.NEAR_BOUNDS, rows)
        title = captions.near_bounds_fold(response["label"])
        blocks.append(Fold(captions.counted(title, len(rows)), [near]))
    start = diagnostics.get("step_zero")
    if start is not None and start["contexts"]:
        table = plain_table(f"start-{slug(name)}", captions.STEP_ZERO, start["contexts"])
        blocks.append(Fold(captions.step_zero_fold(response["label"]), [table]))
    return blocks


def _messages(checked: Mapping[str, ResponseAnalysis], unit: Unit) -> list[str]:
    """What models and checks have to say, each once with the responses that it is said of."""
    labels: dict[str, list[str]] = {}
    for part in checked.values():
        messages = [*part["model"]["messages"], *part["diagnostics"].get("messages", [])]
        for text in dict.fromkeys(say(message, unit).rstrip(".") for message in messages):
            labels.setdefault(text, []).append(part["label"])
    return [f"{sentence(', '.join(of))}: {text}." for text, of in labels.items()]


def _summary(checked: Mapping[str, ResponseAnalysis], unit: Unit) -> Table:
    """A line per response: its size, its noise, and what stands out."""
    parts = checked.values()
    begun = any(part["diagnostics"].get("step_zero") for part in parts)
    tested = any(part["diagnostics"].get("brown_forsythe_p") is not None for part in parts)
    return Table(
        id="diagnostics-summary",
        caption=captions.CHECKS,
        columns=[
            Column("response"), Column(f"{unit}s", numeric=True),
            Column("residual sd", numeric=True),
            *([Column("Brown-Forsythe p", numeric=True)] if tested else []),
            Column("largest residual"), Column("converged"),
            *([Column("step-0 scores")] if begun else []),
        ],
        rows=[
            [
                Text(sentence(part["label"]), strong=True),
                Quantity(f"{part['model']['n']:,}", part["model"]["n"]),
                Quantity(_with_unit(part, part["residual_sd"]), part["residual_sd"]),
                *([_equal_variances(part)] if tested else []),
                Text(_largest_of(part, unit)),
                Text("yes" if part["model"]["converged"] else "no"),
                *([Text(_start(part))] if begun else []),
            ]
            for part in parts
        ],
        keys=[[("response", name)] for name in checked],
        computed=[
            captions.fitted_model(part["label"], part["model"]["formula"],
                                  say(part["model"]["method"], unit))
            for part in parts
        ],
    )  # fmt: skip


def _equal_variances(response: ResponseAnalysis) -> Quantity:
    p = response["diagnostics"].get("brown_forsythe_p")
    return Quantity(p_value(p), p)


def _with_unit(response: ResponseAnalysis, value: float | None) -> str:
    scale = scale_of(response)
    return f"{scale.plain(value)} {'' if absent(value) else scale.unit}".strip()


def _largest_of(response: ResponseAnalysis, unit: Unit) -> str:
    largest = response["diagnostics"].get("largest_residual")
    return _largest(largest, scale_of(response), unit) if largest else ""


def _start(response: ResponseAnalysis) -> str:
    start = response["diagnostics"].get("step_zero")
    return captions.step_zero(equal=bool(start.get("equal"))) if start else ""


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
        computed=[captions.left_out_footer(unit)],
    )  # fmt: skip
