"""The second opinion: every number of an analysis that statsmodels can recompute from the runs.

Rows are taken at their word: factor, level, baseline, estimand, inference and scope say what they
contrast, and the definitions of DESIGN 5 say how, written here a second time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests

from ablatekit.analysis.companions.second_opinion.contrasts import (
    Cells,
    Weights,
    combinations,
    design_cells,
    in_context,
    over_all,
)
from ablatekit.analysis.companions.second_opinion.least_squares import (
    LeastSquares,
    Tested,
    cell_means,
    truncated,
)
from ablatekit.analysis.companions.second_opinion.scopes import ScopeTest, by_scope, one_way
from ablatekit.analysis.companions.second_opinion.tally import ROUNDING, TOLERANCE, Tally
from ablatekit.analysis.companions.second_opinion.variance_table import (
    has_empty_cell,
    type_three,
)
from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import SecondOpinion
from ablatekit.analysis.core.schema.vocabulary import statement

RESPONSE, NO_CONTEXT = "response:", "all runs"
"""What columns of responses begin with, and the label of runs without a context."""
ANOVA_NUMBERS = ("num_df", "den_df", "sum_squares", "statistic", "p")
TOO_LARGE, NOT_DETERMINED = statement("too_large_to_recompute"), statement("not_in_the_runs")
NUMBERS = ("estimate", "se", "df", "p", "low", "high", "low_equivalence", "high_equivalence")
LARGEST_GRID = 2**14


@dataclass(frozen=True)
class InContext:
    """A contrast in one context over the model's coefficients (p,), and its matched pairs."""

    vector: Floats
    pairs: int


@dataclass(frozen=True)
class Question:
    """One response (or the gap) of one design: the runs that it has, and what is asked of them.

    `order` is that of the truncated model, None for cell means. `variables` maps a blocking
    variable to the level of every context.
    """

    name: str
    frame: pd.DataFrame
    cells: Cells
    variables: Mapping[str, Mapping[str, str]]
    order: int | None
    alpha: float
    margin: float | None
    holm: bool

    @property
    def scale(self) -> float:
        """Estimates below this differ by rounding."""
        return float(self.frame["y"].abs().max()) * ROUNDING / TOLERANCE

    @cached_property
    def there(self) -> dict[str, set[str]]:
        """The units that every context has runs of."""
        return {c: set(part["unit"]) for c, part in self.frame.groupby("context", sort=True)}

    @cached_property
    def means(self) -> LeastSquares | None:
        """The saturated model."""
        return cell_means(self.frame)

    @cached_property
    def grid(self) -> Cells:
        """All combinations, where the truncated model may be asked for them."""
        size = np.prod([len(levels) for levels in self.cells.levels.values()])
        return self.cells.grid() if size <= LARGEST_GRID else self.cells

    @cached_property
    def model(self) -> LeastSquares | None:
        """The model that estimates effects."""
        if self.order is None:
            return self.means
        return truncated(self.frame, self.grid, self.order)

    def model_of(self, row: Mapping[str, Any]) -> LeastSquares | None:
        """The model behind a row: configurations are always raw cell means."""
        return self.means if row["estimand"] == "configuration" else self.model

    def contexts(self, row: Mapping[str, Any], model: LeastSquares) -> dict[str, InContext]:
        """The contrast of a row in every context that has it."""
        parts = combinations(self.cells, row)
        if not parts and not model.saturated:
            parts = combinations(self.grid, row)
        found: dict[str, InContext] = {}
        for context, units in self.there.items():
            complete = in_context(parts, units)
            for weights in _asked_of(parts, complete, model):
                vector = model.row(weights, context)
                if vector is not None:
                    found[context] = InContext(vector, complete[1] if complete else 0)
                    break
        return found


def _asked_of(
    parts: Sequence[Weights], complete: tuple[Weights, int] | None, model: LeastSquares
) -> Iterator[Weights]:
    """What a context may average: in a truncated model all combinations before its own."""
    if parts and not model.saturated:
        yield over_all(parts)
    if complete:
        yield complete[0]


