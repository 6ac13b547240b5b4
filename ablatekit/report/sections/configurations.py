"""Configurations: every cell against the baseline cell, and whether the baseline suffices."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ablatekit.analysis.core.lookup import priced_metric, widest
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Configuration, Configurations, PlainRow
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.below import Unknown, missing_scopes, parted, said_below
from ablatekit.report.document import (
    Badge,
    Block,
    Column,
    Entry,
    Fold,
    Gallery,
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
from ablatekit.report.language.appendix import unknown
from ablatekit.report.language.numbers import Scale, absent, general, p_value, scale_of, sentence
from ablatekit.report.language.reading import ESTIMAND_NAMES, Unit, subject_of, words
from ablatekit.report.language.sentences import say, say_all, told
from ablatekit.report.language.verdicts import Room, needed_for
from ablatekit.report.sections.answer import (
    badge,
    baseline_sentence,
    beyond,
    estimate_entry,
    interval_entry,
    room,
)
from ablatekit.report.sections.effects import reach

DECIDED = "decided_by"
"""Code of the note on the widest of several intervals; effects.csv holds it."""
MOST_ROWS = 60
"""Lines of the table of every scope; effects.csv holds all of them."""


def configurations_section(analysis: Analysis) -> Section | None:
    """Per response: every cell with its verdicts and price; errors and scopes on request."""
    compared = {
        name: configurations
        for name, response in analysis["responses"].items()
        if (configurations := response.get("configurations")) and configurations["rows"]
    }
    if not compared:
        return None
    every = [row for part in compared.values() for row in part["rows"]]
    scoped = [(row["scope"], row["reason"]) for row in every if row["inference"] == "broad"]
    refused, sentences = missing_scopes(captions.SCOPED_GAIN, scoped, subject_of(analysis).unit)
    blocks: list[Block] = [Gallery(pictures=dots_pictures(analysis), wide=True)]
    for name, configurations in compared.items():
        blocks += _blocks(analysis, name, configurations, refused)
    blocks += map(Paragraph, sentences)
    return Section(
        "configurations", leads.CONFIGURATIONS, leads.CONFIGURATIONS_LEAD, blocks,
        findings.configurations(analysis),
    )  # fmt: skip


def _blocks(
    analysis: Analysis,
    name: str,
    configurations: Configurations,
    refused: Collection[tuple[str, ...]],
) -> list[Block]:
    response = analysis["responses"][name]
    scale, available = scale_of(response), room(analysis, response)
    known = [
        row
        for row in configurations["rows"]
        if not absent(row["low"])
        and (row["inference"] == "narrow" or tuple(row["scope"]) not in refused)
    ]
    inside: list[Block] = [configurations_table(analysis, name, response, configurations)]
    if known:
        inside.append(_every_scope(name, known, scale, available))
    said = [text for text in [baseline_sentence(analysis, response)] if text]
    return [*map(Paragraph, said), Fold(captions.configurations_fold(response["label"]), inside)]


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
    cells, reasons = parted(
        by_cell.values(),
        lambda rows: not absent(_shown(rows)["estimate"]),
        lambda rows: Unknown(
            "", _shown(rows)["level"], told(_shown(rows)["reason"], available.unit)
        ),
        len(by_cell),
        unknown.EVERY_CELL,
    )
    return Table(
        id=f"configurations-{slug(name)}",
        caption=captions.configurations(response["label"]),
        columns=[
            Column("configuration"),
            Column(captions.with_unit("gain", scale.unit), numeric=True),
            Column("adjusted p", numeric=True), Column("verdict"), Column(captions.BEYOND),
            *([Column("may be best")] if ranked else []),
            *([Column(captions.PRICE, numeric=True)] if metric else []),
        ],
        rows=[_entries(rows, scale, available, metric, ranked=ranked) for rows in cells],
        keys=[[("configuration", _shown(rows)["level"])] for rows in cells],
        footer="\n".join([
            captions.baseline_cell(words(configurations["baseline"])),
            *reasons,
            *_no_best(configurations, available.unit),
        ]),
        computed=_computed(response, configurations, available.unit),
    )  # fmt: skip


def _shown(rows: Sequence[Configuration]) -> Configuration:
    """The row of a cell that its line shows: the narrow one, else that of the widest scope."""
    narrow = next((row for row in rows if row["inference"] == "narrow"), None)
    return narrow or max(rows, key=lambda row: (row["low"] is not None, len(row["scope"])))


def _entries(
    rows: Sequence[Configuration], scale: Scale, available: Room, metric: str, *, ranked: bool
) -> list[Entry]:
    shown = _shown(rows)
    narrow = shown if shown["inference"] == "narrow" else None
    broad = [row for row in rows if row["inference"] == "broad"]
    adjusted, price = shown["p_adjusted"], shown["price"]
    cost = "" if price is None else captions.price(price, metric)
    best = narrow["may_be_best"] if narrow is not None else None
    return [
        Text(shown["level"], strong=True),
        estimate_entry(shown, scale),
        Quantity(p_value(adjusted), adjusted),
        replace(badge(shown, available), note=needed_for(shown, available)),
        _beyond(broad, scale, available) if narrow is not None else Text(""),
        *([Text(captions.may_be_best(best))] if ranked else []),
        *([Quantity(cost, price)] if metric else []),
    ]


def _beyond(rows: Sequence[Configuration], scale: Scale, available: Room) -> Entry:
    """The widest broad verdict with its interval."""
    entry, effect = beyond(rows, available), widest(rows)
    if not isinstance(entry, Badge) or effect is None or absent(effect["low"]):
        return entry
    return replace(entry, note=scale.interval(effect["low"], effect["high"]))


def _no_best(configurations: Configurations, unit: Unit) -> list[str]:
    """Why there is no best set, where there is none."""
    reason = configurations["best_reason"]
    return [captions.no_best_set(told(reason, unit))] if reason else []


def _computed(response: ResponseAnalysis, configurations: Configurations, unit: Unit) -> list[str]:
    """How rows were made and judged."""
    narrow = [row for row in configurations["rows"] if row["inference"] == "narrow"]
    methods = dict.fromkeys(say(row["method"], unit) for row in narrow)
    notes = [captions.configuration_footer(response["label"], list(methods))]
    said = say_all(configurations["notes"], "; ", unit)
    return [*notes, f"{sentence(response['label'])}: {said}."] if said else notes


def _every_scope(name: str, rows: Sequence[Configuration], scale: Scale, available: Room) -> Table:
    """Rows with their errors, and Hsu's limits where there are any.

    Of one scope beside the narrow rows the verdicts stand in the table of configurations.
    """
    several = len({tuple(row["scope"]) for row in rows}) > 2
    ranked = any(row["best_low"] is not None for row in rows)
    shown = rows[:MOST_ROWS]
    rest = [unknown.rest_in_csv(len(rows), MOST_ROWS)] if len(rows) > MOST_ROWS else []
    cells = {row["level"] for row in rows}
    notes = [
        Unknown("", row["level"], say(note, available.unit), reach(row, available.unit))
        for row in rows
        for note in row["notes"]
        if note["code"] != DECIDED
    ]
    return Table(
        id=f"configuration-scopes-{slug(name)}",
        caption=captions.EVERY_CONFIGURATION,
        columns=[
            Column("configuration"), Column("inference"),
            Column(captions.with_unit("interval", scale.unit), numeric=True),
            Column("se", numeric=True), Column("df", numeric=True), Column("p", numeric=True),
            Column("adjusted p", numeric=True), *([Column("verdict")] if several else []),
            *([Column(captions.with_unit(captions.BEST_OTHER, scale.unit), numeric=True)]
              if ranked else []),
        ],
        rows=[
            [
                Text(row["level"], strong=True),
                Text(reach(row, available.unit)),
                interval_entry(row, scale),
                Quantity(scale.plain(row["se"]), row["se"]),
                Quantity(general(row["df"], 3), row["df"]),
                Quantity(p_value(row["p"]), row["p"]),
                Quantity(p_value(row["p_adjusted"]), row["p_adjusted"]),
                *([Badge(row["verdict"], size=row["size"])] if several else []),
                *([IntervalEntry(
                    scale.interval(row["best_low"], row["best_high"]),
                    row["best_low"], row["best_high"],
                )] if ranked else []),
            ]
            for row in shown
        ],
        keys=[
            [
                ("configuration", row["level"]), ("inference", row["inference"]),
                ("scope", " ".join(row["scope"])),
            ]
            for row in shown
        ],
        footer="\n".join([*said_below(notes, len(cells), unknown.EVERY_CELL), *rest]),
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
