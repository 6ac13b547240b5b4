"""Sections about effects: forest plots, the gap map, interactions, contexts, training curves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ablatekit.analysis.schema import (
    Analysis,
    Effect,
    Estimand,
    Heterogeneity,
    ResponseAnalysis,
)
from ablatekit.report.answer import (
    badge,
    effect_entry,
    gap_footer,
    gap_scale,
    interval_entry,
    room,
)
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Fold,
    Gallery,
    Heading,
    Interval,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
)
from ablatekit.report.figures.contexts import ContextPanel, draw_contexts, limits_of
from ablatekit.report.figures.forest import draw_forest
from ablatekit.report.figures.gapmap import MapPoint, draw_map
from ablatekit.report.names import slug
from ablatekit.report.numbers import (
    Scale,
    absent,
    footers_of,
    general,
    p_value,
    percent,
    scale_of,
    sentence,
)
from ablatekit.report.reading import (
    Comparison,
    comparisons,
    confidence,
    factor_labels,
    find_effect,
    most_notable,
)
from ablatekit.report.verdicts import Room

MOST_LEVELS = 8
"""Levels drawn context by context; the table holds all of them."""
ESTIMAND_NAMES: dict[Estimand, str] = {
    "average": "average effect",
    "baseline": "effect at the baseline",
    "removal": "effect of removal",
    "shapley": "Shapley value",
    "interaction": "interaction",
}


def forest_section(analysis: Analysis) -> Section:
    """A forest plot per response, and every estimand in a table that opens on request."""
    levels = comparisons(analysis)
    pictures = [
        _forest_picture(name, response, levels) for name, response in analysis["responses"].items()
    ]
    caption = (
        f"Marks: narrow estimates with {confidence(analysis)} intervals, shaped and coloured by"
        " verdict (triangle up helps, triangle down hurts, square equivalent, hollow circle"
        " inconclusive). Hollow diamonds: broad. Grey bars: prediction interval for one new"
        " context. Shaded: within the smallest effect that matters."
    )
    blocks: list[Block] = [Gallery(pictures=pictures, caption=caption)]
    blocks += [
        Fold(
            f"Every estimand of {response['label']}, with standard errors and p values",
            [_estimand_table(name, response, levels, room(analysis, response))],
        )
        for name, response in analysis["responses"].items()
    ]
    lead = "How large each effect is, here and in contexts like these."
    return Section("effects", "Effects", lead, blocks)


def _forest_picture(name: str, response: ResponseAnalysis, levels: Sequence[Comparison]) -> Picture:
    identifier = f"forest-{slug(name)}"
    scale = scale_of(response)
    alt = f"Forest plot of effects on {response['label']}. " + "; ".join(
        _spoken(level, find_effect(response["effects"], level, "narrow"), scale) for level in levels
    )
    return Picture(
        id=identifier,
        title=sentence(response["label"]),
        alt=alt,
        draw=partial(draw_forest, response, levels, scale),
    )


def _spoken(level: Comparison, effect: Effect | None, scale: Scale) -> str:
    if effect is None or absent(effect["estimate"]):
        return f"{level.name}: {effect['verdict'] if effect else 'not estimated'}"
    interval = scale.interval(effect["low"], effect["high"])
    return f"{level.name}: {scale.effect(effect['estimate'])} {interval}, {effect['verdict']}"


def _estimand_table(
    name: str, response: ResponseAnalysis, levels: Sequence[Comparison], available: Room
) -> Table:
    labels = {(level.factor, level.level): level.label for level in levels}
    chosen = [effect for effect in response["effects"] if effect["estimand"] != "interaction"]
    return Table(
        id=f"estimands-{slug(name)}",
        caption=f"Every estimand of {response['label']}",
        columns=_estimand_columns(scale_of(response)),
        rows=[
            [
                Text(labels.get((effect["factor"], effect["level"]), effect["factor"])),
                Text(effect["level"], note=f"vs {effect['baseline']}", strong=True),
                *_estimand_entries(effect, scale_of(response), available),
            ]
            for effect in chosen
        ],
        keys=[effect_keys(effect) for effect in chosen],
        footer="\n".join(estimand_notes(response, chosen)),
    )


def effect_keys(effect: Effect) -> list[tuple[str, str]]:
    """What identifies an effect, as data- attributes of its row."""
    return [
        ("factor", effect["factor"]),
        ("level", effect["level"]),
        ("estimand", effect["estimand"]),
        ("inference", effect["inference"]),
    ]


def _estimand_columns(scale: Scale) -> list[Column]:
    unit = f", {scale.unit}" if scale.unit else ""
    return [
        Column("factor"),
        Column("level"),
        Column("estimand"),
        Column("inference"),
        Column(f"estimate{unit}", numeric=True),
        Column("interval", numeric=True),
        Column("se", numeric=True),
        Column("df", numeric=True),
        Column("p", numeric=True),
        Column("adjusted p", numeric=True),
        Column("verdict"),
    ]


def _estimand_entries(effect: Effect, scale: Scale, available: Room) -> list[Entry]:
    return [
        Text(ESTIMAND_NAMES[effect["estimand"]], note=effect.get("note") or ""),
        Text(effect["inference"]),
        effect_entry(effect, scale),
        interval_entry(effect, scale),
        Quantity(scale.plain(effect["se"]), effect["se"]),
        Quantity(general(effect["df"], 3), effect["df"]),
        Quantity(p_value(effect["p"]), effect["p"]),
        Quantity(p_value(effect["p_adjusted"]), effect["p_adjusted"]),
        badge(effect, available),
    ]


def estimand_notes(response: ResponseAnalysis, effects: Sequence[Effect]) -> list[str]:
    """The footers of the estimands and inferences shown, else what the effects themselves name."""
    footers = footers_of(response)
    estimands = dict.fromkeys(effect["estimand"] for effect in effects)
    inferences = dict.fromkeys(effect["inference"] for effect in effects)
    if all(footers.get(estimand) for estimand in estimands):
        named = [f"{ESTIMAND_NAMES[name].capitalize()}: {footers[name]}" for name in estimands]
        return named + [footers[name] for name in inferences if footers.get(name)]
    return _notes_of_rows(effects)


def _notes_of_rows(effects: Sequence[Effect]) -> list[str]:
    notes: dict[tuple[Estimand, str], dict[str, None]] = {}
    for effect in effects:
        parts = (effect["method"], effect["family"], effect["averaged_over"])
        text = "; ".join(part for part in parts if part)
        notes.setdefault((effect["estimand"], effect["inference"]), {})[text] = None
    return [
        f"{ESTIMAND_NAMES[estimand].capitalize()}, {inference}: {' / '.join(filter(None, texts))}."
        for (estimand, inference), texts in notes.items()
        if any(texts)
    ]


def map_section(analysis: Analysis) -> Section | None:
    """Learning against generalization, one map per comparison."""
    galleries: list[Block] = []
    for name, gap in analysis.get("comparisons", {}).items():
        picture = _map_picture(analysis, name)
        if picture is not None:
            galleries.append(
                Gallery(pictures=[picture], caption=gap_footer(analysis, name), wide=True)
            )
        if gap.get("messages"):
            galleries.append(Warnings(gap["messages"]))
    if not galleries:
        return None
    lead = (
        "A level on the dashed diagonal changes learning and generalization alike. Below it the"
        " gap widens: more is learnt than carries over. The verdict is a paired test on the gap"
        " within each run, not a comparison of the two intervals."
    )
    return Section("gap", "Learning against generalization", lead, galleries)


def _map_picture(analysis: Analysis, name: str) -> Picture | None:
    gap = analysis["comparisons"][name]
    learning = analysis["responses"].get(gap["learning"])
    generalization = analysis["responses"].get(gap["generalization"])
    if learning is None or generalization is None:
        return None
    points: list[MapPoint] = []
    for level in comparisons(analysis):
        x = find_effect(learning["effects"], level, "narrow")
        y = find_effect(generalization["effects"], level, "narrow")
        test = find_effect(gap["effects"], level, "narrow")
        if x and y and test and not absent(x["estimate"]) and not absent(y["estimate"]):
            points.append(MapPoint(level.name, x, y, test["verdict"]))
    if not points:
        return None
    identifier = f"map-{slug(name)}"
    scale = gap_scale(analysis, name)
    alt = "Each level's effect on learning and on generalization. " + "; ".join(
        f"{point.name}: {scale.effect(point.learning['estimate'])} and"
        f" {scale.effect(point.generalization['estimate'])}, gap {point.verdict}"
        for point in points
    )
    labels = (learning["label"], generalization["label"])
    return Picture(
        id=identifier,
        title=f"{sentence(labels[0])} against {labels[1]}",
        alt=alt,
        draw=partial(draw_map, points, labels, scale),
    )


def contexts_section(analysis: Analysis) -> Section | None:
    """Every level's effect in every context, and how much it varies between them."""
    levels = comparisons(analysis)
    drawn = most_notable(analysis, MOST_LEVELS)
    pictures = [
        picture for level in drawn if (picture := _context_picture(analysis, level)) is not None
    ]
    if not pictures:
        return None
    left = len(levels) - len(drawn)
    more = f" {left} levels with smaller effects are in the table only." if left > 0 else ""
    blocks: list[Block] = [
        Gallery(
            pictures=pictures,
            caption="Points: the average effect inside one context with its"
            f" {confidence(analysis)} interval. Line and shade: mean over contexts (narrow).{more}",
        )
    ]
    blocks.append(Fold("Every effect in every context", [_context_table(analysis)]))
    table = _heterogeneity_table(analysis)
    if table is not None:
        blocks += [Heading("How much effects vary between contexts"), table]
    lead = "Would it hold elsewhere? An effect that flips sign between contexts is no recipe."
    return Section("contexts", "Context by context", lead, blocks)