def second_opinion(analysis: Analysis, runs: pd.DataFrame) -> SecondOpinion:
    """Recompute what stands in an analysis from its run table (`tables.run_table`)."""
    tally = Tally()
    for name, response in analysis["responses"].items():
        question = _question(analysis, runs, name, response)
        if question is None:
            continue
        _effects(tally, question, response["effects"])
        _context_rows(tally, question, response)
        _plain(tally, question, response.get("plain_contexts", []))
        _configurations(tally, question, response)
        _anova(tally, question, response)
    for name, comparison in analysis["comparisons"].items():
        question = _gap_question(analysis, runs, name)
        if question is not None:
            _effects(tally, question, comparison["effects"])
            _plain(tally, question, comparison.get("plain_contexts", []))
    return tally.result()


def _question(
    analysis: Analysis, runs: pd.DataFrame, name: str, response: ResponseAnalysis
) -> Question | None:
    """What is asked of one response; None without a value of it."""
    y = runs[f"{RESPONSE}{name}"]
    method = response["model"]["method"]
    order = method["arguments"]["order"] if method["code"] == "truncated_least_squares" else None
    rows = [row for row in response["effects"] if row["estimand"] != "interaction"]
    margin = response["smallest_effect"]
    return _asked(analysis, runs.assign(y=y), name, rows, order, margin)


def _gap_question(analysis: Analysis, runs: pd.DataFrame, name: str) -> Question | None:
    """The same of how far generalization lies behind learning, in runs that have both."""
    comparison = analysis["comparisons"][name]
    learning, other = (
        analysis["responses"][comparison[key]] for key in ("learning", "generalization")
    )
    difference = (
        runs[f"{RESPONSE}{comparison['learning']}"]
        - runs[f"{RESPONSE}{comparison['generalization']}"]
    )
    y = difference if learning["direction"] == "higher" else -difference
    rows = [row for row in comparison["effects"] if row["estimand"] != "interaction"]
    orders = [
        row["method"]["arguments"].get("order") for row in rows if row["inference"] == "narrow"
    ]
    margins = [part["smallest_effect"] for part in (learning, other)]
    known = [margin for margin in margins if margin is not None]
    margin = min(known) if len(known) == len(margins) else None
    return _asked(analysis, runs.assign(y=y), name, rows, orders[0] if orders else None, margin)


def _asked(
    analysis: Analysis,
    runs: pd.DataFrame,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    order: int | None,
    margin: float | None,
) -> Question | None:
    frame = runs[np.isfinite(runs["y"])]
    if frame.empty:
        return None
    design = analysis["design"]
    contexts = {" / ".join(c.values()) or NO_CONTEXT: c for c in design["contexts"]}
    return Question(
        name=name,
        frame=frame,
        cells=design_cells(design, {row["factor"]: row["baseline"] for row in rows}),
        variables={
            variable: {label: context[variable] for label, context in contexts.items()}
            for variable in next(iter(contexts.values()), {})
        },
        order=order,
        alpha=analysis["study"]["alpha"],
        margin=margin,
        holm=analysis["study"]["adjust"] == "holm",
    )


