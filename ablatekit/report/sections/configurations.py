"""Configurations: every cell against the baseline cell, and whether the baseline suffices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ablatekit.analysis.core.lookup import priced_metric, widest
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Configuration, Configurations, PlainRow
from ablatekit.report.document import (
    Badge,
    Block,
    Column,
    Entry,
    Fold,
    Gallery,
    Heading,
    IntervalEntry,
    Paragraph,
    Quantity,
    Section,
    Table,
    Text,
    slug,
)
from ablatekit.report.figures.dots import dots_pictures
from ablatekit.report.language import captions, leads
from ablatekit.report.language.numbers import Scale, absent, general, p_value, scale_of, sentence
from ablatekit.report.language.reading import ESTIMAND_NAMES, Unit, subject_of, words
from ablatekit.report.language.sentences import say, say_all, told
from ablatekit.report.language.verdicts import Room
from ablatekit.report.sections.answer import (
    badge,
    baseline_sentence,
    beyond,
    effect_entry,
    estimate_entry,
    interval_entry,
    reasons_below,
    room,
)
from ablatekit.report.sections.effects import reach, said_notes


def configurations_section(analysis: Analysis) -> Section | None:
    """Per response: the sentence on the baseline, then every cell with its verdicts and price."""
    blocks: list[Block] = []
    for name, response in analysis["responses"].items():
        configurations = response.get("configurations")
        if configurations and configurations["rows"]:
            blocks += _blocks(analysis, name, response, configurations)
    if not blocks:
        return None
    blocks.insert(0, Gallery(pictures=dots_pictures(analysis), wide=True))
    return Section("configurations", leads.CONFIGURATIONS, leads.CONFIGURATIONS_LEAD, blocks)


def _blocks(
    analysis: Analysis, name: str, response: ResponseAnalysis, configurations: Configurations
) -> list[Block]:
    scale, unit = scale_of(response), subject_of(analysis).unit
    every = _every_scope(name, configurations["rows"], scale, room(analysis, response))
    blocks: list[Block] = [Heading(sentence(response["label"]))]
    blocks += [Paragraph(text) for text in [baseline_sentence(analysis, response)] if text]
    blocks += [
        configurations_table(analysis, name, response, configurations),
        Fold(captions.EVERY_CONFIGURATION, [every]),
    ]
    plain = configurations["plain_contexts"]
    if plain:
        table = plain_table_of(f"{name}-configurations", response["label"], plain, scale, unit)
        blocks.append(Fold(captions.plain_fold(response["label"]), [table]))
    return blocks


def configurations_table(
    analysis: Analysis, name: str, response: ResponseAnalysis, configurations: Configurations
) -> Table:
    """One line per cell: the narrow gain, the widest scope, whether it may be best, the price."""
    scale, available = scale_of(response), room(analysis, response)
    metric = priced_metric(analysis)
    by_cell: dict[str, list[Configuration]] = {}
    for row in configurations["rows"]:
        by_cell.setdefault(row["level"], []).append(row)
    ranked = any(row["may_be_best"] is not None for row in configurations["rows"])
    rows, reasons = reasons_below(
        [_entries(cell, scale, available, metric, ranked=ranked) for cell in by_cell.values()]
    )
    return Table(
        id=f"configurations-{slug(name)}",
        caption=captions.configurations(response["label"]),
        columns=[
            Column("configuration"),
            Column(captions.with_unit("gain", scale.unit), numeric=True),
            Column("adjusted p", numeric=True), Column("verdict"), Column(captions.BEYOND),
            *([Column("may be best")] if ranked else []),
            Column(captions.PRICE, numeric=True),
        ],
        rows=rows,
        keys=[[("configuration", level)] for level in by_cell],
        footer="\n".join([*reasons, *_footer(configurations, available.unit)]),
    )  # fmt: skip


def _entries(
    rows: Sequence[Configuration], scale: Scale, available: Room, metric: str, *, ranked: bool
) -> list[Entry]:
    narrow = next((row for row in rows if row["inference"] == "narrow"), None)
    broad = [row for row in rows if row["inference"] == "broad"]
    shown = narrow or widest(broad)
    assert shown is not None
    adjusted, price = shown["p_adjusted"], shown["price"]
    cost = "" if price is None else captions.price(price, metric)
    best = narrow["may_be_best"] if narrow is not None else None
    return [
        Text(shown["level"], strong=True),
        estimate_entry(shown, scale),
        Quantity(p_value(adjusted), adjusted),
        badge(shown, available),
        _beyond(broad, scale, available) if narrow is not None else Text(""),
        *([Text(captions.may_be_best(best))] if ranked else []),
        Quantity(cost, price),
    ]


def _beyond(rows: Sequence[Configuration], scale: Scale, available: Room) -> Entry:
    """The widest broad verdict with its interval."""
    entry, effect = beyond(rows, available), widest(rows)
    if not isinstance(entry, Badge) or effect is None or absent(effect["low"]):
        return entry
    return replace(entry, note=scale.interval(effect["low"], effect["high"]))


def _footer(configurations: Configurations, unit: Unit) -> list[str]:
    """The baseline cell, how rows were made, and why there is no best set."""
    notes = [captions.baseline_cell(words(configurations["baseline"]))]
    narrow = [row for row in configurations["rows"] if row["inference"] == "narrow"]
    methods = dict.fromkeys(say(row["method"], unit) for row in narrow)
    notes.append(captions.configuration_footer(list(methods)))
    if configurations["best_reason"]:
        notes.append(captions.no_best_set(told(configurations["best_reason"], unit)))
    said = say_all(configurations["notes"], "; ", unit)
    return [*notes, f"{sentence(said)}."] if said else notes


def _every_scope(name: str, rows: Sequence[Configuration], scale: Scale, available: Room) -> Table:
    """All rows with their errors, and Hsu's limits where there are any."""
    return Table(
        id=f"configuration-scopes-{slug(name)}",
        caption=captions.EVERY_CONFIGURATION,
        columns=[
            Column("configuration"), Column("inference"),
            Column(captions.with_unit("gain", scale.unit), numeric=True),
            Column("interval", numeric=True), Column("se", numeric=True),
            Column("df", numeric=True), Column("p", numeric=True),
            Column("adjusted p", numeric=True), Column("verdict"),
            Column(captions.with_unit(captions.BEST_OTHER, scale.unit), numeric=True),
        ],
        rows=[
            [
                Text(row["level"], note=said_notes(row, available.unit), strong=True),
                Text(reach(row, available.unit)),
                effect_entry(row, scale),
                interval_entry(row, scale),
                Quantity(scale.plain(row["se"]), row["se"]),
                Quantity(general(row["df"], 3), row["df"]),
                Quantity(p_value(row["p"]), row["p"]),
                Quantity(p_value(row["p_adjusted"]), row["p_adjusted"]),
                badge(row, available),
                IntervalEntry(
                    scale.interval(row["best_low"], row["best_high"]),
                    row["best_low"], row["best_high"],
                ),
            ]
            for row in rows
        ],
        keys=[
            [
                ("configuration", row["level"]), ("inference", row["inference"]),
                ("scope", " ".join(row["scope"])),
            ]
            for row in rows
        ],
    )  # fmt: skip


def plain_table_of(
    name: str, label: str, rows: Sequence[PlainRow], scale: Scale, unit: Unit
) -> Table:
    """The t over contexts as if they were exchangeable, labelled with that assumption."""
    return Table(
        id=f"plain-{slug(name)}",
        caption=captions.plain_fold(label),
        columns=[
            Column("level"), Column("estimand"),
            Column(captions.with_unit("estimate", scale.unit), numeric=True),
            Column("interval", numeric=True), Column("df", numeric=True),
            Column("p", numeric=True),
        ],
        rows=[
            [
                Text(_plain_name(row), note=told(row["reason"], unit)),
                Text(ESTIMAND_NAMES[row["estimand"]]),
                Quantity(scale.effect(row["estimate"]), row["estimate"]),
                IntervalEntry(scale.interval(row["low"], row["high"]), row["low"], row["high"]),
                Quantity(general(row["df"], 3), row["df"]),
                Quantity(p_value(row["p"]), row["p"]),
            ]
            for row in rows
        ],
        footer=captions.PLAIN_FOOTER,
    )  # fmt: skip


def _plain_name(row: PlainRow) -> str:
    if row["estimand"] == "configuration":
        return row["level"]
    return f"{row['factor']}: {row['level']}"
