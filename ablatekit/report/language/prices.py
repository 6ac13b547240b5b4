"""What a level costs, said before any run; and of levels that saw other amounts of data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from ablatekit.design.costs import ExpectedCost
from ablatekit.report.language.captions import TIMES, price_of
from ablatekit.report.language.numbers import general

DATA = ("samples", "tokens")
"""Costs that are what a run learns from."""
LEAST_MULTIPLE = 1.5


def cost_notes(costs: Sequence[ExpectedCost]) -> Iterator[str]:
    """One sentence for every level that costs more or less than its baseline."""
    for (factor, level), same in groupby(costs, key=lambda cost: (cost.factor, cost.level)):
        of_level = list(same)
        amounts = ", ".join(_amount(cost) for cost in of_level)
        yield (
            f"{factor}: {level} takes {amounts} of {of_level[0].baseline} at equal settings"
            " elsewhere; its effect is that of the level and of this. The answer gives its price"
        )


def _amount(cost: ExpectedCost) -> str:
    counted = f"({general(cost.cost, 6)} against {general(cost.baseline_cost, 6)})"
    return f"{general(cost.ratio, 3)}{TIMES} the {price_of(cost.metric)} {counted}"


def data_remark(ratios: Mapping[str, float], metric: str) -> str:
    """That the effects of some levels are those of other amounts of data, too; empty for none.

    `ratios`: level -> its price, a multiple of its baseline's. What a price counts is data where it
    counts samples or tokens.
    """
    counted = price_of(metric)
    multiplied = {name: ratio for name, ratio in ratios.items() if _is_multiple(ratio)}
    if not multiplied or not counted.endswith(DATA):
        return ""
    levels = ", ".join(f"{name} ({general(ratio, 3)}{TIMES})" for name, ratio in multiplied.items())
    return (
        f"Levels that saw more or less data than their baselines, in {counted}: {levels}. Such an"
        " effect is that of the level and of the data; a study at an equal number of"
        f" {counted} tells them apart."
    )


def _is_multiple(ratio: float) -> bool:
    """Whether a level multiplies what it costs, and does not end a round earlier or later."""
    return ratio > 0 and max(ratio, 1 / ratio) >= LEAST_MULTIPLE
