"""Everything that a terminal shows of an analysis, and the comparison of two studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ablatekit.analysis.core.lookup import comparisons, find_effect
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.vocabulary import InferenceName
from ablatekit.report import document
from ablatekit.report.compose import details
from ablatekit.report.document import Badge, Block, Entry, Facts, Interval, Paragraph, scoped
from ablatekit.report.formats.tables import PLAIN, titled_table
from ablatekit.report.language import formulas, page
from ablatekit.report.language.captions import versus, with_unit
from ablatekit.report.language.notes import answer_warnings, trust
from ablatekit.report.language.numbers import (
    MISSING,
    Scale,
    general,
    p_value,
    scale_of,
    sentence,
    typeset,
)
from ablatekit.report.language.reading import factor_labels, subject_of, title_of
from ablatekit.report.language.scopes import over
from ablatekit.report.language.sentences import say, say_all, told
from ablatekit.report.language.verdicts import (
    AGREEMENTS,
    Tone,
    compared_studies,
    look,
    only_in,
    signed,
    sized,
    word,
)
from ablatekit.report.sections.answer import (
    UNJUDGED,
    AnswerCell,
    AnswerLine,
    answer_lines,
    baseline_sentences,
    questions,
)
from ablatekit.report.sections.model import effect_tests, fit_blocks, is_formula
from ablatekit.report.sections.variance import anova_table

if TYPE_CHECKING:
    from ablatekit.analysis.compare import ComparedEffect, StudyComparison, StudyEffect

COLUMNS = 80
"""Of a terminal that is not made wider."""
MOST_COLUMNS = 6
"""Of a table on a terminal; one with more gives up its intervals."""
MOST_SIDE_BY_SIDE = 3
"""Responses beside each other in the answer."""
LEFT_OF_LEVELS = COLUMNS - 22
"""Characters that the names of levels leave for responses."""
SHORTEST, SHORTEST_WORDS = 12, 6
"""Characters that the longest word of a verdict needs, and words of a user at least."""
INFERENCES: tuple[InferenceName, ...] = ("narrow", "broad")
STYLES: dict[Tone, str] = {
    "good": "bold green",
    "bad": "bold red",
    "same": "blue",
    "open": "",
    "none": "dim",
    "shift": "magenta",
}


def answer(analysis: Analysis, *, everything: bool = False) -> Iterator[RenderableType]:
    """What a terminal shows of an analysis, whichever way it was made.

    `everything` adds the other estimands, scopes and companions to the answer table.
    """
    every = analysis["responses"].items()
    fitted = {name: response for name, response in every if is_formula(response)}
    if not fitted:
        yield from summary(analysis)
    for name, response in fitted.items():
        yield from _formula(name, response, factor_labels(analysis))
    if everything and not fitted:
        for block in details(analysis):
            yield from rendered(block)
    yield from (Text(page.warned(text)) for text in answer_warnings(analysis))
    opinion = analysis.get("second_opinion")
    if opinion:
        yield Text(trust(opinion, subject_of(analysis).unit))


def summary(analysis: Analysis) -> Iterator[RenderableType]:
    """One line per non-baseline level, then why some have no estimate, then the baseline.

    As many responses stand side by side as 80 columns hold without breaking an interval.
    """
    asked, lines = questions(analysis), answer_lines(analysis)
    widest = max((len(cell.estimate.interval) for line in lines for cell in line.cells), default=0)
    side_by_side = min(MOST_SIDE_BY_SIDE, max(1, LEFT_OF_LEVELS // (max(widest, SHORTEST) + 3)))
    for start in range(0, len(asked), side_by_side):
        chosen = slice(start, start + side_by_side)
        titles = (with_unit(question.title, question.scale.unit) for question in asked[chosen])
        title = _title(analysis) if start == 0 else ""
        table = titled_table(Text(title), ("level", *titles))
        table.show_lines = True
        for column in table.columns[1:]:
            column.min_width = widest
        for line in lines:
            table.add_row(_level(line), *map(_cell, line.cells[chosen]))
        yield table
    yield from map(Text, _reasons(analysis))
    yield from map(Text, baseline_sentences(analysis))


def _level(line: AnswerLine) -> Text:
    level = line.level
    text = Text(f"{level.label}\n{versus(level.level, level.baseline)}")
    return text.append(f"\n{line.price.text}", style="dim") if line.price else text


def _cell(cell: AnswerCell) -> Text:
    """Estimate, interval, verdict, scope and coverage, each on a line of its own."""
    text = Text()
    estimate = cell.estimate
    if estimate.value is not None:
        text.append("\n".join(filter(None, (estimate.text, estimate.interval))) + "\n")
    _append_badge(text, cell.verdict)
    if isinstance(cell.beyond, Badge) and cell.beyond.verdict != "identical":
        text.append(f"\n{cell.beyond.over}: ", style="dim")
        _append_badge(text, cell.beyond)
    elif isinstance(cell.beyond, document.Text) and cell.beyond.note:
        text.append(f"\n{cell.beyond.note}", style="dim")
    return text.append(f"\n{estimate.note}", style="dim") if estimate.note else text


def _append_badge(text: Text, badge: Badge) -> None:
    """The verdict; its remark unless that is a reason, which stands below the table."""
    text.append(signed(badge.verdict, badge.size), style=STYLES[look(badge.verdict).tone])
    if badge.note and badge.verdict not in UNJUDGED:
        text.append(f" ({badge.note})", style="dim")


def _formula(
    name: str, response: ResponseAnalysis, labels: Mapping[str, str]
) -> Iterator[RenderableType]:
    """A fitted formula: the model, its effects, the ANOVA, and what was asked for beside them."""
    model = response["model"]
    criterion = "" if model["criterion"] is None else general(model["criterion"])
    method = say(model["method"], "row")
    yield Text(model["formula"])
    yield Text(formulas.headline(method, model["n"], criterion, converged=model["converged"]))
    yield from (Text(page.noted(say(message, "row"))) for message in model["messages"])
    yield from rendered(effect_tests(name, response))
    anova = anova_table(name, response, labels, "row")
    for block in (anova, *fit_blocks(name, response)):
        yield from rendered(block)
    footers = (say_all(footer, unit="row") for footer in response["footers"].values())
    yield from (Text(typeset(footer)) for footer in dict.fromkeys(footers))


def rendered(block: Block) -> Iterator[RenderableType]:
    """A table, facts or a paragraph of a report; figures are for pages."""
    match block:
        case document.Table():
            yield from _rendered_table(block)
        case Facts():
            facts = ", ".join(f"{name} {value}" for name, value in block.pairs)
            yield from [Text(facts)] if facts else []
        case Paragraph():
            yield Text(typeset(block.text))
        case _:
            return


def _rendered_table(table: document.Table) -> Iterator[RenderableType]:
    """A table without the columns that hold nothing, then why rows have no numbers."""
    if not table.rows:
        return
    filled = [place for place in _fitting(table) if _says_something(table, place)]
    titles = [table.columns[place].title for place in filled]
    rows = [[_short(row[place]) for place in filled] for row in table.rows]
    shown = titled_table(Text(table.caption), titles, map(_texts_of, rows), PLAIN)
    for column, place in zip(shown.columns, filled, strict=True):
        column.min_width = _unbroken(table, place)
    yield shown
    reasons: dict[str, list[str]] = {}
    for entries in table.rows:
        for note in filter(None, (getattr(entry, "note", "") for entry in entries)):
            reasons.setdefault(note, []).append(" ".join(filter(None, map(_name, entries))))
    yield from (Text(formulas.because(why, ", ".join(of))) for why, of in reasons.items())


def _fitting(table: document.Table) -> list[int]:
    """The columns that a terminal has room for: of many, an interval gives way to its error."""
    titles = [column.title for column in table.columns]
    places = list(range(len(titles)))
    widths = [_unbroken(table, place) or SHORTEST_WORDS for place in places]
    crowded = len(titles) > MOST_COLUMNS or sum(widths) + 2 * len(widths) > COLUMNS
    if not (crowded and "se" in titles):
        return places
    return [place for place in places if titles[place] != "interval"]


def _says_something(table: document.Table, place: int) -> bool:
    return any(_short(row[place]) not in ("", MISSING) for row in table.rows)


def _unbroken(table: document.Table, place: int) -> int | None:
    """The width at which no number and no interval is broken; words of a user may be."""
    entries = [row[place] for row in table.rows]
    if any(isinstance(entry, document.Text) for entry in entries):
        return None
    return max(map(_longest_part, entries), default=0)


def _longest_part(entry: Entry) -> int:
    """The characters of an entry that stay on one line: an interval, else the longest word."""
    text = _short(entry)
    parts = [text] if isinstance(entry, Interval) else text.split()
    return max(map(len, parts), default=0)


def _short(entry: Entry) -> str:
    """An entry without its note."""
    if isinstance(entry, Badge):
        return scoped(entry, sized(entry.verdict, entry.size))
    return entry.text


def _texts_of(row: Sequence[str]) -> list[Text]:
    return [Text(text) for text in row]


def _name(entry: Entry) -> str:
    return entry.text if isinstance(entry, document.Text) else ""


def _reasons(analysis: Analysis) -> list[str]:
    """Why some levels have no estimate or no broad verdict: each reason once."""
    asked, unit = questions(analysis), subject_of(analysis).unit
    effects = (
        find_effect(question.effects, level, inference)
        for question in asked
        for level in comparisons(analysis)
        for inference in INFERENCES
    )
    reasons = (
        told(effect["reason"], unit)
        if effect["verdict"] == "identical"
        else f"{effect['inference']} {word(effect['verdict'])}: {told(effect['reason'], unit)}"
        for effect in effects
        if effect is not None and effect["reason"]
    )
    return sorted(set(reasons))


def _title(analysis: Analysis) -> str:
    counts, unit = analysis["counts"], subject_of(analysis).unit
    return page.heading(title_of(analysis), unit, counts["analysed"], counts["planned"])


def comparison(compared: StudyComparison, first: Analysis) -> Iterator[RenderableType]:
    """Two studies side by side: a table per response, and what limits the comparison."""
    yield Text(compared_studies(compared.names, compared.contexts))
    yield from _comparison_tables(compared, first)
    yield from map(Text, comparison_reasons(compared))
    yield from (Text(say(note)) for note in compared.notes)
    only = zip(compared.names, (compared.only_first, compared.only_second), strict=True)
    yield from (Text(only_in(name, say_all(of, ", "))) for name, of in only if of)


def _comparison_tables(compared: StudyComparison, first: Analysis) -> Iterator[Table]:
    """One table per response, in the units of the first study's report; fits 80 columns."""
    labels = {level.factor: level.label for level in comparisons(first)}
    for name in dict.fromkeys(row.response for row in compared.effects):
        response = first["responses"][name]
        scale = scale_of(response)
        title = Text(with_unit(sentence(response["label"]), scale.unit))
        rows = [_compared(row, labels, scale) for row in compared.effects if row.response == name]
        columns = ("level", *compared.names, "difference", "agreement")
        table = titled_table(title, columns, rows, PLAIN)
        for column in table.columns[1:3]:
            column.min_width = 12
        for column in table.columns[3:]:
            column.no_wrap = True
        yield table


def _compared(row: ComparedEffect, labels: Mapping[str, str], scale: Scale) -> list[Text]:
    level = f"{labels.get(row.factor, row.factor)}:\n{versus(row.level, row.baseline)}"
    interval = "" if row.low is None else f"\n{scale.interval(row.low, row.high)}"
    p = "" if row.p_adjusted is None else f"\np {p_value(row.p_adjusted)}"
    return [
        Text(level),
        Text("\n".join(_study_lines(row.first, scale))),
        Text("\n".join(_study_lines(row.second, scale))),
        Text(f"{scale.effect(row.difference)}{interval}"),
        Text(f"{AGREEMENTS[row.agreement]}{p}"),
    ]


def _study_lines(study: StudyEffect, scale: Scale) -> Iterator[str]:
    """One study's effect in the words of the answer table."""
    yield scale.effect(study.estimate)
    yield sized(study.verdict, study.size)
    if study.broad is not None:
        yield f"{over(study.scope)}: {word(study.broad)}"


def comparison_reasons(compared: StudyComparison) -> list[str]:
    """Why effects were not compared, each reason once."""
    reasons = (f"{row.response}: {say(row.reason)}" for row in compared.effects if row.reason)
    return list(dict.fromkeys(reasons))
