"""What a level costs, said before any run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ablatekit.design.costs import ExpectedCost
from ablatekit.report.language.captions import TIMES, price_of
from ablatekit.report.language.numbers import general


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
