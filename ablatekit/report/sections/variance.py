"""The section on variance: the ANOVA table, and where the variance goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.model import AnovaRow
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Fold,
    Gallery,
    Interval,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    slug,
)
from ablatekit.report.figures.shares import Share, TermKind, draw_shares
from ablatekit.report.language import alternatives, captions, leads
from ablatekit.report.language.numbers import (
    Scale,
    general,
    p_value,
    percent,
    sentence,
)
from ablatekit.report.language.reading import Unit, factor_labels, subject_of, term_label
from ablatekit.report.language.sentences import footers_of, say, say_all, term_words, told
from ablatekit.report.sections.items import item_blocks

NEGLIGIBLE = 0.001
"""Interactions with smaller variance shares are drawn as one bar."""


def variance_section(analysis: Analysis) -> Section | None:
    """Shares of the total sum of squares as bars, and the ANOVA table behind them."""
    pictures: list[Picture] = []
    tables: list[Block] = []
    labels, unit = factor_labels(analysis), subject_of(analysis).unit
    for name, response in analysis["responses"].items():
        rows = response.get("anova", [])
        if rows:
            table = anova_table(name, response, labels, unit)
            tables.append(Fold(captions.anova(response["label"]), [table]))
        shares = _shares(analysis, rows)
        if shares:
            pictures.append(_shares_picture(name, response, shares))
    if not tables:
        return None
    blocks: list[Block] = []
    if pictures:
        caption = captions.shares_figures(subject_of(analysis))
        blocks.append(Gallery(pictures=pictures, caption=caption))
    lead = leads.variance_lead(subject_of(analysis)) if pictures else ""
    parts = [*blocks, *tables, *item_blocks(analysis)]
    return Section("variance", leads.VARIANCE, lead, parts)


def _shares(analysis: Analysis, rows: Sequence[AnovaRow]) -> list[Share]:
    labels, unit = factor_labels(analysis), subject_of(analysis).unit
    known = [row for row in rows if row["share"] is not None]
    shares = [
        Share(
            _term(row["term"], labels, unit),
            row["share"] or 0.0,
            _term_kind(row["term"], labels.keys()),
        )
        for row in known
    ]
    small = [
        share
        for row, share in zip(known, shares, strict=True)
        if ":" in row["term"] and share.share < NEGLIGIBLE
    ]
    if len(small) < 4:
        return shares
    shown = [share for share in shares if share not in small]
    return [
        *shown,
        Share(captions.together(len(small)), sum(share.share for share in small), "other"),
    ]


def _term(term: str, labels: Mapping[str, str], unit: Unit) -> str:
    """A term in words: of factors by their labels, any other one by its name."""
    return term_label(term_words(term, unit), labels)


def _term_kind(term: str, factors: Collection[str]) -> TermKind:
    parts = term.split(":")
    if not set(parts) <= set(factors):
        return "other"
    return "factor" if len(parts) == 1 else "interaction"


def _shares_picture(name: str, response: ResponseAnalysis, shares: Sequence[Share]) -> Picture:
    identifier = f"shares-{slug(name)}"
    title = sentence(response["label"])
    parts = (f"{share.term}: {percent(share.share)}" for share in shares)
    return Picture(
        id=identifier,
        title=title,
        alt=alternatives.shares(response["label"], parts),
        draw=partial(draw_shares, shares),
    )


def anova_table(
    name: str,
    response: ResponseAnalysis,
    labels: Mapping[str, str],
    unit: Unit,
) -> Table:
    """The analysis of variance of one response."""
    rows = response["anova"]
    notes = (say(response["anova_note"], unit), footers_of(response, unit).get("anova", ""))
    return Table(
        id=f"anova-{slug(name)}",
        caption=captions.anova(response["label"]),
        columns=[
            Column("term"), Column("df", numeric=True), Column("error df", numeric=True),
            Column("F", numeric=True), Column("p", numeric=True),
            Column("partial \N{GREEK SMALL LETTER ETA}\N{SUPERSCRIPT TWO}", numeric=True),
            Column("partial \N{GREEK SMALL LETTER OMEGA}\N{SUPERSCRIPT TWO}", numeric=True),
            Column("interval", numeric=True), Column("share", numeric=True),
        ],
        rows=[_anova_entries(row, labels, unit) for row in rows],
        keys=[[("term", row["term"])] for row in rows],
        footer="\n".join(
            dict.fromkeys(filter(None, notes))
        ),
    )  # fmt: skip


def _anova_entries(row: AnovaRow, labels: Mapping[str, str], unit: Unit) -> list[Entry]:
    told_of_row = [told(row["reason"], unit), say_all(row["notes"], "; ", unit)]
    return [
        Text(_term(row["term"], labels, unit), note="; ".join(filter(None, told_of_row))),
        Quantity(general(row["num_df"], 3), row["num_df"]),
        Quantity(general(row["den_df"], 3), row["den_df"]),
        Quantity(_fixed(row["statistic"], 2), row["statistic"]),
        Quantity(p_value(row["p"]), row["p"]),
        Quantity(_fixed(row["partial_eta2"], 3), row["partial_eta2"]),
        Quantity(_fixed(row["partial_omega2"], 3), row["partial_omega2"]),
        _omega_interval(row),
        Quantity(percent(row["share"]), row["share"]),
    ]


def _omega_interval(row: AnovaRow) -> Interval:
    low, high = row.get("partial_omega2_low"), row.get("partial_omega2_high")
    return Interval(Scale(1.0, "", 3).interval(low, high), low, high)


def _fixed(value: Number, decimals: int) -> str:
    return Scale(1.0, "", decimals).plain(value)
