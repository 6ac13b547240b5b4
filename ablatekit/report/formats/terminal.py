"""Everything that a terminal shows of an analysis, and the comparison of two studies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import InferenceName
from ablatekit.report import document
from ablatekit.report.document import Badge, Block, Entry, Facts, Paragraph
from ablatekit.report.formats.tables import PLAIN, titled_table
from ablatekit.report.language import agreements, formulas, page
from ablatekit.report.language.captions import versus, with_unit
from ablatekit.report.language.notes import every_warning
from ablatekit.report.language.numbers import (
    MISSING,
    Scale,
    absent,
    general,
    p_value,
    scale_of,
    sentence,
    typeset,
)
from ablatekit.report.language.reading import factor_labels, subject_of, title_of
from ablatekit.report.language.sentences import say, say_all, told
from ablatekit.report.language.verdicts import Tone, look, needed_for, signed, word
from ablatekit.report.sections.answer import Question, questions
from ablatekit.report.sections.model import effect_tests, fit_blocks, is_formula
from ablatekit.report.sections.variance import anova_table

if TYPE_CHECKING:
    from ablatekit.analysis.compare import ComparedEffect, StudyComparison

WIDTH = 80
"""The columns of characters that every table fits into as long as its numbers allow."""
LEVEL_WIDTH, LEAST_WIDTH, FRAME_WIDTH = 16, 10, 3
"""Room for the names of levels and for other words, which may be folded, and for a frame."""
MOST_COLUMNS = 6
"""Of a table on a terminal; one with more gives up its intervals."""
INFERENCES: tuple[InferenceName, ...] = ("narrow", "broad")
STYLES: dict[Tone, str] = {
    "good": "bold green",
    "bad": "bold red",
    "same": "blue",
    "open": "",
    "none": "dim",
}


def answer(analysis: Analysis) -> Iterator[RenderableType]:
    """What a terminal shows of an analysis, whichever way it was made."""
    every = analysis["responses"].items()
    fitted = {name: response for name, response in every if is_formula(response)}
    if not fitted:
        asked = questions(analysis)
        yield from (summary(analysis, part) for part in _side_by_side(analysis, asked))
    for name, response in fitted.items():
        yield from _formula(name, response, factor_labels(analysis))
    yield from (Text(page.noted(typeset(warning))) for warning in every_warning(analysis))


def summary(analysis: Analysis, asked: Sequence[Question] | None = None) -> Table:
    """One line per non-baseline level: effects, narrow and broad verdicts, and the gap.

    asked: the questions that have a column; all of them by default.
    """
    asked = questions(analysis) if asked is None else asked
    heads = [_head(analysis, question) for question in asked]
    table = titled_table(Text(_title(analysis)), ("level", *heads))
    table.show_lines = True
    stacked = _width(analysis, asked, stacked=False) > WIDTH
    room = max(0, WIDTH - _width(analysis, asked, stacked=stacked)) // max(1, len(asked))
    for column, question in zip(table.columns[1:], asked, strict=True):
        column.min_width = _unbroken_width(analysis, question, stacked=stacked)
        column.max_width = column.min_width + room
    for level in comparisons(analysis):
        table.add_row(
            Text(f"{level.label}\n{versus(level.level, level.baseline)}"),
            *(_texts(question, level, stacked=stacked) for question in asked),
        )
    table.caption, table.caption_justify = _reasons(analysis), "left"
    return table


def _head(analysis: Analysis, question: Question) -> str:
    """The response with its unit, and which values of it are better."""
    title = with_unit(question.title, question.scale.unit)
    for response in analysis["responses"].values():
        if response["effects"] is question.effects:
            return f"{title}\n{page.better(response['direction'], guessed=_is_guessed(response))}"
    return title


def _is_guessed(response: ResponseAnalysis) -> bool:
    messages = response["diagnostics"].get("messages", [])
    return any(message["code"] == "direction_guessed" for message in messages)


def _side_by_side(analysis: Analysis, asked: Sequence[Question]) -> Iterator[Sequence[Question]]:
    """The questions in groups whose columns a terminal has room for."""
    group: list[Question] = []
    for question in asked:
        if group and _width(analysis, [*group, question], stacked=True) > WIDTH:
            yield group
            group = []
        group.append(question)
    yield group


def _width(analysis: Analysis, asked: Sequence[Question], *, stacked: bool) -> int:
    """Of a table with these questions whose intervals are not broken."""
    columns = (_unbroken_width(analysis, question, stacked=stacked) for question in asked)
    return LEVEL_WIDTH + FRAME_WIDTH + sum(column + FRAME_WIDTH for column in columns)


def _unbroken_width(analysis: Analysis, question: Question, *, stacked: bool) -> int:
    """The longest line that holds an interval, or the longest word."""
    cells = [_texts(question, level, stacked=stacked).plain for level in comparisons(analysis)]
    lines = [line for cell in cells for line in cell.split("\n")]
    parts = [[line] if line.endswith("]") else line.split() for line in lines]
    return max((len(text) for part in parts for text in part), default=0)


def _formula(
    name: str, response: ResponseAnalysis, labels: Mapping[str, str]
) -> Iterator[RenderableType]:
    """A fitted formula: the model, its effects, the ANOVA, and what was asked for beside them."""
    model = response["model"]
    criterion = "" if model["criterion"] is None else general(model["criterion"])
    method = say(model["method"], "row")
    yield Text(model["formula"])
    yield Text(formulas.headline(method, model["n"], criterion, converged=model["converged"]))
    yield Text(page.better(response["direction"], guessed=_is_guessed(response)))
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


@dataclass(frozen=True, slots=True)
class _Shown:
    """A column as it is printed; no entry is broken below `width`, None where words may be."""

    title: str
    entries: list[str]
    width: int | None
    interval: bool

    @property
    def least(self) -> int:
        """The width at which nothing is broken that must not be."""
        width = LEAST_WIDTH if self.width is None else self.width
        return max(width, *(map(len, self.title.split())))

    @property
    def most(self) -> int:
        """The width at which nothing is folded."""
        return max(len(line) for text in (self.title, *self.entries) for line in text.split("\n"))

    def over(self, other: _Shown) -> _Shown:
        """This column with the entries of another one below its own."""
        entries = ["\n".join(pair) for pair in zip(self.entries, other.entries, strict=True)]
        width = max(self.width or 0, other.width or 0)
        return _Shown(f"{self.title}\n{other.title}", entries, width, interval=False)


def _rendered_table(table: document.Table) -> Iterator[RenderableType]:
    """A table without the columns that hold nothing, then why rows have no numbers."""
    if not table.rows:
        return
    columns = [_column(table, place) for place in _fitting(table) if _says_something(table, place)]
    crowded = _total(columns, whole=True) > WIDTH
    columns = _stacked(columns) if crowded else columns
    rows = zip(*(column.entries for column in columns), strict=True)
    titles = [column.title for column in columns]
    shown = titled_table(Text(table.caption), titles, map(_texts_of, rows), PLAIN)
    if crowded:
        _narrow(shown, columns)
    yield shown
    reasons: dict[str, list[str]] = {}
    for entries in table.rows:
        for note in filter(None, (getattr(entry, "note", "") for entry in entries)):
            reasons.setdefault(note, []).append(" ".join(filter(None, map(_name, entries))))
    yield from (Text(formulas.because(why, ", ".join(of))) for why, of in reasons.items())


def _column(table: document.Table, place: int) -> _Shown:
    entries = [row[place] for row in table.rows]
    interval = any(isinstance(entry, document.Interval) for entry in entries)
    texts, width = [_short(entry) for entry in entries], None
    if not any(isinstance(entry, document.Text) for entry in entries):
        parts = texts if interval else [part for text in texts for part in text.split()]
        width = max(map(len, parts), default=0)
    return _Shown(table.columns[place].title, texts, width, interval)


def _narrow(shown: Table, columns: Sequence[_Shown]) -> None:
    """Give every column the width of its numbers, and the rest of the terminal to words."""
    words = [column for column in columns if column.width is None]
    room = WIDTH - _total(columns) + LEAST_WIDTH * len(words)
    for printed, column in zip(shown.columns, columns, strict=True):
        if column.width is None:
            printed.max_width = max(LEAST_WIDTH, room // len(words))
        else:
            printed.width = column.least


def _total(columns: Sequence[_Shown], *, whole: bool = False) -> int:
    """The width of a table of these columns; whole: neither words nor titles are folded."""
    return 1 + sum(FRAME_WIDTH + (column.most if whole else column.least) for column in columns)


def _stacked(columns: Sequence[_Shown]) -> list[_Shown]:
    """Columns with every interval below the number on its left."""
    stacked: list[_Shown] = []
    for column in columns:
        if column.interval and stacked and stacked[-1].width is not None:
            column = stacked.pop().over(column)
        stacked.append(column)
    return stacked


def _fitting(table: document.Table) -> list[int]:
    """The columns that a terminal has room for: of many, an interval gives way to its error."""
    titles = [column.title for column in table.columns]
    crowded = len(titles) > MOST_COLUMNS and "se" in titles
    return [place for place, title in enumerate(titles) if not (crowded and title == "interval")]


def _says_something(table: document.Table, place: int) -> bool:
    return any(_short(row[place]) not in ("", MISSING) for row in table.rows)


def _short(entry: Entry) -> str:
    """An entry without its note."""
    return word(entry.verdict) if isinstance(entry, Badge) else entry.text


def _texts_of(row: Iterable[str]) -> list[Text]:
    return [Text(text) for text in row]


def _name(entry: Entry) -> str:
    return entry.text if isinstance(entry, document.Text) else ""


def _reasons(analysis: Analysis) -> Text | None:
    """Why some effects have no estimate: each reason once, below the table."""
    asked, unit = questions(analysis), subject_of(analysis).unit
    effects = (
        find_effect(question.effects, level, inference)
        for question in asked
        for level in comparisons(analysis)
        for inference in INFERENCES
    )
    reasons = {
        told(effect["reason"], unit)
        if effect["verdict"] == "identical"
        else f"{effect['inference']} {word(effect['verdict'])}: {told(effect['reason'], unit)}"
        for effect in effects
        if effect is not None and effect["reason"]
    }
    return Text("\n".join(sorted(reasons))) if reasons else None


def _title(analysis: Analysis) -> str:
    counts, unit = analysis["counts"], subject_of(analysis).unit
    return page.heading(title_of(analysis), unit, counts["analysed"], counts["planned"])


def _texts(question: Question, level: Comparison, *, stacked: bool) -> Text:
    """The cell of a level; stacked: an interval stands below its estimate."""
    narrow = find_effect(question.effects, level, "narrow")
    text = _effect_text(narrow, question, "\n" if stacked else " ")
    broad = find_effect(question.effects, level, "broad")
    if broad is None or (narrow is not None and narrow["verdict"] == "identical"):
        return text
    text.append("\nbroad: ", style="dim")
    return _append_verdict(text, broad, question)


def _effect_text(effect: Effect | None, question: Question, between: str) -> Text:
    if effect is None:
        return Text("\N{EM DASH}", style="dim")
    text, scale = Text(), question.scale
    if not absent(effect["estimate"]):
        known = not absent(effect["low"]) and not absent(effect["high"])
        interval = f"{between}{scale.interval(effect['low'], effect['high'])}" if known else ""
        text.append(f"{scale.effect(effect['estimate'])}{interval}\n")
    return _append_verdict(text, effect, question)


def _append_verdict(text: Text, effect: Effect, question: Question) -> Text:
    shape = look(effect["verdict"])
    text.append(signed(effect["verdict"]), style=STYLES[shape.tone])
    note = "" if effect["reason"] else needed_for(effect, question.room)
    return text.append(f" ({note})", style="dim") if note else text


def comparison(compared: StudyComparison, first: Analysis) -> Iterator[RenderableType]:
    """Two studies side by side: a table per response, and what limits the comparison."""
    yield Text(agreements.headline(compared.names, compared.contexts))
    yield from _comparison_tables(compared, first)
    yield from map(Text, comparison_reasons(compared))
    yield from (Text(say(note)) for note in compared.notes)
    only = zip(compared.names, (compared.only_first, compared.only_second), strict=True)
    yield from (Text(agreements.only_in(name, say_all(of, ", "))) for name, of in only if of)


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
        Text(f"{scale.effect(row.first)}\n{word(row.first_verdict)}"),
        Text(f"{scale.effect(row.second)}\n{word(row.second_verdict)}"),
        Text(f"{scale.effect(row.difference)}{interval}"),
        Text(f"{agreements.AGREEMENTS[row.agreement]}{p}"),
    ]


def comparison_reasons(compared: StudyComparison) -> list[str]:
    """Why effects were not compared, each reason once."""
    reasons = (f"{row.response}: {say(row.reason)}" for row in compared.effects if row.reason)
    return list(dict.fromkeys(reasons))