def _context_table(analysis: Analysis) -> Table:
    labels = factor_labels(analysis)
    rows: list[list[Entry]] = []
    keys: list[list[tuple[str, str]]] = []
    for name, response in analysis["responses"].items():
        scale = scale_of(response)
        for row in response.get("contexts", []):
            rows.append(
                [
                    Text(sentence(response["label"])),
                    Text(labels.get(row["factor"], row["factor"])),
                    Text(row["level"], strong=True),
                    Text(row["context"], note=row["reason"] or ""),
                    Quantity(scale.effect(row["estimate"]), row["estimate"]),
                    Interval(scale.interval(row["low"], row["high"]), row["low"], row["high"]),
                    Quantity(scale.plain(row["se"]), row["se"]),
                ]
            )
            keys.append(
                [
                    ("response", name), ("factor", row["factor"]), ("level", row["level"]),
                    ("context", row["context"]),
                ]
            )  # fmt: skip
    return Table(
        id="context-effects",
        caption="Average effect inside each context",
        columns=[
            Column("response"), Column("factor"), Column("level"), Column("context"),
            Column("effect", numeric=True), Column("interval", numeric=True),
            Column("se", numeric=True),
        ],
        rows=rows,
        keys=keys,
    )  # fmt: skip


def _context_picture(analysis: Analysis, level: Comparison) -> Picture | None:
    panels = []
    for response in analysis["responses"].values():
        every = response.get("contexts", [])
        rows = [row for row in every if (row["factor"], row["level"]) == _key(level)]
        if any(not absent(row["estimate"]) for row in rows):
            mean = find_effect(response["effects"], level, "narrow")
            panels.append(
                ContextPanel(
                    sentence(response["label"]), rows, mean, limits_of(every), scale_of(response)
                )
            )
    if not panels:
        return None
    identifier = f"contexts-{slug(level.factor)}-{slug(level.level)}"
    alt = f"Effect of {level.name} in each context. " + "; ".join(
        f"{part.label}, {row['context']}: {part.scale.effect(row['estimate'])}"
        for part in panels
        for row in part.rows
    )
    title = f"{level.name} vs {level.baseline}"
    return Picture(
        id=identifier,
        title=title,
        alt=alt,
        draw=partial(draw_contexts, panels),
    )


