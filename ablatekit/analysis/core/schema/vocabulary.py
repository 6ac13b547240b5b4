"""The words and numbers of `analysis.json`: verdicts, estimands, inferences, statements."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from typing_extensions import TypedDict

from ablatekit.analysis.core.schema.codes import ARGUMENTS, Code

Number: TypeAlias = float | None
Estimand: TypeAlias = Literal[
    "average", "baseline", "removal", "shapley", "interaction", "configuration"
]
InferenceName: TypeAlias = Literal["narrow", "broad"]
AnovaType: TypeAlias = Literal["I", "II", "III"]
Verdict: TypeAlias = Literal[
    "helps",
    "hurts",
    "equivalent",
    "inconclusive",
    "widens",
    "narrows",
    "identical",
    "not_estimated",
]
Size: TypeAlias = Literal["by_more", "less", "open"]
"""How large an effect with a direction is: by more than matters, less than matters, or open."""
Sufficiency: TypeAlias = Literal["yes", "no", "open", "not_judged"]
"""Whether the baseline suffices within the smallest effect that matters."""
DoseScale: TypeAlias = Literal["log", "linear", "order"]


class Statement(TypedDict):
    """What the analysis has to say, as a code of `codes` and its arguments.

    Arguments are JSON values with numbers as numbers; some are statements themselves.
    """

    code: Code
    arguments: dict[str, Any]


def statement(code: Code, **arguments: Any) -> Statement:
    """A statement with exactly the arguments of its code."""
    if sorted(arguments) != sorted(ARGUMENTS[code]):
        raise TypeError(f"{code} takes {ARGUMENTS[code]}, not {tuple(arguments)}")
    return Statement(code=code, arguments=arguments)
