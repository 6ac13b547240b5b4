"""The table of a comparison: both studies' effects, their difference, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence

from ablatekit.analysis.compare import LEVELS, StudyEffect
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.comparison.studies import Compared, Studies
from ablatekit.report.document import (
    Badge,
    Column,
    Entry,
    EstimateEntry,
    Quantity,
    Table,
    Text,
)
from ablatekit.report.language import captions
from ablatekit.report.language.brief import comparison as said
from ablatekit.report.language.brief.comparison import Price
from ablatekit.report.language.numbers import Scale, absent, p_value, sentence
from ablatekit.report.language.scopes import over
from ablatekit.report.language.sentences import say

MOST_LINES = 10
"""Of the table that stands first; the one below it has all."""


def compared_table(studies: Studies, *, most: int | None = MOST_LINES) -> Table | None:
    """One line per response and level; nothing where no effect is in both or both are one study."""
    if studies.same or not studies.effects:
        return None
    shown = studies.effects[:most]
    left = len(studies.effects) - len(shown)
    broad, priced = _has_broad(shown), _has_price(shown)
    wider = any(effect.row.beyond for effect in shown)
    whole = most is None
    return Table(
        id="all-compared" if whole else "compared",
        caption=said.MOST_TABLE if left else said.TABLE,
        columns=_columns(studies, broad=broad, priced=priced, wider=wider),
        rows=[_row(effect, broad=broad, priced=priced, wider=wider) for effect in shown],
        keys=[
            [("response", effect.row.response), ("factor", effect.row.factor),
             ("level", effect.row.level)]
            for effect in shown
        ],
        footer="\n".join(_footer(studies, left)),
        computed=_computed(studies),
        style="answer",
    )  # fmt: skip


def _columns(studies: Studies, *, broad: bool, priced: bool, wider: bool) -> list[Column]:
    parts = ["effect", "verdict"]
    parts += [captions.BEYOND] if broad else []
    parts += [captions.PRICE] if priced else []
    return [
        Column("response"),
        Column("level"),
        *(Column(title, name, numeric=title == "effect") for name in studies.names
          for title in parts),
        Column(said.DIFFERENCE, sentence(said.DIFFERENCE), numeric=True),
        Column(said.AGREEMENT, sentence(said.DIFFERENCE)),
        *([Column(captions.BEYOND, sentence(said.DIFFERENCE))] if wider else []),
        Column("adjusted p", sentence(said.DIFFERENCE), numeric=True),
    ]  # fmt: skip


def _row(effect: Compared, *, broad: bool, priced: bool, wider: bool) -> list[Entry]:
    row = effect.row
    sides = zip((row.first, row.second), effect.scales, effect.said.prices, strict=True)
    name = said.named_response(effect.said)
    response = captions.with_unit(name, effect.scales[0].unit if effect.alike else "")
    return [
        Text(sentence(response)),
        Text(effect.said.level, note=captions.against(row.baseline), strong=True),
        *(
            entry
            for study, scale, price in sides
            for entry in _study(
                study, scale, price, broad=broad, priced=priced, unit=not effect.alike
            )
        ),
        estimate(effect.scales[0], row.difference, row.low, row.high),
        Badge(row.agreement, size=row.size),
        *([_wider(effect)] if wider else []),
        Quantity("" if absent(row.p_adjusted) else f"p {p_value(row.p_adjusted)}", row.p_adjusted),
    ]


def _study(
    study: StudyEffect, scale: Scale, price: Price, *, broad: bool, priced: bool, unit: bool
) -> list[Entry]:
    """What one study says; with its unit where the other one has another."""
    note = scale.unit if unit else ""
    entries: list[Entry] = [
        estimate(scale, study.estimate, study.low, study.high, note),
        Badge(study.verdict, size=study.size),
    ]
    if broad:
        entries.append(_beyond(study))
    if priced:
        text = "" if price.times is None else captions.price(price.times, price.metric)
        entries.append(Quantity(text, price.times))
    return entries


def _wider(effect: Compared) -> Entry:
    """Whether the studies differ over levels like those of a blocking variable."""
    beyond = effect.row.beyond
    if beyond is None:
        return Text("")
    interval = effect.scales[0].interval(beyond.low, beyond.high)
    scope = (beyond.variable,)
    return Badge(beyond.agreement, interval, over=over(scope), scope=scope)


def _beyond(study: StudyEffect) -> Entry:
    """The verdict over the widest scope; nothing where there is none."""
    if study.broad is None:
        return Text("")
    return Badge(study.broad, over=over(study.scope) if study.scope else "", scope=study.scope)


def estimate(
    scale: Scale, value: Number, low: Number, high: Number, note: str = ""
) -> EstimateEntry:
    """A number over its interval."""
    interval = "" if absent(low) or absent(high) else scale.interval(low, high)
    return EstimateEntry(scale.effect(value), interval, value, low, high, note)


def _has_broad(effects: Sequence[Compared]) -> bool:
    return any(part.broad for effect in effects for part in (effect.row.first, effect.row.second))


def _has_price(effects: Sequence[Compared]) -> bool:
    return any(price.times is not None for effect in effects for price in effect.said.prices)


def _footer(studies: Studies, left: int) -> list[str]:
    more = [said.more_rows(left)] if left else []
    reasons = [f"{reason.rstrip('.')}." for reason in said.comparison_reasons(studies.rows)]
    return [*more, *map(sentence, reasons)]


def _computed(studies: Studies) -> list[str]:
    """How differences were tested, and by which rule agreement is decided."""
    methods = dict.fromkeys(
        say(effect.row.method) for effect in studies.effects if effect.row.p is not None
    )
    if any(effect.row.beyond for effect in studies.effects):
        methods[say(LEVELS)] = None
    return [*map(said.method, methods), said.rule(studies.found.alpha, _margins(studies))]


def _margins(studies: Studies) -> list[str]:
    """The smaller of the two smallest effects, of every response that has both."""
    margins: dict[str, None] = {}
    for effect in studies.effects:
        sizes = [
            analysis["responses"][effect.row.response]["smallest_effect"]
            for analysis in studies.both
        ]
        if effect.alike and None not in sizes:
            known = min(size for size in sizes if size is not None)
            margins[effect.scales[0].amount(known)] = None
    return list(margins)
