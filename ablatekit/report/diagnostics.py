"""The diagnostics section: residual plots and checks of what the model assumes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ablatekit.analysis.schema import Analysis, ResponseAnalysis
from ablatekit.report.document import (
    Block,
    Facts,
    Fold,
    Gallery,
    Heading,
    Picture,
    Section,
    Warnings,
)
from ablatekit.report.figures.contexts import ContextPanel, draw_contexts, limits_of
from ablatekit.report.figures.residuals import draw_fitted, draw_order, draw_quantiles
from ablatekit.report.influence import influence_picture, influence_table, moved_effects
from ablatekit.report.names import slug
from ablatekit.report.numbers import Scale, absent, general, p_value, scale_of, sentence
from ablatekit.report.plaintable import plain_table
from ablatekit.report.reading import factor_labels, is_planned

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
