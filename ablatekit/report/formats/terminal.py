"""Everything that a terminal shows of an analysis, and the comparison of two studies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect, is_formula
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import InferenceName
from ablatekit.legible import legible_json
from ablatekit.report import document
from ablatekit.report.brief.headline import headline_sentences
from ablatekit.report.brief.trust import trust_box
from ablatekit.report.document import Badge, Block, Entry, Facts, Paragraph, scoped
from ablatekit.report.formats.tables import PLAIN, titled_table
from ablatekit.report.language import formulas, page
from ablatekit.report.language.captions import held_fixed, versus, with_unit
from ablatekit.report.language.notes import answer_warnings, disagreements, trust
from ablatekit.report.language.numbers import (
    MISSING,
    Scale,
    general,
    p_value,
    scale_of,
    sentence,
    typeset,
)
from ablatekit.report.language.reading import Unit, factor_labels, subject_of, title_of
from ablatekit.report.language.scopes import over
from ablatekit.report.language.sentences import say, say_all, told
from ablatekit.report.language.verdicts import (
    Tone,
    compared_studies,
    look,
    only_in,
    signed,
    sized,
    word,
)
from ablatekit.report.sections.answer import (
    AnswerCell,
    Question,
    answer_cell,
    answer_remarks,
    baseline_sentences,
    estimate_entry,
    price_entry,
    ranked_questions,
    shown_scopes,
)

if TYPE_CHECKING:
    from ablatekit.analysis.compare import ComparedEffect, StudyComparison, StudyEffect

WIDTH = 80
"""The columns of characters that every table fits into as long as its numbers allow."""
LONGEST_VERDICT = len("inconclusive")
NARROWEST_STUDY, WIDEST_STUDY = 12, 16
"""Room for an effect with its verdict, and for the name of a study, in a comparison."""
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
    "shift": "magenta",
}


def answer(analysis: Analysis, *, everything: bool = False) -> Iterator[RenderableType]:
    """What a terminal shows of an analysis, whichever way it was made.

    `everything` adds the other estimands, scopes and companions to the answer table.
    """
    analysis = legible_json(analysis)
    every = analysis["responses"].items()
    fitted = {name: response for name, response in every if is_formula(response)}
    yield from _brief(analysis)
    if not fitted:
        yield from _answer_tables(analysis)
    for name, response in fitted.items():
        yield from _formula(name, response, factor_labels(analysis))
    if everything and not fitted:
        from ablatekit.report.compose import details  # imports every section

        yield from map(Text, baseline_sentences(analysis))

        for block in details(analysis):
            yield from rendered(block)
    yield from (Text(page.noted(typeset(warning))) for warning in answer_warnings(analysis))
    yield from second_opinion(analysis)


def _brief(analysis: Analysis) -> Iterator[RenderableType]:
    """The sentences of the answer, and how far to trust it with the gravest reason."""
    if comparisons(analysis):
        headline, settled = headline_sentences(analysis)
        yield Text(" ".join(headline), style="bold")
        yield from [Text(" ".join(settled))] if settled else []
        box = trust_box(analysis)
        yield Text(page.trusted(box.title, box.points[0] if box.points else ""))


def second_opinion(analysis: Analysis) -> Iterator[RenderableType]:
    """What the second opinion made of the numbers; nothing without one."""
    opinion = legible_json(analysis.get("second_opinion"))
    if opinion:
        yield from map(Text, (*disagreements(opinion), trust(opinion, subject_of(analysis).unit)))


def _answer_tables(analysis: Analysis) -> Iterator[RenderableType]:
    """The answer, then its scopes, and why some levels have no estimate."""
    for part in _side_by_side(ranked_questions(analysis)):
        yield summary(analysis, part)
    yield from map(Text, filter(None, [held_fixed(shown_scopes(analysis)), *_reasons(analysis)]))
    yield from map(Text, answer_remarks(analysis))


def summary(analysis: Analysis, asked: Sequence[Question] | None = None) -> Table:
    """One line per non-baseline level: effects, verdicts, the widest scope, and the gap.

    asked: the questions that have a column; all of them by default.
    """
    asked = ranked_questions(analysis) if asked is None else asked
    heads = [_head(analysis, question) for question in asked]
    table = titled_table(Text(_title(analysis)), ("level", *heads))
    table.show_lines = True
    stacked = _width(asked, stacked=False) > WIDTH
    room = max(0, WIDTH - _width(asked, stacked=stacked)) // max(1, len(asked))
    for column, question in zip(table.columns[1:], asked, strict=True):
        column.min_width = _unbroken_width(question, stacked=stacked)
        column.max_width = column.min_width + room
    spent = sum(FRAME_WIDTH + (column.min_width or 0) for column in table.columns[1:])
    table.columns[0].max_width = max(LEVEL_WIDTH, WIDTH - 1 - FRAME_WIDTH - spent)
    for level in comparisons(analysis):
        cells = (_cell(answer_cell(question, level), stacked=stacked) for question in asked)
        table.add_row(_level(analysis, level), *cells)
    return table


def _level(analysis: Analysis, level: Comparison) -> Text:
    text = Text(f"{level.label}\n{versus(level.level, level.baseline)}")
    price = price_entry(analysis, level)
    differs = price is not None and price.value != 1.0
    return text.append(f"\n{price.text}", style="dim") if price and differs else text


def _cell(cell: AnswerCell, *, stacked: bool) -> Text:
    """Estimate, verdict, scope and coverage; stacked: an interval stands below its estimate."""
    text, estimate = Text(), cell.estimate
    if estimate.value is not None:
        between = "\n" if stacked else " "
        text.append(between.join(filter(None, (estimate.text, estimate.interval))) + "\n")
    _append_verdict(text, cell.verdict)
    if cell.needed:
        text.append(f" ({cell.needed})", style="dim")
    if isinstance(cell.beyond, Badge):
        text.append(f"\n{cell.scope}: ", style="dim")
        _append_verdict(text, cell.beyond)
    elif isinstance(cell.beyond, document.Text) and cell.beyond.note:
        text.append(f"\n{cell.beyond.note}", style="dim")
    return text.append(f"\n{estimate.note}", style="dim") if estimate.note else text


def _append_verdict(text: Text, badge: Badge) -> None:
    """The verdict without its remark."""
    text.append(signed(badge.verdict, badge.size), style=STYLES[look(badge.verdict).tone])


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


def _side_by_side(asked: Sequence[Question]) -> Iterator[Sequence[Question]]:
    """The questions in groups whose columns a terminal has room for."""
    group: list[Question] = []
    for question in asked:
        if group and _width([*group, question], stacked=True) > WIDTH:
            yield group
            group = []
        group.append(question)
    yield group


def _width(asked: Sequence[Question], *, stacked: bool) -> int:
    """Of a table with these questions whose intervals are not broken."""
    columns = (_unbroken_width(question, stacked=stacked) for question in asked)
    return LEVEL_WIDTH + FRAME_WIDTH + sum(column + FRAME_WIDTH for column in columns)


def _unbroken_width(question: Question, *, stacked: bool) -> int:
    """The longest line that holds an interval, or the longest word of a verdict."""
    parts = [LONGEST_VERDICT]
    for effect in question.effects:
        if effect["estimand"] == "average" and effect["inference"] == "narrow":
            entry = estimate_entry(effect, question.scale)
            lines = [entry.text, entry.interval]
            parts += [len(line) for line in (lines if stacked else [" ".join(lines)])]
    return max(parts)


def _formula(
    name: str, response: ResponseAnalysis, labels: Mapping[str, str]
) -> Iterator[RenderableType]:
    """A fitted formula: the model, its effects, the ANOVA, and what was asked for beside them."""
    from ablatekit.report.sections.model import effect_tests, fit_blocks  # of formulas alone
    from ablatekit.report.sections.variance import anova_table

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
        width = min(LEAST_WIDTH, self.most) if self.width is None else self.width
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
        for note in filter(None, map(_note, entries)):
            reasons.setdefault(note, []).append(" ".join(filter(None, map(_name, entries))))
    yield from (Text(formulas.because(why, ", ".join(of))) for why, of in reasons.items())


def _column(table: document.Table, place: int) -> _Shown:
    entries = [row[place] for row in table.rows]
    interval = any(isinstance(entry, document.IntervalEntry) for entry in entries)
    texts, width = [_short(entry) for entry in entries], None
    if not any(isinstance(entry, document.Text) for entry in entries):
        whole = interval or any(isinstance(entry, document.EstimateEntry) for entry in entries)
        parts = (part for text in texts for part in (text.split("\n") if whole else text.split()))
        width = max(map(len, parts), default=0)
    return _Shown(table.columns[place].title, texts, width, interval)


def _narrow(shown: Table, columns: Sequence[_Shown]) -> None:
    """Give every column the width of its numbers, and the rest of the terminal to words."""
    words = [column for column in columns if column.width is None]
    spare = max(0, WIDTH - _total(columns))
    for printed, column in zip(shown.columns, columns, strict=True):
        if column.width is None:
            printed.min_width = max(map(len, column.title.split()))
            printed.max_width = column.least + spare // len(words)
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
    if isinstance(entry, Badge):
        shown = sized(entry.verdict, entry.size)
        return scoped(replace(entry, over=entry.over.split(",")[0]), shown)
    if isinstance(entry, document.EstimateEntry) and entry.interval:
        return f"{entry.text}\n{entry.interval}"
    return entry.text


def _note(entry: Entry) -> str:
    """Why an entry has no number, or what it is of; the interval beside a broad verdict is none."""
    if isinstance(entry, Badge) and entry.over:
        return ""
    return getattr(entry, "note", "")


def _texts_of(row: Iterable[str]) -> list[Text]:
    return [Text(text) for text in row]


def _name(entry: Entry) -> str:
    return entry.text if isinstance(entry, document.Text) else ""


def _reasons(analysis: Analysis) -> list[str]:
    """Why some levels have no estimate or no broad verdict: each reason once, with its levels."""
    unit = subject_of(analysis).unit
    concerned: dict[str, list[str]] = {}
    for level in comparisons(analysis):
        for question in ranked_questions(analysis):
            for reason in _reasons_of(question, level, unit):
                concerned.setdefault(reason, []).append(level.name)
    return [formulas.because(why, ", ".join(dict.fromkeys(of))) for why, of in concerned.items()]


def _reasons_of(question: Question, level: Comparison, unit: Unit) -> list[str]:
    """The narrow reason, or the broad one where there is a narrow estimate."""
    narrow, broad = (find_effect(question.effects, level, name) for name in INFERENCES)
    if narrow is not None and narrow["reason"]:
        return [_unjudged(narrow, unit)]
    if broad is not None and broad["reason"]:
        return [f"{broad['inference']} {_unjudged(broad, unit)}"]
    return []


def _unjudged(effect: Effect, unit: Unit) -> str:
    reason = told(effect["reason"], unit)
    return reason if effect["verdict"] == "identical" else f"{word(effect['verdict'])}: {reason}"


def _title(analysis: Analysis) -> str:
    counts, unit = analysis["counts"], subject_of(analysis).unit
    return page.heading(title_of(analysis), unit, counts["analysed"], counts["planned"])


def comparison(compared: StudyComparison, first: Analysis) -> Iterator[RenderableType]:
    """Two studies side by side: a table per response, and what limits the comparison."""
    from ablatekit.report.language.brief.comparison import comparison_reasons

    yield Text(compared_studies(compared.names, compared.contexts))
    yield from _comparison_tables(compared, first)
    yield from map(Text, comparison_reasons(compared.effects))
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
        for column, of in zip(table.columns[1:3], compared.names, strict=True):
            column.min_width = max(NARROWEST_STUDY, min(len(of), WIDEST_STUDY))
        for column in table.columns[3:]:
            column.no_wrap = True
        yield table


def _compared(row: ComparedEffect, labels: Mapping[str, str], scale: Scale) -> list[Text]:
    level = f"{labels.get(row.factor, row.factor)}:\n{versus(row.level, row.baseline)}"
    interval = "" if row.low is None else f"\n{scale.interval(row.low, row.high)}"
    p = "" if row.p_adjusted is None else f"\np {p_value(row.p_adjusted)}"
    beyond = row.beyond
    wide = "" if beyond is None else f"\n{over((beyond.variable,))}:\n{word(beyond.agreement)}"
    return [
        Text(level),
        Text("\n".join(_study_lines(row.first, scale))),
        Text("\n".join(_study_lines(row.second, scale))),
        Text(f"{scale.effect(row.difference)}{interval}"),
        Text(f"{word(row.agreement)}{p}{wide}"),
    ]


def _study_lines(study: StudyEffect, scale: Scale) -> Iterator[str]:
    """One study's effect in the words of the answer table."""
    yield scale.effect(study.estimate)
    yield sized(study.verdict, study.size)
    if study.broad is not None:
        yield f"{over(study.scope)}: {word(study.broad)}"