def _key(level: Comparison) -> tuple[str, str]:
    return level.factor, level.level


def _heterogeneity_table(analysis: Analysis) -> Table | None:
    labels = factor_labels(analysis)
    rows: list[list[Entry]] = []
    keys: list[list[tuple[str, str]]] = []
    footers: list[str] = []
    for name, response in analysis["responses"].items():
        scale = scale_of(response)
        for row in response.get("heterogeneity", []):
            factor = labels.get(row["factor"], row["factor"])
            rows.append([Text(sentence(response["label"])), Text(factor), *_varying(row, scale)])
            keys.append([("response", name), ("factor", row["factor"]), ("level", row["level"])])
        footers.append(footers_of(response).get("heterogeneity", ""))
    if not rows:
        return None
    units = {scale_of(response).unit for response in analysis["responses"].values()}
    unit = f", {units.pop()}" if units != {""} and len(units) == 1 else ""
    return Table(
        id="heterogeneity",
        caption="Heterogeneity of the average effects",
        columns=[
            Column("response"), Column("factor"), Column("level"),
            Column(f"\N{GREEK SMALL LETTER TAU}{unit}", numeric=True),
            Column("I\N{SUPERSCRIPT TWO}", numeric=True),
            Column(f"in one new context{unit}", numeric=True), Column("remark"),
        ],
        rows=rows,
        keys=keys,
        footer="\n".join(dict.fromkeys(filter(None, footers)))
        or "\N{GREEK SMALL LETTER TAU}: standard deviation of the true effects between contexts;"
        " I\N{SUPERSCRIPT TWO}: share of their observed variance that is not sampling error.",
    )  # fmt: skip


def _varying(row: Heterogeneity, scale: Scale) -> list[Entry]:
    low, high = row["prediction_low"], row["prediction_high"]
    return [
        Text(row["level"], strong=True),
        Quantity(scale.plain(row["tau"]), row["tau"]),
        Quantity(percent(row["i2"]), row["i2"]),
        Interval(scale.interval(low, high), low, high),
        Text(row["warning"] or row["reason"] or ""),
    ]
