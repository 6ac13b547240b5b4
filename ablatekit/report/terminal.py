"""The answer table for a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from ablatekit.analysis.schema import Analysis, Effect
from ablatekit.report.answer import gap_scale
from ablatekit.report.numbers import Scale, absent, scale_of
from ablatekit.report.reading import Comparison, comparisons, find_effect
from ablatekit.report.verdicts import Tone, look, remark

STYLES: dict[Tone, str] = {
    "good": "bold green",
    "bad": "bold red",
    "same": "blue",
    "open": "",
    "none": "dim",
}


def summary(analysis: Analysis) -> Table:
    """One line per non-baseline level: effects, narrow and broad verdicts, and the gap."""
    table = Table(title=_title(analysis), title_justify="left", header_style="bold", pad_edge=False)
    table.add_column("factor", overflow="fold")
    table.add_column("level vs baseline", overflow="fold")
    for response in analysis["responses"].values():
        table.add_column(Text(response["label"]), overflow="fold")
    for _ in analysis.get("comparisons", {}):
        table.add_column("gap", overflow="fold")
    factor = None
    for level in comparisons(analysis):
        name = "" if level.factor == factor else level.label
        factor = level.factor
        table.add_row(
            Text(name),
            Text(f"{level.level} vs {level.baseline}"),
            *(
                _response_text(response["effects"], level, scale_of(response))
                for response in analysis["responses"].values()
            ),
            *(
                _effect_text(find_effect(gap["effects"], level, "narrow"), gap_scale(analysis, key))
                for key, gap in analysis.get("comparisons", {}).items()
            ),
        )
    return table


def _title(analysis: Analysis) -> Text:
    study, counts = analysis["study"], analysis["counts"]
    runs = f"{counts['analysed']:,} of {counts['planned']:,} runs analysed"
    return Text(f"{study.get('title') or study.get('name') or 'Analysis'}: {runs}")


def _response_text(effects: list[Effect], level: Comparison, scale: Scale) -> Text:
    text = _effect_text(find_effect(effects, level, "narrow"), scale)
    broad = find_effect(effects, level, "broad")
    if broad is not None:
        shape = look(broad["verdict"])
        text.append("\nbroad: ", style="dim").append(
            f"{shape.glyph} {broad['verdict']}", style=STYLES[shape.tone]
        )
        _append_remark(text, broad)
    return text


def _effect_text(effect: Effect | None, scale: Scale) -> Text:
    if effect is None:
        return Text("\N{EM DASH}", style="dim")
    text = Text()
    if not absent(effect["estimate"]):
        unit = f" {scale.unit}" if scale.unit else ""
        interval = scale.interval(effect["low"], effect["high"])
        text.append(f"{scale.effect(effect['estimate'])} {interval}{unit}\n")
    shape = look(effect["verdict"])
    text.append(f"{shape.glyph} {effect['verdict']}", style=STYLES[shape.tone])
    _append_remark(text, effect)
    return text


def _append_remark(text: Text, effect: Effect) -> None:
    note = remark(effect)
    if note:
        text.append(f" ({note})", style="dim")
