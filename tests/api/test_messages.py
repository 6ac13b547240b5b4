"""Refusals read as Python: arguments in place of options."""

from __future__ import annotations

import pandas as pd
import pytest

import ablatekit
from ablatekit.api.messages import in_python
from ablatekit.errors import Problem, UsageError


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("Check --where and --exclude", "Check where and exclude"),
        ("Name the column: --response COLUMN", "Name the column: response=COLUMN"),
        ("or run it anew with --new", "or run it anew with new=True"),
        ("add --wide 'step_*'", "add wide='step_*'"),
        ("Say whose: --covariate NAME=COLUMN", "Say whose: covariates=NAME=COLUMN"),
        ("use --smallest-effect, a part", "use smallest_effect, a part"),
        ("Run it first: ablatekit study run a/b.yaml", "Run it first: ablatekit.run(study)"),
        ("well-known words -- as they are", "well-known words -- as they are"),
    ],
)
def test_options_are_told_as_arguments(told: str, read: str) -> None:
    assert in_python(Problem("a rule", "--kept", told)) == Problem("a rule", "--kept", read)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ablatekit.analyze(None), "nothing to analyse; received NoneType"),
        (lambda: ablatekit.analyze({"a": [1]}), "nothing to analyse; received dict"),
        (lambda: ablatekit.analyze(pd.DataFrame([[1, 2]], columns=["a", "a"])), "received a"),
        (lambda: ablatekit.analyze(pd.concat({"x": pd.DataFrame({"a": [1]})}, axis=1)), "levels"),
        (lambda: ablatekit.plan(3), "no study; received int"),
        (lambda: ablatekit.run(None), "no study; received NoneType"),
        (lambda: ablatekit.compare(3, 4), "nothing to compare; received int"),
        (lambda: ablatekit.write_report("x", "folder"), "nothing to report; received str"),
    ],
)
def test_what_is_no_study_and_no_table_is_refused(call, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        call()
