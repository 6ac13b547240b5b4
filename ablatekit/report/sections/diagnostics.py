"""The diagnostics section: residual plots and checks of what the model assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

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
    slug,
)
from ablatekit.report.figures.contexts import ContextPanel, draw_contexts, limits_of
from ablatekit.report.figures.influence import MovedEffect, draw_influence
from ablatekit.report.figures.residuals import draw_fitted, draw_order, draw_quantiles
from ablatekit.report.language.numbers import Scale, absent, general, p_value, scale_of, sentence
from ablatekit.report.language.reading import factor_labels
from ablatekit.report.sections.records import plain_table

FEWEST_CONTEXTS = 3
INFLUENCE = (
    "One run left out: thin lines are the intervals of all runs, thick ones reach from the smallest"
    " to the largest estimate without one run."
)


def diagnostics_section(analysis: Analysis) -> Section | None:
    """Residual plots and checks, per response."""
    blocks: list[Block] = []
    for name, response in analysis["responses"].items():
        if response.get("diagnostics"):
            blocks += _diagnostic_blocks(analysis, name, response)
    if not blocks:
        return None
    lead = "What the model assumes about run-to-run variation, and how the runs look under it."
    return Section("diagnostics", "Diagnostics", lead, blocks)


def _diagnostic_blocks(analysis: Analysis, name: str, response: ResponseAnalysis) -> list[Block]:
    diagnostics = response["diagnostics"]
    blocks: list[Block] = [Heading(sentence(response["label"])), Facts(_model_facts(response))]
    moved = moved_effects(analysis, response)
    pictures = _residual_pictures(analysis, name, response)
    pictures += _ordered_contexts(analysis, name, response)
    if moved:
        pictures.append(influence_picture(name, response, moved))
    if pictures:
        blocks.insert(1, Gallery(pictures=pictures, caption=INFLUENCE if moved else ""))
    messages = [*response["model"]["messages"], *diagnostics.get("messages", [])]
    if messages:
        blocks.append(Warnings(list(dict.fromkeys(messages))))
    if moved:
        table = influence_table(name, response, moved)
        blocks.append(Fold(f"{sentence(response['label'])} with one run left out", [table]))
    if diagnostics.get("near_bounds"):
        rows = diagnostics["near_bounds"]
        title = "Cell means within 0.05 of 0 or 1"
        near = plain_table(f"near-{slug(name)}", title, rows)
        blocks.append(Fold(f"{title} ({len(rows)})", [near]))
    start = (diagnostics.get("step_zero") or {}).get("contexts")
    if isinstance(start, list) and start:
        table = plain_table(f"start-{slug(name)}", "Step-0 scores by context", start)
        blocks.append(Fold("Step-0 scores by context", [table]))
    return blocks


def _model_facts(response: ResponseAnalysis) -> list[tuple[str, str]]:
    model, diagnostics = response["model"], response["diagnostics"]
    facts = [
        ("model", model["formula"]),
        ("method", model["method"]),
        ("runs analysed", f"{model['n']:,}"),
        ("residual sd", scale_of(response).plain(response["residual_sd"])),
        ("converged", "yes" if model["converged"] else "no"),
        ("Brown-Forsythe p", p_value(diagnostics.get("brown_forsythe_p"))),
    ]
    largest = diagnostics.get("largest_residual")
    if largest:
        facts.append(("largest residual", _largest(largest, scale_of(response))))
    start = diagnostics.get("step_zero")
    if start:
        agreed = "equal within every context" if start.get("equal") else "differ within a context"
        facts.append(("step-0 scores", agreed))
    return facts


def _largest(record: Mapping[str, Any], scale: Scale) -> str:
    """The residual in the unit of the response and in residual sds, and whose it is."""
    size = f"{scale.effect(record['residual'])} {scale.unit}".strip()
    sds = f" ({general(record['in_sd'], 3)} residual sd)" if "in_sd" in record else ""
    where = [str(record[name]) for name in ("cell", "context") if name in record]
    return "; ".join([f"{size}{sds}", f"run {record['run']}", *where])


def _residual_pictures(analysis: Analysis, name: str, response: ResponseAnalysis) -> list[Picture]:
    residuals = response["diagnostics"].get("residuals") or {}
    values, fitted = residuals.get("residual", []), residuals.get("fitted", [])
    quantiles = residuals.get("quantile", residuals.get("normal_quantile", []))
    scale, label = scale_of(response), response["label"]
    pictures: list[Picture] = []
    if values and len(fitted) == len(values):
        identifier = f"fitted-{slug(name)}"
        alt = f"Scatter of {len(values)} residuals of {label} against their fitted cell means."
        draw = partial(draw_fitted, fitted, values, scale)
        pictures.append(
            Picture(id=identifier, title="Residuals against fitted values", alt=alt, draw=draw)
        )
    if values and len(quantiles) == len(values):
        identifier = f"normal-{slug(name)}"
        alt = f"{len(values)} residuals of {label} against normal quantiles."
        draw = partial(draw_quantiles, quantiles, values, scale)
        pictures.append(
            Picture(id=identifier, title="Residuals against normal quantiles", alt=alt, draw=draw)
        )
    order = residuals.get("order", [])
    if values and len(order) == len(values) and is_planned(analysis):
        identifier = f"drift-{slug(name)}"
        alt = f"{len(values)} residuals of {label} in the order in which runs were planned."
        draw = partial(draw_order, order, values, scale)
        pictures.append(Picture(id=identifier, title="Residuals in run order", alt=alt, draw=draw))
    return pictures


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
    alt = f"Effect of {level} on {response['label']} in each context, smallest first. " + "; ".join(
        f"{row['context']}: {scale.effect(row['estimate'])}" for row in rows
    )
    panel = ContextPanel(label, rows, None, limits_of(rows), scale)
    title = f"{level}, the effect with the largest \N{GREEK SMALL LETTER TAU}, ordered by context"
    draw = partial(draw_contexts, [panel])
    return [Picture(id=f"ordered-{slug(name)}", title=title, alt=alt, draw=draw)]


def moved_effects(
    analysis: Analysis, response: ResponseAnalysis
) -> list[tuple[Comparison, MovedEffect]]:
    """Every average effect with its extremes, in the order of the study."""
    rows = response["diagnostics"].get("influence", [])
    moved = {(row["factor"], row["level"]): row for row in rows}
    found = []
    for level in comparisons(analysis):
        row, effect = (
            moved.get((level.factor, level.level)),
            find_effect(response["effects"], level, "narrow"),
        )
        if row is not None and effect is not None:
            one = MovedEffect(level.name, effect, row["low"], row["high"], row["run"])
            found.append((level, one))
    return found


def influence_picture(
    name: str, response: ResponseAnalysis, moved: Sequence[tuple[Comparison, MovedEffect]]
) -> Picture:
    """Each average effect with its extremes, drawn."""
    scale, rows = scale_of(response), [row for _, row in moved]
    alt = f"Effects on {response['label']} with one run left out. " + "; ".join(
        f"{row.name}: {scale.effect(row.low)} to {scale.effect(row.high)}" for row in rows
    )
    return Picture(
        id=f"moved-{slug(name)}",
        title="Effects with one run left out",
        alt=alt,
        draw=partial(draw_influence, rows, response["smallest_effect"], scale),
    )


def influence_table(
    name: str, response: ResponseAnalysis, moved: Sequence[tuple[Comparison, MovedEffect]]
) -> Table:
    """Each average effect, and its extremes with one run left out."""
    scale = scale_of(response)
    unit = f", {scale.unit}" if scale.unit else ""
    rows: list[list[Entry]] = []
    for level, row in moved:
        ends = (row.effect["estimate"], row.low, row.high)
        values = [Quantity(scale.effect(value), value) for value in ends]
        rows.append([Text(level.label), Text(level.level, strong=True), *values, Text(row.run)])
    return Table(
        id=f"influence-{slug(name)}",
        caption=f"Average effects on {response['label']} with one run left out",
        columns=[
            Column("factor"), Column("level"), Column(f"all runs{unit}", numeric=True),
            Column(f"smallest{unit}", numeric=True), Column(f"largest{unit}", numeric=True),
            Column("run that moves it most"),
        ],
        rows=rows,
        footer="Smallest and largest estimate over all analyses with one run left out: leaving out"
        " a run with residual e moves the mean of its n runs by e/(n \N{MINUS SIGN} 1).",
    )  # fmt: skip
