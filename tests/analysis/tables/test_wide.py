"""Tables with one column per replicate."""

from __future__ import annotations

import pandas as pd
import pytest

from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.wide import melted
from ablatekit.errors import TableError, UsageError


@pytest.fixture
def wide():
    return pd.DataFrame(
        {"f": ["a", "b", "a", "b"], "m": list("ppqq"), "acc_1": [0.5, 0.7, 0.4, 0.6],
         "acc_2": ["0.52", "0.75", "n/a", "0.66"], "acc_3": [0.51, 0.72, 0.45, None]}
    )  # fmt: skip


@pytest.mark.parametrize("patterns", [["acc_*"], ["acc_1", "acc_2", "acc_3"], ["acc_1", "*_[23]"]])
def test_every_named_column_is_a_run_of_its_row(wide, patterns):
    long, messages = melted(wide, "acc", patterns)
    assert list(long.columns) == ["f", "m", "acc", "replicate"]
    assert long["acc"].fillna(-1).tolist()[:3] == [0.5, 0.52, 0.51]
    assert long["replicate"].tolist()[:3] == ["acc_1", "acc_2", "acc_3"]
    assert messages[0]["arguments"] == {"column": "acc_2", "words": ["n/a"], "rows": [3]}


def test_a_wide_table_says_what_the_long_one_says(wide):
    long, _ = melted(wide, "acc", ["acc_*"])
    one = analyse_table(wide, "acc", ["f"], ["m"], wide=["acc_*"])
    other = analyse_table(long.drop(columns="replicate"), "acc", ["f"], ["m"])
    assert one["responses"]["acc"]["effects"] == other["responses"]["acc"]["effects"]
    assert one["counts"]["planned"] == 12
    assert one["counts"]["failed"] == 2


@pytest.mark.parametrize(
    ("response", "patterns", "message"),
    [
        ("acc", ["nothing*"], "--wide names no column"),
        ("acc", ["acc_1"], "--wide names a single column"),
        ("f", ["acc_*"], "this one is there already"),
    ],
)
def test_mistakes_of_wide_are_told(wide, response, patterns, message):
    with pytest.raises(UsageError, match=message):
        melted(wide, response, patterns)


def test_text_in_a_wide_column_is_named_with_its_row(wide):
    wide.loc[2, "acc_2"] = "high"
    with pytest.raises(TableError, match="received acc_2 with 'high' in row 3"):
        melted(wide, "acc", ["acc_*"])


def test_a_wide_table_has_one_response(wide):
    from ablatekit.analysis.tables.measures import Measure

    responses = [Measure(column="acc"), Measure(column="loss")]
    with pytest.raises(UsageError, match="a single response; received acc, loss"):
        analyse_table(wide, responses, ["f"], wide=["acc_*"])
