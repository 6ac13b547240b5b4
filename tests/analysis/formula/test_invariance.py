"""What a response cannot depend on: names and order of levels, order of rows and of columns.

Random unbalanced tables, some with empty cells. Baselines are stated, so effects are the same
contrasts. Satterthwaite's df of several numerator df, which follow the coding (as in lmerTest), are
left out; those of one are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablatekit.analysis.formula.analyse import analyse_formula
from ablatekit.analysis.formula.options import FormulaOptions
from ablatekit.errors import NotEstimableError

Values: TypeAlias = dict[tuple[str, ...], float | None]
FACTORS = {"a": 3, "b": 3, "c": 2}


@dataclass(frozen=True)
class Twins:
    """A table, the same table in other words, and how its words are read back."""

    table: pd.DataFrame
    other: pd.DataFrame
    words: Mapping[str, str]

    def baselines(self, other: bool) -> list[str]:
        """One level of every factor, the same one under both names."""
        back = {original: renamed for renamed, original in self.words.items()}
        named = {name: sorted(set(self.table[name]))[0] for name in FACTORS}
        return [f"{name}:{back[level] if other else level}" for name, level in named.items()]


def _table(rng: np.random.Generator) -> pd.DataFrame:
    n = int(rng.integers(30, 60))
    table = pd.DataFrame(
        {name: [f"{name}{j}" for j in rng.integers(0, size, n)] for name, size in FACTORS.items()}
    )
    lost = rng.integers(0, 3, 2)
    if rng.random() < 0.6:  # an empty cell of a x b
        table = table[(table["a"] != f"a{lost[0]}") | (table["b"] != f"b{lost[1]}")]
    table = table.assign(g=[f"g{j}" for j in rng.integers(0, 5, len(table))])
    groups = pd.Series({f"g{j}": 2.0 * rng.normal() for j in range(5)})
    table["x"] = rng.normal(50.0, 5.0, len(table)).round(3)
    table["y"] = rng.normal(size=len(table)) + groups[table["g"]].to_numpy() + (table["a"] == "a1")
    return table.reset_index(drop=True)


def _twins(seed: int) -> Twins:
    rng = np.random.default_rng(seed)
    table = _table(rng)
    other, words = table.copy(), dict[str, str]()
    for name in [*FACTORS, "g"]:
        levels = sorted(set(table[name]))
        renamed = dict(zip(levels, rng.permutation(levels).tolist(), strict=True))
        other[name] = other[name].map(renamed)
        words |= {new: old for old, new in renamed.items()}
    order = rng.permutation(len(other))
    columns = rng.permutation(list(other.columns)).tolist()
    return Twins(table, other.iloc[order][columns].reset_index(drop=True), words)


def _values(response: Any, words: Mapping[str, str], satterthwaite: bool) -> Values:
    """Every number of a response that has a name, by that name in the first table's words."""

    def plain(text: str) -> str:
        return ":".join(words.get(part, part) for part in text.split(":"))

    out: Values = {("residual_sd",): response["residual_sd"]}
    out[("criterion",)] = response["model"]["criterion"]
    for row in response["effects"]:
        key = ("effect", row["factor"], plain(row["level"]), plain(row["baseline"]))
        for name in ("estimate", "se", "df", "low", "high", "p", "p_adjusted"):
            out[*key, name] = row[name]
    for row in response["means"]:
        for name in ("estimate", "se", "df", "low", "high"):
            out["mean", row["factor"], plain(row["level"]), name] = row[name]
    for row in response["anova"]:
        for name in ("num_df", "statistic", "sum_squares"):
            out["anova", row["term"], name] = row[name]
        if not satterthwaite or row["num_df"] == 1:
            for name in ("den_df", "p", "partial_eta2"):
                out["anova", row["term"], name] = row[name]
    out |= {("random", row["group"]): row["sd"] for row in response.get("random", ())}
    return out


def _notes(response: Any) -> list[Any]:
    """What rows say, the places of covariates to nine digits."""
    return [
        (note["code"], np.round(note["arguments"].get("values", []), 9).tolist(), row["term"])
        for row in response["anova"]
        for note in row["notes"]
    ]


def _differences(first: Values, second: Values, tolerance: float) -> Iterator[Any]:
    scale = abs(first["residual_sd",] or 1.0)
    assert first.keys() == second.keys()
    for key, value in first.items():
        other = second[key]
        if value is None or other is None:
            if value is not other:
                yield key, value, other
        elif not math.isclose(value, other, rel_tol=tolerance, abs_tol=tolerance * scale):
            yield key, value, other


def _answers(twins: Twins, formula: str, **options: Any) -> tuple[Any, Any]:
    return (
        analyse_formula(
            twins.table, formula, FormulaOptions(contrasts=twins.baselines(False), **options)
        ),
        analyse_formula(
            twins.other, formula, FormulaOptions(contrasts=twins.baselines(True), **options)
        ),
    )


@pytest.mark.parametrize("anova_type", ["II", "III"])
@pytest.mark.parametrize("formula", ["y ~ a*b + c*x", "y ~ c + a/b + x", "y ~ 0 + a*b + c"])
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_least_squares(formula: str, anova_type: Any, seed: int) -> None:
    twins = _twins(seed)
    first, second = _answers(twins, formula, anova_type=anova_type)
    values = (_values(first, {}, False), _values(second, twins.words, False))
    assert not list(_differences(*values, 1e-9))
    assert _notes(first) == _notes(second)


@pytest.mark.parametrize(
    ("formula", "df", "anova_type"),
    [
        ("y ~ a*b + c*x + (1 | g)", "satterthwaite", "III"),
        ("y ~ a*b + c*x + (1 | g)", "kenward-roger", "III"),
        ("y ~ 0 + a*b + c + (1 | g)", "kenward-roger", "II"),
    ],
)
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_mixed_models(formula: str, df: Any, anova_type: Any, seed: int) -> None:
    twins = _twins(seed)
    try:
        first, second = _answers(twins, formula, df=df, anova_type=anova_type)
    except NotEstimableError:
        return
    if first["model"]["singular"]:
        assert first["model"]["criterion"] == pytest.approx(second["model"]["criterion"], abs=1e-8)
        return
    known = df == "satterthwaite"
    values = (_values(first, {}, known), _values(second, twins.words, known))
    assert not list(_differences(*values, 1e-6))
