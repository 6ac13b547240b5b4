from __future__ import annotations

import numpy as np
import pytest

from ablatekit.analysis.core.scales import default_scale, scores
from ablatekit.errors import UsageError
from ablatekit.study.scales import Scale


@pytest.mark.parametrize(
    ("levels", "scale"),
    [
        (("1", "4"), "log"),
        (("32", "8", "16"), "log"),
        (("1e-4", "3e-4"), "linear"),
        (("1", "3.999"), "linear"),
        (("0", "4"), "linear"),
        (("-1", "4"), "linear"),
        (("none", "1", "8"), None),
        (("true", "false"), None),
        (("1", f"1{'0' * 400}"), None),
    ],
)
def test_levels_without_a_scale_have_one_by_their_numbers(
    levels: tuple[str, ...], scale: str | None
) -> None:
    assert default_scale(levels) == scale


@pytest.mark.parametrize(
    ("levels", "scale", "expected"),
    [
        (("1", "8", "0.5"), "log", [0, 3, -1]),
        (("1", "8", "0.5"), None, [0, 3, -1]),
        (("1", "8", "0.5"), "linear", [1, 8, 0.5]),
        (("low", "mid", "high"), "order", [0, 1, 2]),
        (("8", "1"), "order", [0, 1]),
        (("1e-4", "3e-4"), None, [1e-4, 3e-4]),
    ],
)
def test_scores_of_levels(
    levels: tuple[str, ...], scale: Scale | None, expected: list[float]
) -> None:
    np.testing.assert_array_equal(scores(levels, scale), expected)


def test_levels_without_an_order_have_no_scores() -> None:
    assert scores(("none", "group"), None) is None
    with pytest.raises(UsageError, match="level '0' has no place on the scale log"):
        scores(("1", "0"), "log")
