"""Small data sets of every kind of answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ablatekit_rft.settings import RftSettings

SIZES = {"train_items": 8, "evaluation": {"probe_items": 4, "test_items": 4}}


def gsm(number: int) -> dict[str, str]:
    answer = f"{number}+1={number + 1}\n#### {number + 1}"
    return {"question": f"Add 1 to {number}.", "answer": answer}


def latex(number: int) -> dict[str, str]:
    solution = f"Halve it: the answer is $\\boxed{{\\frac{{{number}}}{{7}}}}$, for that is half."
    return {"problem": f"Half of {2 * number}/7?", "solution": solution}


def plain(number: int) -> dict[str, str]:
    return {"question": f"Add 2 to {number}.", "answer": str(number + 2)}


@pytest.fixture(scope="session")
def kinds() -> Mapping[str, Callable[[int], dict[str, str]]]:
    """A row of each kind by its number."""
    return {"hash": gsm, "latex": latex, "number": plain}


@pytest.fixture(scope="session")
def rows_file() -> Callable[[Path, Sequence[dict[str, Any]]], str]:
    def write(path: Path, rows: Sequence[dict[str, Any]]) -> str:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return str(path)

    return write


@pytest.fixture(scope="session")
def settings_for() -> Callable[..., RftSettings]:
    def make(dataset: str, **changed: Any) -> RftSettings:
        return RftSettings.model_validate({"dataset": dataset, **SIZES, **changed})

    return make
