"""The answer table, and the comparison of two studies, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from ablatekit.analysis.compare import ComparedEffect, StudyComparison
from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import InferenceName
from ablatekit.report.language.numbers import Scale, absent, p_value, scale_of, sentence
from ablatekit.report.language.reading import subject_of
from ablatekit.report.language.sentences import say, told
from ablatekit.report.language.verdicts import Tone, look, needed_for, signed, word
from ablatekit.report.sections.answer import Question, questions

INFERENCES: tuple[InferenceName, ...] = ("narrow", "broad")
STYLES: dict[Tone, str] = {
    "good": "bold green",
    "bad": "bold red",
    "same": "blue",
    "open": "",
    "none": "dim",
}


def summary(analysis: Analysis) -> Table:
    """One line per non-baseline level: effects, narrow and broad verdicts, and the gap."""
    table = Table(
        title=_title(analysis), title_justify="left", header_style="bold", show_lines=True
    )
    table.add_column("level", overflow="fold")
    asked = questions(analysis)
    for question in asked:
        unit = f", {question.scale.unit}" if question.scale.unit else ""
        table.add_column(Text(f"{question.title}{unit}"), overflow="fold")
    for level in comparisons(analysis):
        table.add_row(
            Text(f"{level.label}\n{level.level} vs {level.baseline}"),
            *(_texts(question, level) for question in asked),
        )
    table.caption, table.caption_justify = _reasons(analysis), "left"
    return table


def _reasons(analysis: Analysis) -> Text | None:
    """Why some effects have no estimate: each reason once, below the table."""
    asked, unit = questions(analysis), subject_of(analysis).unit
    effects = (
        find_effect(question.effects, level, inference)
        for question in asked
        for level in comparisons(analysis)
        for inference in INFERENCES
    )
    found = {
        told(effect["reason"], unit)
        if effect["verdict"] == "identical"
        else f"{effect['inference']} {word(effect['verdict'])}: {told(effect['reason'], unit)}"
        for effect in effects
        if effect is not None and effect["reason"]
    }
    return Text("\n".join(sorted(found))) if found else None


def _title(analysis: Analysis) -> Text:
    study, counts = analysis["study"], analysis["counts"]
    runs = f"{counts['analysed']:,} of {counts['planned']:,} runs analysed"
    return Text(f"{study.get('title') or study.get('name') or 'Analysis'}: {runs}")


def _texts(question: Question, level: Comparison) -> Text:
    narrow = find_effect(question.effects, level, "narrow")
    text = _effect_text(narrow, question)
    broad = find_effect(question.effects, level, "broad")
    if broad is None or (narrow is not None and narrow["verdict"] == "identical"):
        return text
    text.append("\nbroad: ", style="dim")
    return _append_verdict(text, broad, question)


def _effect_text(effect: Effect | None, question: Question) -> Text:
    if effect is None:
        return Text("\N{EM DASH}", style="dim")
    text, scale = Text(), question.scale
    if not absent(effect["estimate"]):
        known = not absent(effect["low"]) and not absent(effect["high"])
        interval = f" {scale.interval(effect['low'], effect['high'])}" if known else ""
        text.append(f"{scale.effect(effect['estimate'])}{interval}\n")
    return _append_verdict(text, effect, question)


def _append_verdict(text: Text, effect: Effect, question: Question) -> Text:
    shape = look(effect["verdict"])
    text.append(signed(effect["verdict"]), style=STYLES[shape.tone])
    note = "" if effect["reason"] else needed_for(effect, question.room)
    return text.append(f" ({note})", style="dim") if note else text


def comparison_tables(found: StudyComparison, first: Analysis) -> Iterator[Table]:
    """One table per response, in the units of the first study's report; fits 80 columns."""
    labels = {one.factor: one.label for one in comparisons(first)}
    for name in dict.fromkeys(row.response for row in found.effects):
        response = first["responses"][name]
        scale = scale_of(response)
        unit = f", {scale.unit}" if scale.unit else ""
        table = Table(
            title=Text(f"{sentence(response['label'])}{unit}"), title_justify="left",
            box=box.SIMPLE_HEAD, show_lines=False,
        )  # fmt: skip
        table.add_column("level", overflow="fold")
        for study in found.names:
            table.add_column(Text(study), min_width=12, overflow="fold")
        table.add_column("difference", no_wrap=True)
        table.add_column("agreement", no_wrap=True)
        for row in found.effects:
            if row.response == name:
                table.add_row(*_compared(row, labels, scale))
        yield table


def _compared(row: ComparedEffect, labels: Mapping[str, str], scale: Scale) -> list[Text]:
    level = f"{labels.get(row.factor, row.factor)}:\n{row.level} vs {row.baseline}"
    interval = "" if row.low is None else f"\n{scale.interval(row.low, row.high)}"
    p = "" if row.p_adjusted is None else f"\np {p_value(row.p_adjusted)}"
    return [
        Text(level),
        Text(f"{scale.effect(row.first)}\n{row.first_verdict}"),
        Text(f"{scale.effect(row.second)}\n{row.second_verdict}"),
        Text(f"{scale.effect(row.difference)}{interval}"),
        Text(f"{row.agreement.replace('_', ' ')}{p}"),
    ]


def comparison_reasons(found: StudyComparison) -> list[str]:
    """Why effects were not compared, each reason once."""
    reasons = (f"{row.response}: {say(row.reason)}" for row in found.effects if row.reason)
    return list(dict.fromkeys(reasons))
