"""The section on runs that did not finish: how they enter, and what they could change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablatekit.analysis.core.lookup import setting
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import Missing
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.below import Unknown, parted
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Facts,
    Heading,
    IntervalEntry,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
    plain_table,
    slug,
)
from ablatekit.report.language import captions, leads
from ablatekit.report.language.numbers import absent, scale_of, sentence
from ablatekit.report.language.reading import Subject, factor_labels, flatten, subject_of
from ablatekit.report.language.sentences import say, told


def missing_section(analysis: Analysis) -> Section | None:
    """Every run accounted for, and how diverged ones enter."""
    subject = subject_of(analysis)
    blocks: list[Block] = [Facts(facts)] if (facts := _counted(analysis, subject)) else []
    shown: list[Missing] = []
    for name, response in analysis["responses"].items():
        missing = response.get("missing")
        if not missing or missing in shown:
            continue
        parts = [*_missing_blocks(analysis, name, missing, shown)]
        parts += _sensitivity_blocks(analysis, name, response)
        shown.append(missing)
        if parts and len(shown) > 1:
            parts.insert(0, Heading(sentence(response["label"])))
        blocks += parts
    if not blocks:
        return None
    lead = leads.missing_lead(subject, _policies(analysis), complete=_complete(analysis))
    title = leads.missing_title(subject)
    return Section("missing", title, lead, blocks, findings.missing(analysis))


def _counted(analysis: Analysis, subject: Subject) -> list[tuple[str, str]]:
    """How many runs there are of each kind; of a table, how many rows."""
    counts = analysis.get("counts")
    if not counts:
        return []
    if subject.unit == "row":
        rows = {"rows": counts["planned"], "analysed": counts["analysed"]}
        return [(name, f"{number:,}") for name, number in rows.items()]
    if not subject.planned:
        kinds = ("diverged", "failed")
        known = {kind: counts[kind] for kind in kinds if counts[kind]}  # type: ignore[literal-required]
        counted = {"runs": counts["planned"], "analysed": counts["analysed"], **known}
        return [(name, f"{number:,}") for name, number in counted.items()]
    return [(name, f"{number:,}") for name, number in counts.items()]


def _complete(analysis: Analysis) -> bool:
    """Whether every run finished and was analysed."""
    counts = analysis.get("counts")
    return counts is not None and counts["planned"] == counts["finished"] == counts["analysed"]


def _missing_blocks(
    analysis: Analysis, name: str, missing: Missing, shown: Sequence[Missing]
) -> list[Block]:
    """What no response in `shown` has said already."""
    labels, unit = factor_labels(analysis), subject_of(analysis).unit
    known = [statement for other in shown for statement in other["messages"]]
    messages = [
        f"{sentence(say(part, unit)).rstrip('.')}."
        for part in missing["messages"]
        if part not in known
    ]
    blocks: list[Block] = [Warnings(messages)] if messages else []
    titles = (("runs", captions.unfinished(unit)), ("by_level", captions.endings(unit)))
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


def _policies(analysis: Analysis) -> str:
    policies = dict.fromkeys(
        say(response["missing"]["policy"])
        for response in analysis["responses"].values()
        if response.get("missing")
    )
    return ", ".join(policies) or str(setting(analysis, "diverged", "score"))


def known_facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Entries that say something."""
    return [(name, value) for name, value in flatten(record) if value]


def _sensitivity_blocks(analysis: Analysis, name: str, response: ResponseAnalysis) -> list[Block]:
    """Bounds over runs without a value, and the policies for diverged runs side by side."""
    scale, missing = scale_of(response), response["missing"]
    labels = factor_labels(analysis)
    blocks: list[Block] = []
    if missing.get("bounds"):
        bounded, below = parted(
            missing["bounds"],
            lambda row: not absent(row["low"]),
            lambda row: Unknown(
                labels.get(row["factor"], row["factor"]), row["level"], told(row["reason"])
            ),
            len(missing["bounds"]),
        )
        rows: list[list[Entry]] = [
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], strong=True),
                IntervalEntry(scale.interval(row["low"], row["high"]), row["low"], row["high"]),
            ]
            for row in bounded
        ]
        blocks.append(_levels_table(
            f"bounds-{slug(name)}", captions.with_unit(captions.bounds(), scale.unit),
            ["worst to best"], rows,
            "\n".join([captions.BOUNDS_FOOTER, *below]),
        ))  # fmt: skip
    if missing.get("policies"):
        rows = [
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], strong=True),
                *(
                    Quantity(scale.effect(value), value)
                    for value in (row["score"], row["worst"], row["exclude"])
                ),
            ]
            for row in missing["policies"]
        ]
        blocks.append(_levels_table(
            f"policies-{slug(name)}", captions.with_unit(captions.policies(), scale.unit),
            ["last valid score", "worst score", "excluded"], rows,
            captions.policies_footer(say(missing["policy"])),
        ))  # fmt: skip
    return blocks


def _levels_table(
    identifier: str, caption: str, titles: Sequence[str], rows: Sequence[Sequence[Entry]], note: str
) -> Table:
    numbers = [Column(title, numeric=True) for title in titles]
    return Table(
        id=identifier,
        caption=caption,
        columns=[Column("factor"), Column("level"), *numbers],
        rows=rows,
        footer=note,
    )