def _effects(tally: Tally, question: Question, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of effects, and what Holm makes of their families."""
    estimated = [row for row in rows if row["estimate"] is not None]
    for row in estimated:
        model = question.model_of(row)
        found = {} if model is None else question.contexts(row, model)
        if model is None or not found:
            reason = TOO_LARGE if model is None else NOT_DETERMINED
            tally.leave_out(row["inference"], _count(row), reason)
            continue
        name, pairs = _name(question.name, row), sum(part.pairs for part in found.values())
        tally.compare(row["inference"], f"{name}: contexts", row["contexts"], len(found))
        tally.compare(row["inference"], f"{name}: pairs", row["pairs"], pairs)
        compare = _narrow_row if row["inference"] == "narrow" else _broad_row
        compare(tally, question, row, model, found)
    _families(tally, question, estimated)


def _narrow_row(
    tally: Tally,
    question: Question,
    row: Mapping[str, Any],
    model: LeastSquares,
    found: Mapping[str, InContext],
) -> None:
    vector = np.mean([part.vector for part in found.values()], axis=0)
    if row["se"] is None:
        estimate = float(vector @ model.fit.params)
        tally.compare(
            "narrow",
            f"{_name(question.name, row)}: estimate",
            row["estimate"],
            estimate,
            question.scale,
        )
        return
    by_welch = row["method"]["code"] == "welch_t"
    tested = (
        model.welch(vector, question.alpha) if by_welch else model.test([vector], question.alpha)[0]
    )
    _compare(tally, "narrow", question, row, tested)


def _broad_row(
    tally: Tally,
    question: Question,
    row: Mapping[str, Any],
    model: LeastSquares,
    found: Mapping[str, InContext],
) -> None:
    values = {c: float(part.vector @ model.fit.params) for c, part in found.items()}
    name = _name(question.name, row)
    if row["se"] is None:
        tally.compare(
            "broad",
            f"{name}: estimate",
            row["estimate"],
            float(np.mean(list(values.values()))),
            question.scale,
        )
        return
    test = by_scope(values, question.variables, row["scope"], question.alpha)
    if test is None:
        tally.leave_out("broad", _count(row), NOT_DETERMINED)
        return
    _compare(tally, "broad", question, row, test.row)
    for part in row["parts"]:
        _part(tally, question, name, part, test)


def _part(
    tally: Tally, question: Question, name: str, part: Mapping[str, Any], test: ScopeTest
) -> None:
    theirs = test.parts.get(tuple(part["by"]))
    for key in ("estimate", "se", "df"):
        number = float("nan") if theirs is None else getattr(theirs, key)
        label = f"{name}, {' and '.join(part['by'])} alone: {key}"
        tally.compare("broad", label, part[key], number, question.scale if key != "df" else 0.0)


def _compare(
    tally: Tally, kind: str, question: Question, row: Mapping[str, Any], tested: Tested
) -> None:
    """Every number of a row that a t test has."""
    for key in NUMBERS:
        if key in row:
            scale = 0.0 if key in ("df", "p") else question.scale
            label = f"{_name(question.name, row)}: {key}"
            tally.compare(kind, label, row[key], getattr(tested, key), scale)


def _families(tally: Tally, question: Question, rows: Sequence[Mapping[str, Any]]) -> None:
    """Holm's adjustment of every family, for zero and for the margin."""
    families: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["p"] is not None:
            families.setdefault(json.dumps(row["family"], sort_keys=True), []).append(row)
    for family in families.values():
        _family(tally, question, family)


def _family(tally: Tally, question: Question, rows: Sequence[Mapping[str, Any]]) -> None:
    narrow = (rows[0]["estimand"], rows[0]["inference"]) == ("configuration", "narrow")
    if narrow and rows[0]["method"]["code"] != "welch_t":
        count = sum(_count(row, ("p_adjusted", "p_margin_adjusted")) for row in rows)
        tally.leave_out("dunnett", count, statement("no_counterpart"))
        return
    adjusted = {"p_adjusted": [row["p"] for row in rows]}
    if question.margin is not None:
        adjusted["p_margin_adjusted"] = [_beyond(row, question.margin) for row in rows]
    for key, raw in adjusted.items():
        theirs = multipletests(raw, method="holm")[1] if question.holm else raw
        for row, p in zip(rows, theirs, strict=True):
            tally.compare("holm", f"{_name(question.name, row)}: {key}", row[key], float(p))


def _beyond(row: Mapping[str, Any], margin: float) -> float:
    """The p that an effect lies within the margin, both tails at it; the largest of the parts."""
    tails = []
    for part in row["parts"] or [row]:
        away = (abs(part["estimate"]) + np.array([-margin, margin])) / part["se"]
        tails.append(float(student.sf(away, part["df"]).sum()))
    return min(max(tails), 1.0)


def _context_rows(tally: Tally, question: Question, response: ResponseAnalysis) -> None:
    """The average effect inside every context."""
    known = [row for row in response["contexts"] if row["estimate"] is not None]
    model = question.model
    if model is None:
        tally.leave_out("contexts", sum(_count(row) for row in known), TOO_LARGE)
        return
    found: dict[tuple[str, str], dict[str, InContext]] = {}
    for row in known:
        key = (row["factor"], row["level"])
        if key not in found:
            baseline = question.cells.baselines[row["factor"]]
            average = {**row, "estimand": "average", "baseline": baseline}
            found[key] = question.contexts(average, model)
        name = f"{question.name}: {row['factor']}={row['level']} in {row['context']}"
        if row["context"] not in found[key]:
            tally.leave_out("contexts", _count(row), NOT_DETERMINED)
            continue
        part = found[key][row["context"]]
        tally.compare("contexts", f"{name}: pairs", row["pairs"], part.pairs)
        tested = model.test([part.vector], question.alpha)[0]
        for number in ("estimate", "se", "low", "high"):
            theirs = getattr(tested, number)
            tally.compare("contexts", f"{name}: {number}", row[number], theirs, question.scale)


def _plain(tally: Tally, question: Question, rows: Sequence[Mapping[str, Any]]) -> None:
    """The t over contexts."""
    for row in rows:
        if row["se"] is None:
            continue
        model = question.model_of(row)
        found = {} if model is None else question.contexts(row, model)
        if model is None or not found:
            reason = TOO_LARGE if model is None else NOT_DETERMINED
            tally.leave_out("contexts_t", _count(row), reason)
            continue
        values = [float(part.vector @ model.fit.params) for part in found.values()]
        _compare(tally, "contexts_t", question, row, one_way(values, question.alpha))


def _configurations(tally: Tally, question: Question, response: ResponseAnalysis) -> None:
    """Cells against the baseline cell, from raw cell means."""
    section = response.get("configurations")
    if section is None:
        return
    against = {"against": section["baseline"]}
    _effects(tally, question, [{**row, **against} for row in section["rows"]])


def _anova(tally: Tally, question: Question, response: ResponseAnalysis) -> None:
    """Terms of the ANOVA table; nothing is comparable where cells are empty."""
    rows = [row for row in response["anova"] if row["statistic"] is not None]
    note = response["anova_note"]["arguments"]
    count = sum(_count(row, ANOVA_NUMBERS) for row in rows)
    if not rows:
        return
    frame = question.frame
    first = question.cells.frame.drop_duplicates("unit").set_index("unit")
    levels = first.loc[frame["unit"]].reset_index(drop=True)
    levels = levels.assign(context=frame["context"].to_numpy(), y=frame["y"].to_numpy())
    if has_empty_cell(levels, [*question.cells.factors, "context"]):
        tally.leave_out("anova", count, statement("empty_cells"))
        return
    pure = question.means if note["pure"] else None
    theirs = type_three(levels, question.cells.factors, note["order"], pure)
    if theirs is None:
        tally.leave_out("anova", count, TOO_LARGE)
        return
    for row in rows:
        test = theirs.get(row["term"])
        for key in ANOVA_NUMBERS:
            number = float("nan") if test is None else getattr(test, key)
            tally.compare("anova", f"{question.name}: {row['term']}: {key}", row[key], number)


def _count(row: Mapping[str, Any], keys: Sequence[str] = NUMBERS) -> int:
    """How many numbers a row has."""
    return sum(row.get(key) is not None for key in keys)


def _name(response: str, row: Mapping[str, Any]) -> str:
    """Where a number stands."""
    scope = f" over {' and '.join(row['scope'])}" if row.get("scope") else ""
    inference = f", {row['inference']}{scope}" if "inference" in row else ""
    return f"{response}: {row['factor']}={row['level']}, {row['estimand']}{inference}"
