from __future__ import annotations

import pytest

from ablatekit.report.language import scopes


@pytest.mark.parametrize(
    ("name", "single", "several"),
    [
        ("model", "model", "models"),
        ("models", "model", "models"),
        ("dataset", "data set", "data sets"),
        ("datasets", "data set", "data sets"),
        ("data", "data set", "data sets"),
        ("tasks", "task", "tasks"),
        ("family", "family", "families"),
        ("corpus", "corpus", "corpuses"),
        ("GPU-type", "level of GPU-type", "levels of GPU-type"),
    ],
)
def test_levels_of_a_variable_are_counted_by_its_noun(name: str, single: str, several: str) -> None:
    assert (scopes.variable(name), scopes.variables(name)) == (single, several)
