"""The section on variance: the ANOVA table, mixed models beside it, and the item level."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from ablatekit.analysis.core.lookup import Comparison, comparisons
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import ItemEffectRow, ItemLevel, MixedCompanion
from ablatekit.analysis.core.schema.model import AnovaRow
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.below import Unknown, parted, said_below
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    EstimateEntry,
    Fold,
    Gallery,
    Heading,
    IntervalEntry,
    Paragraph,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
    figure_data,
    slug,
)
from ablatekit.report.figures.shares import (
    Share,
    TermKind,
    draw_shares,
    largest_of,
    share_records,
)
from ablatekit.report.language import alternatives, captions, leads
from ablatekit.report.language.numbers import (
    Scale,
    absent,
    general,
    p_value,
    percent,
    scale_of,
    sentence,
)
from ablatekit.report.language.reading import Unit, factor_labels, subject_of, term_label
from ablatekit.report.language.sentences import (
    SOURCES,
    footers_of,
    say,
    term_words,
    told,
)

NEGLIGIBLE = 0.001
"""Interactions with smaller variance shares are drawn as one bar."""


def variance_section(analysis: Analysis) -> Section | None:
    """Shares of the total sum of squares as bars, and the ANOVA table behind them."""
    tables: list[Block] = []
    labels, unit = factor_labels(analysis), subject_of(analysis).unit
    for name, response in analysis["responses"].items():
        rows = response.get("anova", [])
        if rows:
            table = anova_table(name, response, labels, unit)
            tables.append(Fold(captions.anova(response["label"]), [table]))
    pictures = share_pictures(analysis)
    if not tables:
        return None
    blocks: list[Block] = []
    if pictures:
        caption = captions.shares_figures(subject_of(analysis))
        blocks.append(Gallery(pictures=pictures, caption=caption))
    lead = leads.variance_lead(subject_of(analysis)) if pictures else ""
    mixed = mixed_blocks(analysis)
    blocks += [*tables, *([Fold(captions.MIXED, mixed)] if mixed else []), *item_blocks(analysis)]
    return Section("variance", leads.VARIANCE, lead, blocks, findings.variance(analysis))


def share_pictures(analysis: Analysis) -> list[Picture]:
    """The bars of every response, on one axis."""
    every = {
        name: _shares(analysis, response.get("anova", []))
        for name, response in analysis["responses"].items()
    }
    most = max(map(largest_of, every.values()), default=1.0)
    return [
        _shares_picture(name, analysis["responses"][name], shares, most)
        for name, shares in every.items()
        if shares
    ]


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
    if term == "context":
        return "context"
    if not set(parts) <= set(factors):
        return "other"
    return "factor" if len(parts) == 1 else "interaction"


def _shares_picture(
    name: str, response: ResponseAnalysis, shares: Sequence[Share], most: float
) -> Picture:
    identifier = f"shares-{slug(name)}"
    title = sentence(response["label"])
    parts = (f"{share.term}: {percent(share.share)}" for share in shares)
    return Picture(
        id=identifier,
        title=title,
        alt=alternatives.shares(response["label"], parts),
        draw=partial(draw_shares, shares, most),
        data=lambda: figure_data(share_records(shares)),
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
    below = said_below(
        Unknown("", _term(row["term"], labels, unit), say(statement, unit))
        for row in rows
        for statement in (row["reason"], *row["notes"])
        if statement is not None
    )
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
        footer="\n".join(below),
        computed=[f"{sentence(note).rstrip('.')}." for note in dict.fromkeys(filter(None, notes))],
    )  # fmt: skip


def _anova_entries(row: AnovaRow, labels: Mapping[str, str], unit: Unit) -> list[Entry]:
    return [
        Text(_term(row["term"], labels, unit)),
        Quantity(general(row["num_df"], 3), row["num_df"]),
        Quantity(general(row["den_df"], 3), row["den_df"]),
        Quantity(_fixed(row["statistic"], 2), row["statistic"]),
        Quantity(p_value(row["p"]), row["p"]),
        Quantity(_fixed(row["partial_eta2"], 3), row["partial_eta2"]),
        Quantity(_fixed(row["partial_omega2"], 3), row["partial_omega2"]),
        _omega_interval(row),
        Quantity(percent(row["share"]), row["share"]),
    ]


def _omega_interval(row: AnovaRow) -> IntervalEntry:
    low, high = row.get("partial_omega2_low"), row.get("partial_omega2_high")
    return IntervalEntry(Scale(1.0, "", 3).interval(low, high), low, high)


def _fixed(value: Number, decimals: int) -> str:
    return Scale(1.0, "", decimals).plain(value)


def mixed_blocks(analysis: Analysis) -> list[Block]:
    """The mixed model beside the verdicts: its average effects, and its variances on request."""
    blocks: list[Block] = []
    for name, response in analysis["responses"].items():
        mixed = response.get("mixed")
        if mixed:
            table = _mixed_table(analysis, name, response, mixed)
            lines = [Paragraph(line) for line in table.footer.split("\n") if line]
            blocks += [table] if table.rows else lines
        if mixed and mixed["random"]:
            blocks.append(_mixed_variances(analysis, name, response, mixed))
    return blocks


def _mixed_table(
    analysis: Analysis, name: str, response: ResponseAnalysis, mixed: MixedCompanion
) -> Table:
    labels, unit, scale = factor_labels(analysis), subject_of(analysis).unit, scale_of(response)
    notes = [f"{say(note, unit).rstrip('.')}." for note in mixed["notes"]]
    rows, below = parted(
        mixed["effects"],
        lambda row: not absent(row["estimate"]),
        lambda row: Unknown(
            labels.get(row["factor"], row["factor"]), row["level"], told(row["reason"], unit)
        ),
        len(mixed["effects"]),
    )
    return Table(
        id=f"mixed-{slug(name)}",
        caption=captions.mixed(response["label"]),
        columns=[
            Column("factor"), Column("level"),
            Column(captions.with_unit("effect", scale.unit), numeric=True),
            Column("interval", numeric=True), Column("se", numeric=True),
            Column("df", numeric=True), Column("p", numeric=True),
            Column("contexts", numeric=True),
        ],
        rows=[
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], note=captions.against(row["baseline"]), strong=True),
                Quantity(scale.effect(row["estimate"]), row["estimate"]),
                IntervalEntry(scale.interval(row["low"], row["high"]), row["low"], row["high"]),
                Quantity(scale.plain(row["se"]), row["se"]),
                Quantity(general(row["df"], 3), row["df"]),
                Quantity(p_value(row["p"]), row["p"]),
                Quantity(f"{row['contexts']:,}", row["contexts"]),
            ]
            for row in rows
        ],
        keys=[[("factor", row["factor"]), ("level", row["level"])] for row in rows],
        footer="\n".join(below),
        computed=list(map(sentence, notes)),
    )  # fmt: skip


def _mixed_variances(
    analysis: Analysis, name: str, response: ResponseAnalysis, mixed: MixedCompanion
) -> Table:
    labels = factor_labels(analysis)
    return Table(
        id=f"mixed-variances-{slug(name)}",
        caption=captions.mixed_variances(response["label"]),
        columns=[
            Column("factor"), Column("level"), Column("random"), Column("sd", numeric=True),
            Column("variance", numeric=True),
        ],
        rows=[
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], strong=True),
                Text(captions.random_part(
                    term_label(term_words(row["group"], subject_of(analysis).unit), labels),
                    row["name"],
                )),
                Quantity(general(row["sd"]), row["sd"]),
                Quantity(general(row["variance"]), row["variance"]),
            ]
            for row in mixed["random"]
        ],
    )  # fmt: skip


def item_blocks(analysis: Analysis) -> list[Block]:
    """Variance shares of item outcomes and effects on items like these, per response."""
    blocks: list[Block] = []
    for name, response in analysis["responses"].items():
        items = response.get("items")
        if items:
            blocks += _blocks_of_items(analysis, name, response, items)
    return blocks


def _blocks_of_items(
    analysis: Analysis, name: str, response: ResponseAnalysis, items: ItemLevel
) -> list[Block]:
    blocks: list[Block] = [Heading(captions.items(response["label"]))]
    if "model" in items:
        blocks.append(_item_shares(name, response, items))
    elif items["reason"]:
        blocks.append(Paragraph(captions.not_decomposed(say(items["reason"]))))
    effects = _item_effects(analysis, name, response, items)
    if effects.rows:
        blocks.append(Fold(captions.item_effects_fold(response["label"]), [effects]))
    else:
        blocks += [Paragraph(line) for line in effects.footer.split("\n") if line]
    statements = [*items["messages"], *(items["model"]["messages"] if "model" in items else [])]
    label = sentence(response["label"])
    texts = list(dict.fromkeys(f"{label}: {say(part)}." for part in statements))
    return [*blocks, Warnings(texts)] if texts else blocks


def _item_shares(name: str, response: ResponseAnalysis, items: ItemLevel) -> Table:
    sizes = items["outcomes"], items["items"], items["runs"]
    return Table(
        id=f"items-{slug(name)}",
        caption=captions.item_shares(response["label"], *sizes),
        columns=[
            Column("source"), Column("variance", numeric=True), Column("share", numeric=True),
        ],
        rows=[
            [
                Text(SOURCES[row["source"]]),
                Quantity(general(row["variance"]), row["variance"]),
                Quantity(percent(row["share"]), row["share"]),
            ]
            for row in items["shares"]
        ],
        keys=[[("source", row["source"])] for row in items["shares"]],
        computed=[say(items["footer"])],
    )  # fmt: skip


def _item_effects(
    analysis: Analysis, name: str, response: ResponseAnalysis, items: ItemLevel
) -> Table:
    scale, effects = scale_of(response), {(r["factor"], r["level"]): r for r in items["effects"]}
    levels = [
        (level, row)
        for level in comparisons(analysis)
        if (row := effects.get((level.factor, level.level))) is not None
    ]
    rows, below = parted(
        levels,
        lambda part: part[1]["se"] is not None,
        lambda part: Unknown(part[0].label, part[0].level, told(part[1]["reason"])),
        len(levels),
    )
    return Table(
        id=f"item-effects-{slug(name)}",
        caption=captions.item_effects(response["label"]),
        columns=[
            Column("factor"), Column("level"),
            Column(captions.with_unit("effect", scale.unit), numeric=True),
            Column("df", numeric=True), Column("p", numeric=True),
            Column(captions.with_unit("sd over items", scale.unit), numeric=True),
        ],
        rows=[_item_row(level, row, scale) for level, row in rows],
        keys=[[("factor", level.factor), ("level", level.level)] for level, _ in rows],
        footer="\n".join(below),
        computed=[say(items["footer"])],
    )  # fmt: skip


def _item_row(level: Comparison, row: ItemEffectRow, scale: Scale) -> list[Entry]:
    interval = scale.interval(row["low"], row["high"])
    return [
        Text(level.label),
        Text(level.level, strong=True),
        EstimateEntry(
            scale.effect(row["estimate"]), interval, row["estimate"], row["low"], row["high"]
        ),
        Quantity(general(row["df"]), row["df"]),
        Quantity(p_value(row["p"]), row["p"]),
        Quantity(scale.plain(row["item_sd"]), row["item_sd"]),
    ]
