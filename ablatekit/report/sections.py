"""Sections about the study itself: variance, design, missing runs, provenance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from ablatekit.analysis.schema import Analysis, AnovaRow, Missing, Number, ResponseAnalysis
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Facts,
    Fold,
    Gallery,
    Heading,
    Interval,
    Paragraph,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
)
from ablatekit.report.figures.shares import Share, TermKind, draw_shares
from ablatekit.report.items import item_blocks
from ablatekit.report.names import slug
from ablatekit.report.numbers import (
    Scale,
    count,
    footers_of,
    general,
    p_value,
    percent,
    sentence,
)
from ablatekit.report.plaintable import plain_table
from ablatekit.report.planning import detectable_blocks, sensitivity_blocks
from ablatekit.report.reading import (
    factor_labels,
    flatten,
    is_planned,
    label_of,
    setting,
    term_label,
    words,
)

ORDERED = (
    " Runs were executed in a randomised order, frozen with the plan (plan.json); Diagnostics shows"
    " residuals along it."
)
NEGLIGIBLE = 0.001
"""Interactions with smaller variance shares are drawn as one bar."""
EXECUTION_COSTS = ("seconds_per_level", "cost")
"""Keys of `provenance` that hold costs per level which differ between executions."""


def variance_section(analysis: Analysis) -> Section | None:
    """Shares of the total sum of squares as bars, and the ANOVA table behind them."""
    pictures: list[Picture] = []
    tables: list[Block] = []
    labels = factor_labels(analysis)
    for name, response in analysis["responses"].items():
        rows = response.get("anova", [])
        if rows:
            title = f"Analysis of variance of {response['label']}"
            tables.append(Fold(title, [_anova_table(name, response, rows, labels)]))
        shares = _shares(analysis, rows)
        if shares:
            pictures.append(_shares_picture(name, response, shares))
    if not tables:
        return None
    blocks: list[Block] = []
    if pictures:
        caption = (
            "Share of the total sum of squares. Blue: factors; orange: interactions (terms with a"
            " \N{MULTIPLICATION SIGN}); grey: contexts, what varies with them, and seeds."
        )
        blocks.append(Gallery(pictures=pictures, caption=caption))
    lead = (
        "How much of the differences between runs each choice explains, next to contexts and"
        " seeds. A share says how much varies, not what is better."
    )
    found = [*blocks, *tables, *item_blocks(analysis)]
    return Section("variance", "Where the variance goes", lead, found)


def _shares(analysis: Analysis, rows: Sequence[AnovaRow]) -> list[Share]:
    labels = factor_labels(analysis)
    known = [row for row in rows if row["share"] is not None]
    shares = [
        Share(
            term_label(row["term"], labels),
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
    together = f"{len(small)} interactions, together"
    return [*shown, Share(together, sum(share.share for share in small), "other")]


def _term_kind(term: str, factors: Collection[str]) -> TermKind:
    parts = term.split(":")
    if not set(parts) <= set(factors):
        return "other"
    return "factor" if len(parts) == 1 else "interaction"


def _shares_picture(name: str, response: ResponseAnalysis, shares: Sequence[Share]) -> Picture:
    identifier = f"shares-{slug(name)}"
    title = sentence(response["label"])
    alt = f"Variance shares of {response['label']}. " + "; ".join(
        f"{share.term}: {percent(share.share)}" for share in shares
    )
    return Picture(
        id=identifier,
        title=title,
        alt=alt,
        draw=partial(draw_shares, shares),
    )


def _anova_table(
    name: str, response: ResponseAnalysis, rows: Sequence[AnovaRow], labels: Mapping[str, str]
) -> Table:
    footers = footers_of(response)
    return Table(
        id=f"anova-{slug(name)}",
        caption=f"Analysis of variance of {response['label']}",
        columns=[
            Column("term"), Column("df", numeric=True), Column("error df", numeric=True),
            Column("F", numeric=True), Column("p", numeric=True),
            Column("partial \N{GREEK SMALL LETTER ETA}\N{SUPERSCRIPT TWO}", numeric=True),
            Column("partial \N{GREEK SMALL LETTER OMEGA}\N{SUPERSCRIPT TWO}", numeric=True),
            Column("interval", numeric=True), Column("share", numeric=True),
        ],
        rows=[_anova_entries(row, labels) for row in rows],
        keys=[[("term", row["term"])] for row in rows],
        footer="\n".join(
            dict.fromkeys(filter(None, (response.get("anova_note", ""), footers.get("anova", ""))))
        ),
    )  # fmt: skip


def _anova_entries(row: AnovaRow, labels: Mapping[str, str]) -> list[Entry]:
    return [
        Text(term_label(row["term"], labels), note=row["reason"] or ""),
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


def design_section(analysis: Analysis) -> Section:
    """What was run: factors, cells, what was merged or excluded, costs, what was held equal."""
    design = analysis["design"]
    blocks: list[Block] = [_factor_table(analysis)]
    cost = _cost_table(analysis)
    if cost is not None:
        blocks += [Heading("Cost per level"), cost]
    blocks += detectable_blocks(analysis)
    if design.get("warnings"):
        blocks.append(Warnings(design["warnings"]))
    if design.get("held_equal"):
        pairs = list(flatten(design["held_equal"]))
        blocks.append(Fold(f"Held equal in every run ({len(pairs)})", [Facts(pairs)]))
    blocks += _cell_blocks(analysis)
    return Section("design", "The design", _design_lead(analysis), blocks)


def _design_lead(analysis: Analysis) -> str:
    design = analysis["design"]
    return (
        f"{design['kind'].capitalize()} design: {count(len(design['factors']), 'factor')},"
        f" {count(len(design['cells']), 'cell')}, {count(len(design['contexts']), 'context')},"
        f" {count(design['replicates'], 'replicate')} of every cell in every context."
        + (ORDERED if is_planned(analysis) else "")
    )


def _factor_table(analysis: Analysis) -> Table:
    rows: list[list[Entry]] = []
    for factor in analysis["design"]["factors"]:
        others = [str(level) for level in factor["levels"] if level != factor["baseline"]]
        rows.append(
            [
                Text(label_of(factor), strong=True),
                Text(str(factor["baseline"])),
                Text(", ".join(others)),
            ]
        )
    for variable, values in context_values(analysis).items():
        rows.append([Text(variable), Text(""), Text(", ".join(values), note="context")])
    return Table(
        id="factors",
        caption="Factors, levels and contexts",
        columns=[Column("factor"), Column("baseline"), Column("other levels")],
        rows=rows,
        sortable=False,
    )


def context_values(analysis: Analysis) -> dict[str, list[str]]:
    """Values of each blocking variable, in order."""
    values: dict[str, dict[str, None]] = {}
    for context in analysis["design"].get("contexts", []):
        for variable, value in context.items():
            values.setdefault(variable, {})[str(value)] = None
    return {variable: list(found) for variable, found in values.items()}


def level_costs(analysis: Analysis) -> list[Mapping[str, Any]]:
    """Repeatable costs of the design, and seconds, which only provenance may hold."""
    provenance = analysis["provenance"]
    seconds = [row for name in EXECUTION_COSTS for row in provenance.get(name) or []]
    return [*analysis["design"].get("cost", []), *seconds]


def _cost_table(analysis: Analysis) -> Table | None:
    costs = level_costs(analysis)
    if not costs:
        return None
    labels = factor_labels(analysis)
    metrics = list(dict.fromkeys(str(cost["metric"]) for cost in costs))
    values = {(str(c["factor"]), str(c["level"]), str(c["metric"])): c["mean"] for c in costs}
    places = list(dict.fromkeys((factor, level) for factor, level, _ in values))
    return Table(
        id="cost",
        caption="Mean cost of a run at each level",
        columns=[Column("factor"), Column("level")]
        + [Column(metric, numeric=True) for metric in metrics],
        rows=[
            [Text(labels.get(factor, factor)), Text(level, strong=True)]
            + [_cost_entry(values.get((factor, level, metric))) for metric in metrics]
            for factor, level in places
        ],
        keys=[[("factor", factor), ("level", level)] for factor, level in places],
        footer="Means per run over matched cells, as for the average effects. Seconds, where"
        " shown, are of this execution and differ between machines.",
    )


def _cost_entry(value: float | None) -> Entry:
    return Quantity(general(value), value)


def _cell_blocks(analysis: Analysis) -> list[Block]:
    design, labels = analysis["design"], factor_labels(analysis)

    def labelled(levels: Mapping[str, Any]) -> dict[str, Any]:
        return {labels.get(name, name): level for name, level in levels.items()}

    folds: list[Block] = []
    cells = [{**labelled(cell["levels"]), "unit": cell["unit"]} for cell in design["cells"]]
    merged = [
        {"cells that are one run": "; ".join(words(labelled(cell)) for cell in group)}
        for group in design["merged"]
    ]
    excluded = [labelled(cell) for cell in design["excluded"]]
    parts: list[tuple[str, str, Sequence[Mapping[str, Any]]]] = [
        ("cells", "Cells", cells),
        ("merged", "Merged cells (identical by construction)", merged),
        ("excluded", "Excluded combinations", excluded),
    ]
    for identifier, title, rows in parts:
        if rows:
            table = plain_table(f"design-{identifier}", title, rows)
            folds.append(Fold(f"{title} ({len(rows)})", [table]))
    return folds


def missing_section(analysis: Analysis) -> Section:
    """Every run accounted for, and how diverged ones enter."""
    counts = analysis["counts"]
    blocks: list[Block] = [Facts([(name, f"{number:,}") for name, number in counts.items()])]
    shown: list[Missing] = []
    for name, response in analysis["responses"].items():
        missing = response.get("missing")
        if not missing or missing in shown:
            continue
        parts = [*_missing_blocks(analysis, name, missing, shown)]
        parts += sensitivity_blocks(analysis, name, response)
        shown.append(missing)
        if parts and len(shown) > 1:
            parts.insert(0, Heading(sentence(response["label"])))
        blocks += parts
    complete = counts["planned"] == counts["finished"] == counts["analysed"]
    lead = "Every planned run finished and was analysed." if complete else _policy_lead(analysis)
    return Section("missing", "Missing, failed and diverged runs", lead, blocks)


def _missing_blocks(
    analysis: Analysis, name: str, missing: Missing, shown: Sequence[Missing]
) -> list[Block]:
    """What no response in `shown` has said already."""
    labels = factor_labels(analysis)
    told = {text for other in shown for text in other["messages"]}
    messages = [text for text in missing["messages"] if text not in told]
    blocks: list[Block] = [Warnings(messages)] if messages else []
    titles = (("runs", "Runs that did not finish"), ("by_level", "How runs ended at each level"))
    for key, title in titles:
        rows = missing[key]  # type: ignore[literal-required]
        if rows and not any(rows == other[key] for other in shown):  # type: ignore[literal-required]
            named = [
                {**row, "factor": labels.get(row["factor"], row["factor"])}
                if "factor" in row
                else {labels.get(column, column): value for column, value in row.items()}
                for row in rows
            ]
            blocks.append(plain_table(f"missing-{slug(name)}-{key}", title, named))
    return blocks


def _policy_lead(analysis: Analysis) -> str:
    policies = dict.fromkeys(
        response["missing"]["policy"]
        for response in analysis["responses"].values()
        if response.get("missing")
    )
    named = ", ".join(policies) or str(setting(analysis, "diverged", "score"))
    return f"No run disappears. Policy: {named}."


def _known(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Entries that say something."""
    return [(name, value) for name, value in flatten(record) if value]


def provenance_section(analysis: Analysis) -> Section:
    """Versions, hashes, and deviations from the frozen plan."""
    record = dict(analysis["provenance"])
    for name in EXECUTION_COSTS:
        record.pop(name, None)
    blocks: list[Block] = []
    if analysis["deviations"]:
        blocks.append(Warnings(analysis["deviations"]))
    elif is_planned(analysis):
        blocks.append(Paragraph("No deviation from the plan that was frozen before the first run."))
    blocks.append(Facts([("schema version", str(analysis["schema_version"])), *_known(record)]))
    lead = "Report, analysis.json, fit, runs, run directory, spec: each number leads back."
    return Section("provenance", "Provenance", lead, blocks)
