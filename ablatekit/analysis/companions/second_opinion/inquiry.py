"""What is asked of the runs: one response (or the gap) of one design, and its models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ablatekit.analysis.companions.second_opinion.contrasts import (
    Cells,
    Combination,
    Weights,
    combinations,
    complete_in,
    design_cells,
    in_context,
    over_all,
)
from ablatekit.analysis.companions.second_opinion.least_squares import (
    LinearFit,
    cell_means,
    truncated,
)
from ablatekit.analysis.companions.second_opinion.recount import ROUNDING, TOLERANCE
from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis

RESPONSE, VARIABLE, COVARIATE = "response:", "variable:", "covariate:"
"""What columns of responses, blocking variables and their covariates begin with."""
LARGEST_GRID, MOST_CROSSED = 2**14, 2000


@dataclass(frozen=True)
class InContext:
    """A contrast in one context over the model's coefficients (p,), and its matched pairs."""

    vector: Floats
    pairs: int
    weights: Weights


@dataclass(frozen=True)
class Inquiry:
    """One response (or the gap) of one design: the runs that it has, and what is asked of them.

    `order` is that of the truncated model, None for cell means. `variables` maps a blocking
    variable to the level of every context. `known` are contrasts that were asked for before.
    """

    name: str
    frame: pd.DataFrame
    cells: Cells
    variables: Mapping[str, Mapping[str, str]]
    order: int | None
    alpha: float
    margin: float | None
    holm: bool
    known: dict[str, dict[str, InContext]] = field(default_factory=dict)

    @property
    def size(self) -> float:
        """The largest value: sums of values have digits down to a share of it."""
        return float(self.frame["y"].abs().max())

    @property
    def scale(self) -> float:
        """Estimates below this differ by rounding."""
        return self.size * ROUNDING / TOLERANCE

    @cached_property
    def there(self) -> dict[str, set[str]]:
        """The units that every context has runs of."""
        groups = self.frame.groupby("context", sort=True)
        return {str(context): set(part["unit"]) for context, part in groups}

    @cached_property
    def means(self) -> LinearFit | None:
        """The saturated model."""
        return cell_means(self.frame)

    @cached_property
    def grid(self) -> Cells:
        """All combinations, where the truncated model may be asked for them."""
        size = np.prod([len(levels) for levels in self.cells.levels.values()])
        return self.cells.grid() if size <= LARGEST_GRID else self.cells

    @cached_property
    def model(self) -> LinearFit | None:
        """The model that estimates effects."""
        if self.order is None:
            return self.means
        return truncated(self.frame, self.grid, self.order)

    def model_of(self, row: Mapping[str, Any]) -> LinearFit | None:
        """The model behind a row: configurations are always raw cell means."""
        return self.means if row["estimand"] == "configuration" else self.model

    @property
    def too_large_for_mixed(self) -> bool:
        """Whether crossed random terms, one dense group, would take minutes."""
        return len(self.frame) > MOST_CROSSED

    def contexts(self, row: Mapping[str, Any], model: LinearFit) -> dict[str, InContext]:
        """The contrast of a row in every context that has it."""
        words = ("estimand", "factor", "level", "baseline", "levels", "against", "weights")
        key = json.dumps([row.get(word) for word in words], sort_keys=True)
        if key not in self.known:
            self.known[key] = self._contexts(row, model)
        return self.known[key]

    def _contexts(self, row: Mapping[str, Any], model: LinearFit) -> dict[str, InContext]:
        parts = combinations(self.cells, row)
        if not parts and not model.saturated:
            parts = combinations(self.grid, row)
        found: dict[str, InContext] = {}
        for context, units in self.there.items():
            complete = in_context(parts, units)
            for weights in _asked_of(parts, complete, model):
                vector = model.row(weights, context)
                if vector is not None:
                    found[context] = InContext(vector, complete[1] if complete else 0, weights)
                    break
        return found

    def common(
        self, row: Mapping[str, Any], model: LinearFit, contexts: Sequence[str]
    ) -> Floats | None:
        """The contrast over the combinations that all these contexts have (p,)."""
        parts = combinations(self.cells, row)
        complete = complete_in(parts, *(self.there[context] for context in contexts))
        if not any(way for ways in complete for way in ways):
            return None
        vectors = [model.row(over_all(complete), context) for context in contexts]
        known = [vector for vector in vectors if vector is not None]
        return np.asarray(np.mean(known, axis=0)) if len(known) == len(vectors) else None


def _asked_of(
    parts: Sequence[Combination], complete: tuple[Weights, int] | None, model: LinearFit
) -> Iterator[Weights]:
    """What a context may average: in a truncated model all combinations before its own."""
    if parts and not model.saturated:
        yield over_all(parts)
    if complete:
        yield complete[0]


def response_inquiry(
    analysis: Analysis, runs: pd.DataFrame, name: str, response: ResponseAnalysis
) -> Inquiry | None:
    """What is asked of one response; None without a value of it."""
    y = runs[f"{RESPONSE}{name}"]
    method = response["model"]["method"]
    order = method["arguments"]["order"] if method["code"] == "truncated_least_squares" else None
    rows = [row for row in response["effects"] if row["estimand"] != "interaction"]
    margin = response["smallest_effect"]
    return _asked(analysis, runs.assign(y=y), name, rows, order, margin)


def gap_inquiry(analysis: Analysis, runs: pd.DataFrame, name: str) -> Inquiry | None:
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
    methods = [row["method"] for row in rows if row["inference"] == "narrow"]
    told = [
        note["arguments"]["method"] for note in comparison["footer"] if note["code"] == "gap_method"
    ]
    orders = [method["arguments"].get("order") for method in (*methods, *told)]
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
) -> Inquiry | None:
    frame = runs[np.isfinite(runs["y"])]
    if frame.empty:
        return None
    design = analysis["design"]
    labels = runs.drop_duplicates("context").set_index("context")
    names = list(design["contexts"][0]) if design["contexts"] else []
    return Inquiry(
        name=name,
        frame=frame,
        cells=design_cells(design, {row["factor"]: row["baseline"] for row in rows}),
        variables={
            name: dict(zip(labels.index, labels[f"{VARIABLE}{name}"], strict=True))
            for name in names
        },
        order=order,
        alpha=analysis["study"]["alpha"],
        margin=margin,
        holm=analysis["study"]["adjust"] == "holm",
    )
