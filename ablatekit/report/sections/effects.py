"""The effects section: forest plots, and every estimand in a table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Estimand
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
    slug,
)
from ablatekit.report.figures.forest import draw_forest
from ablatekit.report.language import alternatives, captions, leads
from ablatekit.report.language.numbers import (
    Scale,
    absent,
    general,
    p_value,
    scale_of,
    sentence,
)
from ablatekit.report.language.reading import ESTIMAND_NAMES, Unit, confidence
from ablatekit.report.language.sentences import footers_of, say, say_all
from ablatekit.report.language.verdicts import Room, word
from ablatekit.report.sections.answer import badge, effect_entry, interval_entry, room


def forest_section(analysis: Analysis) -> Section | None:
    """A forest plot per response, and every estimand in a table that opens on request."""
    levels = comparisons(analysis)
    if not levels:
        return None
    pictures = [
        _forest_picture(name, response, levels) for name, response in analysis["responses"].items()
    ]
    blocks: list[Block] = [Gallery(pictures=pictures, caption=_caption(analysis))]
    blocks += [
        Fold(
            captions.estimands_fold(response["label"]),
            [_estimand_table(name, response, levels, room(analysis, response))],
        )
        for name, response in analysis["responses"].items()
    ]
    lead = leads.effects_lead(broad=_any_broad(analysis))
    return Section("effects", leads.EFFECTS, lead, blocks)


def _any_broad(analysis: Analysis) -> bool:
    """Whether broad inference was asked for."""
    return any(
        effect["inference"] == "broad"
        for response in analysis["responses"].values()
        for effect in response["effects"]
    )


def _caption(analysis: Analysis) -> str:
    """What the marks are; of those that no figure has, nothing."""
    responses = analysis["responses"].values()
    return captions.effect_figures(
        confidence(analysis),
        broad=_any_broad(analysis),
        predicted=any(
            row["prediction_low"] is not None
            for response in responses
            for row in response.get("heterogeneity", [])
        ),
        margin=any(response["smallest_effect"] for response in responses),
    )


def _forest_picture(name: str, response: ResponseAnalysis, levels: Sequence[Comparison]) -> Picture:
    identifier = f"forest-{slug(name)}"
    scale = scale_of(response)
    parts = (
        _spoken(level, find_effect(response["effects"], level, "narrow"), scale) for level in levels
    )
    return Picture(
        id=identifier,
        title=sentence(response["label"]),
        alt=alternatives.forest(response["label"], parts),
        draw=partial(draw_forest, response, levels, scale),
    )


def _spoken(level: Comparison, effect: Effect | None, scale: Scale) -> str:
    if effect is None or absent(effect["estimate"]):
        return f"{level.name}: {word(effect['verdict'] if effect else 'not_estimated')}"
    interval = scale.interval(effect["low"], effect["high"])
    return f"{level.name}: {scale.effect(effect['estimate'])} {interval}, {word(effect['verdict'])}"


def _estimand_table(
    name: str, response: ResponseAnalysis, levels: Sequence[Comparison], available: Room
) -> Table:
    labels = {(level.factor, level.level): level.label for level in levels}
    chosen = [effect for effect in response["effects"] if effect["estimand"] != "interaction"]
    return Table(
        id=f"estimands-{slug(name)}",
        caption=captions.every_estimand(response["label"]),
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
        footer="\n".join(estimand_notes(response, chosen, available.unit)),
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
    return [
        Column("factor"),
        Column("level"),
        Column("estimand"),
        Column("inference"),
        Column(captions.with_unit("estimate", scale.unit), numeric=True),
        Column("interval", numeric=True),
        Column("se", numeric=True),
        Column("df", numeric=True),
        Column("p", numeric=True),
        Column("adjusted p", numeric=True),
        Column("verdict"),
    ]


def _estimand_entries(effect: Effect, scale: Scale, available: Room) -> list[Entry]:
    return [
        Text(ESTIMAND_NAMES[effect["estimand"]], note=said_notes(effect, available.unit)),
        Text(effect["inference"]),
        effect_entry(effect, scale),
        interval_entry(effect, scale),
        Quantity(scale.plain(effect["se"]), effect["se"]),
        Quantity(general(effect["df"], 3), effect["df"]),
        Quantity(p_value(effect["p"]), effect["p"]),
        Quantity(p_value(effect["p_adjusted"]), effect["p_adjusted"]),
        badge(effect, available),
    ]


def said_notes(effect: Effect, unit: Unit) -> str:
    """What qualifies an effect."""
    return say_all(effect["notes"], "; ", unit)


def estimand_notes(response: ResponseAnalysis, effects: Sequence[Effect], unit: Unit) -> list[str]:
    """The footers of the estimands and inferences shown, else what the effects themselves name."""
    footers = footers_of(response, unit)
    estimands = dict.fromkeys(effect["estimand"] for effect in effects)
    inferences = dict.fromkeys(effect["inference"] for effect in effects)
    if all(footers.get(estimand) for estimand in estimands):
        named = [f"{ESTIMAND_NAMES[name].capitalize()}: {footers[name]}" for name in estimands]
        return named + [footers[name] for name in inferences if footers.get(name)]
    return _notes_of_rows(effects, unit)


def _notes_of_rows(effects: Sequence[Effect], unit: Unit) -> list[str]:
    notes: dict[tuple[Estimand, str], dict[str, None]] = {}
    for effect in effects:
        parts = (effect["method"], effect["family"], effect["averaged_over"])
        text = "; ".join(filter(None, (say(part, unit) for part in parts)))
        notes.setdefault((effect["estimand"], effect["inference"]), {})[text] = None
    return [
        f"{ESTIMAND_NAMES[estimand].capitalize()}, {inference}: {' / '.join(filter(None, texts))}."
        for (estimand, inference), texts in notes.items()
        if any(texts)
    ]
