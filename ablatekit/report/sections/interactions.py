"""The interactions section: a matrix of differences of differences, and cell means behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import combinations

from ablatekit.analysis.companions.fitted_means import fitted_means, pair_means
from ablatekit.analysis.core.lookup import Comparison, alpha_of, comparisons, interactions
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.below import Unknown, said_below
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
    figure_data,
    slug,
)
from ablatekit.report.figures.interactions import (
    MeansPicture,
    draw_interaction,
    means_limits,
    means_records,
)
from ablatekit.report.figures.panel import Limits
from ablatekit.report.language import alternatives, captions, leads
from ablatekit.report.language.appendix import unknown
from ablatekit.report.language.numbers import (
    MISSING,
    Scale,
    absent,
    general,
    p_value,
    scale_of,
    sentence,
)
from ablatekit.report.language.reading import factor_labels, subject_of
from ablatekit.report.language.sentences import say
from ablatekit.report.language.verdicts import together, word
from ablatekit.report.sections.answer import coverage, effect_entry, interval_entry
from ablatekit.report.sections.effects import effect_keys, estimand_notes

MOST_PLOTS = 6
MOST_ROWS = 60
"""Lines of the list of interactions; effects.csv holds all of them."""
TIMES = f" {captions.TIMES} "


def interactions_section(analysis: Analysis) -> Section | None:
    """Matrix, plots of those that matter, and the full table, per response."""
    blocks: list[Block] = []
    for name, response in analysis["responses"].items():
        effects = interactions(response)
        if any(not absent(effect["estimate"]) for effect in effects):
            blocks += _response_blocks(analysis, name, response, effects)
        else:
            blocks += map(Paragraph, _said(effects, analysis))
    if not blocks:
        return None
    finding = findings.interplay(analysis)
    return Section("interactions", leads.INTERACTIONS, leads.INTERACTIONS_LEAD, blocks, finding)


def _response_blocks(
    analysis: Analysis, name: str, response: ResponseAnalysis, effects: Sequence[Effect]
) -> list[Block]:
    blocks: list[Block] = [
        Heading(sentence(response["label"])),
        *_matrix(analysis, name, response, effects),
    ]
    pictures = _pictures(analysis, name, response, effects)
    inside: list[Block] = []
    if pictures:
        inside.append(Gallery(pictures=pictures, caption=captions.INTERACTION_FIGURES))
    table = _interaction_table(analysis, name, response, effects)
    blocks.append(Fold(captions.interactions_fold(response["label"]), [*inside, table]))
    return blocks


def split_pair(
    effect: Effect, levels: Sequence[Comparison]
) -> tuple[Comparison, Comparison] | None:
    """The two comparisons whose effects an interaction "a:b", "x:y" compares."""
    for first, second in combinations(levels, 2):
        for a, b in ((first, second), (second, first)):
            names = f"{a.factor}:{b.factor}", f"{a.level}:{b.level}"
            if names == (effect["factor"], effect["level"]):
                return a, b
    return None


def _matrix(
    analysis: Analysis, name: str, response: ResponseAnalysis, effects: Sequence[Effect]
) -> list[Table]:
    """The matrix, or nothing where no interaction belongs to two known levels."""
    levels = comparisons(analysis)
    scale, alpha, unit = scale_of(response), alpha_of(analysis), subject_of(analysis).unit
    largest = _full_colour(response)
    by_pair: dict[frozenset[Comparison], Effect] = {}
    for effect in effects:
        pair = split_pair(effect, levels)
        if pair is not None:
            by_pair[frozenset(pair)] = effect
    involved = {level for pair in by_pair for level in pair}
    shown = [level for level in levels if level in involved]
    if not shown:
        return []
    across = [level for level in shown if level.factor != shown[-1].factor]
    down = [level for level in shown if level.factor != shown[0].factor]
    rows: list[list[Entry]] = []
    for level in down:
        before = shown[: shown.index(level)]
        pairs = [by_pair.get(frozenset((level, other))) if other in before else None
                 for other in across]  # fmt: skip
        entries = [_matrix_entry(pair, scale, (alpha, largest)) for pair in pairs]
        rows.append([Text(level.level, note=level.label, strong=True), *entries])
    matrix = Table(
        id=f"interactions-{slug(name)}",
        caption=captions.with_unit(captions.interactions(response["label"]), scale.unit),
        columns=[Column("")]
        + [Column(level.level, group=level.label, numeric=True) for level in across],
        rows=rows,
        footer=captions.clear_interactions(alpha),
        computed=estimand_notes(response, effects, unit),
        sortable=False,
        style="matrix",
    )
    return [matrix]


def _full_colour(response: ResponseAnalysis) -> float:
    """The size drawn in full colour: no interaction looks large beside the effects it modifies."""
    sizes = [
        abs(effect["estimate"] or 0.0)
        for effect in response["effects"]
        if effect["estimand"] in ("average", "interaction") and effect["inference"] == "narrow"
    ]
    return max([response["smallest_effect"] or 0.0, *sizes]) or 1.0


def _matrix_entry(effect: Effect | None, scale: Scale, limits: tuple[float, float]) -> Entry:
    """`limits`: alpha, and the size drawn in full colour."""
    if effect is None:
        return Text("")
    if absent(effect["estimate"]):
        return Text(word(effect["verdict"]))
    estimate, (alpha, largest) = effect["estimate"] or 0.0, limits
    p = effect["p_adjusted"]
    clear = p is not None and p < alpha
    text = scale.effect(estimate) + ("*" if clear else "")
    return Quantity(text, estimate, strong=clear, heat=estimate / largest)


def _interaction_table(
    analysis: Analysis, name: str, response: ResponseAnalysis, effects: Sequence[Effect]
) -> Table:
    scale, levels = scale_of(response), comparisons(analysis)
    rows = [effect for effect in effects if not absent(effect["estimate"])]
    shown = sorted(rows, key=_adjusted)[:MOST_ROWS] if len(rows) > MOST_ROWS else rows
    rest = [unknown.rest_in_csv(len(rows), MOST_ROWS)] if len(rows) > MOST_ROWS else []
    return Table(
        id=f"interaction-list-{slug(name)}",
        caption=captions.every_interaction(response["label"]),
        columns=[
            Column("factors"), Column("levels"),
            Column(captions.with_unit("estimate", scale.unit), numeric=True),
            Column("interval", numeric=True), Column("se", numeric=True),
            Column("df", numeric=True), Column("adjusted p", numeric=True), Column("together"),
        ],
        rows=[
            [
                *_interaction_names(effect, levels),
                effect_entry(effect, scale),
                interval_entry(effect, scale),
                Quantity(scale.plain(effect["se"]), effect["se"]),
                Quantity(general(effect["df"], 3), effect["df"]),
                Quantity(p_value(effect["p_adjusted"]), effect["p_adjusted"]),
                Text(together(effect["verdict"])),
            ]
            for effect in shown
        ],
        keys=[effect_keys(effect) for effect in shown],
        footer="\n".join([*_said(effects, analysis), *rest]),
    )  # fmt: skip


def _said(effects: Sequence[Effect], analysis: Analysis) -> list[str]:
    """Why interactions have no number, and what qualifies the others."""
    levels, unit = comparisons(analysis), subject_of(analysis).unit
    parts = [
        Unknown("", _pair_name(effect, levels), say(statement, unit))
        for effect in effects
        for statement in (effect["reason"], *effect["notes"])
        if statement is not None
    ]
    return said_below(parts, len(effects), unknown.EVERY_PAIR)


def _adjusted(effect: Effect) -> float:
    return 1.0 if effect["p_adjusted"] is None else effect["p_adjusted"]


def _pair_name(effect: Effect, levels: Sequence[Comparison]) -> str:
    """The two levels of an interaction in one phrase."""
    pair = split_pair(effect, levels)
    if pair is None:
        return f"{effect['factor']}: {effect['level']}"
    return TIMES.join(f"{level.label} {level.level}" for level in pair)


def _interaction_names(effect: Effect, levels: Sequence[Comparison]) -> list[Entry]:
    """The two factors by their labels, and the two levels."""
    pair = split_pair(effect, levels)
    factors, values = effect["factor"], effect["level"]
    if pair is not None:
        factors, values = (TIMES.join(names) for names in (
            (pair[0].label, pair[1].label), (pair[0].level, pair[1].level)
        ))  # fmt: skip
    return [Text(factors, note=coverage(effect)), Text(values, strong=True)]


def _pictures(
    analysis: Analysis, name: str, response: ResponseAnalysis, effects: Sequence[Effect]
) -> list[Picture]:
    limits = means_limits(
        [
            cells
            for part in analysis["responses"].values()
            if scale_of(part).unit == scale_of(response).unit
            for cells, _, _ in _means_shown(analysis, part, interactions(part))
        ]
    )
    shown = _means_shown(analysis, response, effects)
    return [_picture(name, response, *part, limits) for part in shown]


def _means_shown(
    analysis: Analysis, response: ResponseAnalysis, effects: Sequence[Effect]
) -> list[tuple[MeansPicture, Effect, str]]:
    """The cell means of the pairs of factors that are drawn, each with its effect and its name."""
    pairs: dict[tuple[str, str], Effect] = {}
    for effect in _worth_showing(effects, alpha_of(analysis)):
        pair = split_pair(effect, comparisons(analysis))
        if pair is not None:
            pairs.setdefault((pair[0].factor, pair[1].factor), effect)
    if "design" not in analysis:
        return []
    fitted, labels = fitted_means(response), factor_labels(analysis)
    shown: list[tuple[MeansPicture, Effect, str]] = []
    for (first, second), effect in list(pairs.items())[:MOST_PLOTS]:
        means = pair_means(analysis, fitted, first, second)
        if means is not None:
            cells = MeansPicture(
                axis_label=labels[first],
                axis_levels=means.first_levels,
                line_label=labels[second],
                line_levels=means.second_levels,
                means=means.means,
                per_context=means.per_context,
            )
            shown.append((cells, effect, f"{first}-{second}"))
    return shown


def _worth_showing(effects: Sequence[Effect], alpha: float) -> list[Effect]:
    known = [effect for effect in effects if not absent(effect["estimate"])]
    known.sort(key=lambda effect: -abs(effect["estimate"] or 0.0))
    clear = [effect for effect in known if (effect["p_adjusted"] or 1.0) < alpha]
    return clear or known[:1]


def _picture(
    name: str, response: ResponseAnalysis, cells: MeansPicture, effect: Effect, pair: str,
    limits: Limits,
) -> Picture:  # fmt: skip
    identifier = f"interplay-{slug(name)}-{slug(pair)}"
    scale = scale_of(response)
    size = scale.effect(effect["estimate"])
    interval = scale.interval(effect["low"], effect["high"])
    title = f"{cells.axis_label}{TIMES}{cells.line_label}: {size}"
    title += f" {interval}" if interval != MISSING else ""
    title += f" {scale.unit}" if scale.unit else ""
    parts = (
        alternatives.mean_at(line, level, scale.plain(_number(cells.means[row, column])))
        for row, line in enumerate(cells.line_levels)
        for column, level in enumerate(cells.axis_levels)
    )
    return Picture(
        id=identifier,
        title=title,
        alt=alternatives.interaction(response["label"], title, parts),
        draw=partial(draw_interaction, cells, limits, scale),
        data=lambda: figure_data(means_records(cells)),
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
