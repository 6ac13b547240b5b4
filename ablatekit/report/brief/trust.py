"""How far to trust an answer: a rule, so that the weakest study gets the loudest box.

Each reason has a code, and `GRAVITY` says how grave it is; codes stand in the order in which they
are said. A single grave reason makes the evidence weak, a serious one limited; without either it is
sound. Reasons are the warnings of the analysis and what is found here: how often runs were
repeated, how well the error is known, how far the contexts reach, which levels lack a match, what
was not declared. The first `MOST` reasons are said, minor ones are only counted: the appendix has
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

from ablatekit.analysis.core.lookup import (
    blocking_levels,
    comparisons,
    find_effect,
    is_planned,
    price_of,
    ranked_responses,
    setting,
)
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.report.brief.headline import judging_row
from ablatekit.report.document import Trust, TrustLevel
from ablatekit.report.language.brief import trust as said
from ablatekit.report.language.brief.headline import level_name
from ablatekit.report.language.notes import (
    COMPANION,
    DESIGN,
    DEVIATION,
    DIVERGENCE,
    CodedWarning,
    coded_warnings,
    disagreements,
)
from ablatekit.report.language.reading import subject_of

Gravity: TypeAlias = Literal["grave", "serious", "minor"]

GRAVITY: Mapping[str, Gravity] = {
    "disagreement": "grave",
    "untested": "grave",
    "one_per_cell": "grave",
    "identical_replicates": "grave",
    "repeats_agree": "grave",
    "repeated_histories": "grave",
    "very_few_df": "grave",
    "not_planned": "serious",
    DEVIATION: "serious",
    DIVERGENCE: "serious",
    "starts_at_worst": "serious",
    "starts_at_best": "serious",
    "run_message": "serious",
    "one_level": "serious",
    "no_contexts": "serious",
    "few_levels": "serious",
    "few_df": "serious",
    "additive": "serious",
    "unmatched": "serious",
    "not_estimated": "serious",
    "hidden_factor": "serious",
    "repeated_rows": "serious",
    "always_together": "serious",
    "changed_together": "serious",
    "results_repeated": "serious",
    "run_id_repeated": "serious",
    "one_seed_repeated": "serious",
    "seed_twice": "serious",
    "status_not_read": "serious",
    "few_error_cells": "serious",
    "uneven_contexts": "serious",
    "near_bounds": "serious",
    "gap_near_bounds": "serious",
    "shorter_broad": "serious",
    "unequal_starts": "serious",
    "lost": "serious",
    "guessed": "serious",
    "gradient_not_zero": "serious",
    "no_smallest": "minor",
    "no_price": "minor",
    DESIGN: "minor",
    COMPANION: "minor",
}
"""Codes of reasons, the gravest first; a warning with another code is minor."""
SAME_SUBJECT: Mapping[str, str] = {
    "gap_near_bounds": "near_bounds",
    "direction_guessed": "guessed",
    "diverged_with_score": "lost",
    "diverged_with_worst": "lost",
    "diverged_without_score": "lost",
    "diverged_left_out": "lost",
    "without_result": "lost",
    "without_metric": "lost",
    "failed_left_out": "lost",
    "rows_unplaced": "lost",
    "runs_not_ended": "lost",
}
"""Codes of warnings about a subject that another code names: the first reason speaks for it."""
MOST = 5
VERY_FEW_DF, FEW_DF = 5, 10
ENOUGH_LEVELS = 5
"""Levels of a blocking variable that are more than a small sample of it."""
LOST_SHARE = 0.05
"""Of the runs, from which on those without a value or a regular end are a reason."""


def trust_box(analysis: Analysis) -> Trust:
    """The level of trust, and its reasons, the gravest first."""
    reasons = ranked_reasons(analysis)
    known = [reason for reason in reasons if gravity(reason.code) != "minor"]
    shown = _one_per_subject(known)[:MOST]
    level = level_of(reasons)
    points = [said.plainly(reason.code, reason.text, reason.arguments) for reason in shown]
    opinion = analysis.get("second_opinion")
    if opinion and not opinion["disagreements"] and opinion["recomputed"]:
        points.append(said.agreed(opinion))
    left = len(reasons) - len(shown)
    return Trust(level, said.TITLES[level], [*points, *([said.more_remarks(left)] if left else [])])


def level_of(reasons: list[CodedWarning]) -> TrustLevel:
    """Weak with a grave reason, limited with a serious one, else sound."""
    gravities = {gravity(reason.code) for reason in reasons}
    if "grave" in gravities:
        return "weak"
    return "limited" if "serious" in gravities else "sound"


def gravity(code: str) -> Gravity:
    """How grave a reason is."""
    return GRAVITY.get(SAME_SUBJECT.get(code, code), "minor")


def ranked_reasons(analysis: Analysis) -> list[CodedWarning]:
    """Every reason to be careful, the gravest first; of equal ones as they are found."""
    order = {code: place for place, code in enumerate(GRAVITY)}
    reasons = [*_found(analysis), *coded_warnings(analysis)]
    unique = list({reason.text: reason for reason in reasons}.values())
    return sorted(unique, key=lambda reason: order.get(_subject(reason), len(order)))


def _subject(reason: CodedWarning) -> str:
    return SAME_SUBJECT.get(reason.code, reason.code)


def _one_per_subject(reasons: list[CodedWarning]) -> list[CodedWarning]:
    """The first reason of every subject; deviations are all different."""
    kept: dict[str, CodedWarning] = {}
    for reason in reasons:
        kept.setdefault(reason.text if reason.code == DEVIATION else _subject(reason), reason)
    return list(kept.values())


def _found(analysis: Analysis) -> Iterator[CodedWarning]:
    """What the rule finds itself."""
    first = analysis["responses"][ranked_responses(analysis)[0]]
    yield from _disagreements(analysis)
    yield from _repetition(analysis, first)
    yield from _reach(analysis)
    yield from _levels(analysis, first)
    yield from _declared(analysis)
    yield from _lost(analysis)


def _disagreements(analysis: Analysis) -> Iterator[CodedWarning]:
    opinion = analysis.get("second_opinion")
    if opinion:
        yield from (CodedWarning("disagreement", text) for text in disagreements(opinion))


def _repetition(analysis: Analysis, first: ResponseAnalysis) -> Iterator[CodedWarning]:
    """How well chance is known: repeated runs, degrees of freedom, what the model assumes."""
    design, unit = analysis.get("design"), subject_of(analysis).unit
    if design is not None and design["replicates"] <= 1 and not _many_contexts(analysis, first):
        yield CodedWarning("one_per_cell", said.one_per_cell(unit))
    rows = [find_effect(first["effects"], level, "narrow") for level in comparisons(analysis)]
    known = [row["df"] for row in rows if row is not None and row["df"] is not None]
    if known and min(known) < FEW_DF:
        code = "very_few_df" if min(known) < VERY_FEW_DF else "few_df"
        yield CodedWarning(code, said.few_df(min(known)))
    model = first["model"]["method"]
    if model["code"] == "truncated_least_squares":
        yield CodedWarning("additive", said.additive(model["arguments"]["order"]))


def _many_contexts(analysis: Analysis, first: ResponseAnalysis) -> bool:
    """Whether every level is judged over contexts so many that they repeat each cell enough."""
    rows = [judging_row(first, level) for level in comparisons(analysis)]
    return bool(rows) and all(row and row["scope"] and (row["df"] or 0) >= FEW_DF for row in rows)


def _reach(analysis: Analysis) -> Iterator[CodedWarning]:
    """For which models and data sets it holds, and how many they are; formulas name their own."""
    if "design" not in analysis:
        return
    levels = blocking_levels(analysis)
    if not levels:
        yield CodedWarning("no_contexts", said.NO_CONTEXTS)
        return
    numbers = {name: len(names) for name, names in levels.items()}
    several = [number for number in numbers.values() if number > 1]
    if several and min(several) < ENOUGH_LEVELS:
        text = said.few_levels(numbers, tested=max(several) > 2)
        yield CodedWarning("few_levels", text)
    else:
        named = [(name, names[0]) for name, names in levels.items() if len(names) == 1]
        if named:
            yield CodedWarning("one_level", said.one_level(named))


def _levels(analysis: Analysis, first: ResponseAnalysis) -> Iterator[CodedWarning]:
    """Levels that nothing compares, or no matched pair does."""
    judged = [
        (level_name(level.label, level.level), judging_row(first, level))
        for level in comparisons(analysis)
    ]
    if judged and all(row is None or row["verdict"] == "not_estimated" for _, row in judged):
        yield CodedWarning("untested", said.untested())
        return
    absent = [name for name, row in judged if row is None or row["verdict"] == "not_estimated"]
    if absent:
        yield CodedWarning("not_estimated", said.not_estimated(absent))
    modelled = [
        name
        for name, row in judged
        if row is not None and any(note["code"] == "model_based" for note in row["notes"])
    ]
    if modelled:
        yield CodedWarning("unmatched", said.unmatched(modelled))


def _declared(analysis: Analysis) -> Iterator[CodedWarning]:
    """What nobody declared before the values were seen."""
    if not is_planned(analysis):
        yield CodedWarning("not_planned", said.NOT_PLANNED)
    messages = (
        message["code"]
        for response in analysis["responses"].values()
        for message in response["diagnostics"].get("messages", [])
    )
    if "direction_guessed" in messages:
        yield CodedWarning("guessed", said.GUESSED)
    levels = comparisons(analysis)
    if levels and any(part["smallest_effect"] is None for part in analysis["responses"].values()):
        yield CodedWarning("no_smallest", said.NO_SMALLEST)
    if levels and all(price_of(analysis, level) is None for level in levels):
        yield CodedWarning("no_price", said.NO_PRICE)


def _lost(analysis: Analysis) -> Iterator[CodedWarning]:
    """Runs that diverged or have no value, where they are more than a few."""
    counts = analysis.get("counts")
    if not counts or not counts["planned"]:
        return
    left_out = setting(analysis, "diverged", "score") == "exclude"
    diverged = counts["diverged"]
    missing = max(0, counts["planned"] - counts["analysed"] - (diverged if left_out else 0))
    if diverged + missing >= LOST_SHARE * counts["planned"]:
        unit = subject_of(analysis).unit
        text = said.lost(unit, diverged, missing, counts["planned"], left_out=left_out)
        yield CodedWarning("lost", text)
