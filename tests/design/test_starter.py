from __future__ import annotations

from pathlib import Path

import pytest

from ablatekit.backend import Backend
from ablatekit.design.build import build_plan
from ablatekit.design.starter import starter_study
from ablatekit.plugins import load_backend
from ablatekit.study.load import parse_study


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("command", "print()"),
        ("function", "def train(lr, optimizer, dataset, seed):\n    return {'accuracy': lr}\n"),
    ],
)
def test_a_backend_of_programs_has_a_study_of_its_own(
    name: str, program: str, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(program, encoding="utf-8")
    chosen = load_backend(name)
    plan = build_plan(parse_study(starter_study(chosen), tmp_path / "study.yaml"), chosen)
    assert (len(plan.cells), len(plan.contexts), plan.replicates) == (4, 3, 2)


@pytest.mark.parametrize("name", ["fake", "simulated"])
def test_a_starter_study_validates(name: str, backend: Backend) -> None:
    chosen = backend if name == "fake" else load_backend(name)
    text = starter_study(chosen)
    plan = build_plan(parse_study(text, Path("starter.yaml")), chosen)
    assert len(plan.factors) == 2
    assert plan.merged == ()
    assert len(plan.contexts[0]) == 2
    assert plan.replicates == 2
