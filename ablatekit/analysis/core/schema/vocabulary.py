"""The words and numbers of `analysis.json`: verdicts, estimands, inferences."""

from __future__ import annotations

from typing import Literal, TypeAlias

Number: TypeAlias = float | None
Estimand: TypeAlias = Literal["average", "baseline", "removal", "shapley", "interaction"]
InferenceName: TypeAlias = Literal["narrow", "broad"]
Verdict: TypeAlias = Literal[
    "helps",
    "hurts",
    "equivalent",
    "inconclusive",
    "widens",
    "narrows",
    "identical",
    "not estimated",
]
