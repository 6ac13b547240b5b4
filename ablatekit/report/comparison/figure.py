"""The figure of a comparison: both effects of every level on one axis, their difference beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ablatekit.analysis.compare import StudyEffect
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.comparison.studies import Compared, Studies
from ablatekit.report.document import FigureData, Picture, figure_data
from ablatekit.report.figures.paired import (
    Paired,
    PairedMark,
    PairedPanel,
    PairedRow,
    draw_paired,
    paired_limits,
)
from ablatekit.report.language.brief import comparison as said
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import Scale, absent, sentence
from ablatekit.report.language.verdicts import look, sized, word

MOST_ROWS = 8
"""Of the figure; its data have all."""


def compared_picture(studies: Studies) -> Picture | None:
    """Every effect with both numbers on one scale; nothing where there is none, or one study."""
    shown = [effect for effect in studies.effects if effect.alike and _has_number(effect)]
    if studies.same or not shown:
        return None
    paired = _paired(studies, shown[:MOST_ROWS])
    return Picture(
        id="both-effects",
        title=said.FIGURE,
        alt=said.figure_alternative(
            studies.names, [said.figure_row(effect.said) for effect in shown[:MOST_ROWS]]
        ),
        draw=partial(draw_paired, paired),
        narrow=partial(draw_paired, paired, narrow=True),
        data=partial(_data, studies),
    )


def _has_number(effect: Compared) -> bool:
    return not all(absent(part.estimate) for part in (effect.row.first, effect.row.second))


def _paired(studies: Studies, shown: Sequence[Compared]) -> Paired:
    names = list(dict.fromkeys(effect.row.response for effect in shown))
    panels = [
        _panel(studies, [effect for effect in shown if effect.row.response == name])
        for name in names
    ]
    first, second = map(said.key_of, studies.said)
    return Paired((first, second), _on_one_axis(panels), said.DIFFERENCE)


def _panel(studies: Studies, effects: Sequence[Compared]) -> PairedPanel:
    scale, label = effects[0].scales[0], said.named_response(effects[0].said)
    response = studies.first["responses"][effects[0].row.response]
    other = studies.second["responses"][effects[0].row.response]
    sizes = [part["smallest_effect"] for part in (response, other)]
    smallest = None if None in sizes else min(size for size in sizes if size is not None)
    rows = [_row(studies, effect) for effect in effects]
    return PairedPanel(
        with_unit(sentence(label), scale.unit), rows, scale, paired_limits(rows, smallest),
        smallest, response["direction"],
    )  # fmt: skip


def _on_one_axis(panels: Sequence[PairedPanel]) -> list[PairedPanel]:
    """Panels in one unit with the same ends, so that lengths can be compared between them."""
    ends = {
        scale: [panel.limits for panel in panels if _key(panel.scale) == scale]
        for scale in {_key(panel.scale) for panel in panels}
    }
    return [
        replace(panel, limits=(min(low for low, _ in ends[_key(panel.scale)]),
                               max(high for _, high in ends[_key(panel.scale)])))
        for panel in panels
    ]  # fmt: skip


def _key(scale: Scale) -> tuple[str, float]:
    return scale.unit, scale.factor


def _row(studies: Studies, effect: Compared) -> PairedRow:
    row, scale = effect.row, effect.scales[0]
    first, second = (
        _mark(name, study, scale)
        for name, study in zip(studies.names, (row.first, row.second), strict=True)
    )
    interval = "" if absent(row.low) else scale.interval(row.low, row.high)
    difference = " ".join(filter(None, [scale.effect(row.difference), interval]))
    agreement = ", ".join(filter(None, [word(row.agreement), said.adjusted(row.p_adjusted)]))
    return PairedRow(effect.said.level, (first, second), difference, agreement, look(row.agreement))


def _mark(name: str, study: StudyEffect, scale: Scale) -> PairedMark:
    interval = "" if absent(study.low) else scale.interval(study.low, study.high)
    told = " ".join(filter(None, [scale.effect(study.estimate), interval]))
    tip = f"{name}: {told} {sized(study.verdict, study.size)}"
    return PairedMark(study.estimate, study.low, study.high, tip)


def _data(studies: Studies) -> FigureData:
    """What the figure shows, and the rows that it has no room for."""
    return figure_data(compared_records(studies))


def compared_records(studies: Studies) -> list[dict[str, str | Number]]:
    """Every compared effect as one row, numbers in the responses' own units."""
    return [_record(effect) for effect in studies.effects]


def _record(effect: Compared) -> dict[str, str | Number]:
    row = effect.row
    return {
        "response": row.response, "factor": row.factor, "level": row.level,
        "baseline": row.baseline,
        **{
            f"{side}_{name}": value
            for side, study in (("first", row.first), ("second", row.second))
            for name, value in (
                ("estimate", study.estimate), ("low", study.low), ("high", study.high),
                ("verdict", study.verdict), ("size", study.size or ""),
                ("broad", study.broad or ""), ("scope", " ".join(study.scope)),
                ("price", study.price),
            )
        },
        "difference": row.difference, "se": row.se, "df": row.df, "low": row.low,
        "high": row.high, "p": row.p, "p_adjusted": row.p_adjusted, "agreement": row.agreement,
        "size": row.size or "",
    }  # fmt: skip
