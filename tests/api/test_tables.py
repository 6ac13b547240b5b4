"""Tables from Python: data frames and files, by factors and by a formula."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import ablatekit
from ablatekit.errors import TableError, UsageError

TABLE = pd.DataFrame(
    {
        "optimizer": ["sgd", "adam"] * 6,
        "size": [1, 1, 2, 2] * 3,
        "data": ["a"] * 4 + ["b"] * 4 + ["c"] * 4,
        "accuracy": [0.5, 0.61, 0.52, 0.6, 0.4, 0.52, 0.43, 0.5, 0.6, 0.7, 0.61, 0.71],
        "cost": [1.0, 2.0] * 6,
    }
)


def test_a_data_frame_is_analysed_like_its_file(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "runs.csv", index=False)
    asked = {"response": "accuracy", "factors": "optimizer,size", "contexts": ["data"]}
    frame, file = (ablatekit.analyze(t, **asked) for t in (TABLE, tmp_path / "runs.csv"))
    assert frame.effects.equals(file.effects)
    assert frame.data["provenance"]["table"] == "a data frame"
    assert len(frame.runs) == 12
    assert "optimizer" in repr(frame)
    assert "forest-accuracy" in frame.figures
    assert "<script" not in frame._repr_html_()


def test_what_the_command_line_takes_is_taken_by_name() -> None:
    analysis = ablatekit.analyze(
        TABLE,
        response="accuracy",
        factors=["optimizer"],
        contexts=["data"],
        baselines={"optimizer": "adam"},
        direction="lower",
        smallest_effect=0.05,
        price="cost",
        alpha=0.1,
    )
    (row, *_) = analysis.effects.to_dict("records")
    assert (row["level"], row["baseline"], row["verdict"]) == ("sgd", "adam", "helps")
    assert row["price"] == 0.5


def test_a_formula_is_fitted() -> None:
    analysis = ablatekit.analyze(TABLE, formula="accuracy ~ optimizer + (1 | data)")
    assert analysis.effects["level"][0] == "adam"
    assert "optimizer" in repr(analysis)
    assert analysis._repr_html_()
    with pytest.raises(UsageError, match="a fitted formula has no table of runs"):
        _ = analysis.runs


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"response": "acc", "factors": "optimizer"}, "Did you mean 'accuracy'"),
        ({"response": "accuracy", "factors": "optimiser"}, "Did you mean 'optimizer'"),
        ({"response": "acc"}, "Did you mean 'accuracy'"),
        ({"where": {"siz": 1}}, "Did you mean 'size'"),
        ({"response": "accuracy", "factors": "size", "alpha": 0.7}, "alpha lies between 0 and"),
        ({"response": "accuracy", "factors": "size", "smallest_effect": 0}, "is above 0"),
        ({"response": "accuracy", "factors": "size", "baseline": {}}, "Did you mean 'baselines'"),
        (
            {"response": "accuracy", "factors": "size", "baselines": {"siz": 1}},
            "not a factor; received siz. Did you mean 'size'",
        ),
        ({"formula": "accuracy ~ size", "factors": "size"}, "no meaning with a formula"),
        ({"formula": "accuracy ~ size", "price": "cost"}, "no such argument here"),
    ],
)
def test_mistakes_are_told_in_one_message(asked: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        ablatekit.analyze(TABLE, **asked)  # type: ignore[arg-type]
    assert said in str(refused.value)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to analyse; received list"):
        ablatekit.analyze([1], response="a", factors="b")
    with pytest.raises(TableError, match="there is no such file"):
        ablatekit.analyze(tmp_path / "nowhere.csv", response="a", factors="b")


def test_the_table_is_left_as_it_was() -> None:
    before = TABLE.copy()
    ablatekit.analyze(TABLE, response="accuracy", factors=["size"])
    pd.testing.assert_frame_equal(TABLE, before)


def test_what_is_not_named_is_proposed_and_told() -> None:
    table = TABLE.assign(seed=range(len(TABLE)))
    analysis = ablatekit.analyze(table, smallest_effect=0.01)
    assert set(analysis.effects["factor"]) >= {"optimizer"}
    assert "ablatekit.analyze(frame, response=['accuracy'], factors=[" in repr(analysis)
    assert "By what it was analysed" in analysis._repr_html_()
    stated = ablatekit.analyze(
        table, response="accuracy", factors=["optimizer"], where={"size": 1}, contexts=["data"]
    )
    assert len(stated.runs) == 6
    with pytest.raises(TableError, match="a data frame: no column of the 3 runs varies"):
        ablatekit.analyze(pd.DataFrame({"accuracy": [0.1, 0.2, 0.3]}))
