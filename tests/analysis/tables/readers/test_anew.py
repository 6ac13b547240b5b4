"""Evaluations and searches that are made anew by the packages themselves, from files to effects."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.read import read_table

SCRIPTS = Path(__file__).parents[3] / "reference" / "foreign"
MADE = {
    "inspect": (("inspect-ai", "openai"), "", "outcome", "prompt", ("plain", "steps"), 0.2),
    "lm_eval": (("lm-eval", "datasets"), "", "outcome", "recipe", ("none", "norm"), 0.25),
    "optuna": (("optuna",), "grid.log", "loss", "optimizer", ("sgd", "adam"), -0.25),
}
"""By script: packages, source in its folder, response, factor, baseline and level, effect."""


@pytest.mark.full
@pytest.mark.parametrize("name", MADE)
def test_files_made_anew_give_the_planted_effects(
    name: str, fresh_python: Callable[..., Path], tmp_path: Path
) -> None:
    packages, source, response, factor, (baseline, level), planted = MADE[name]
    script = shutil.copy(SCRIPTS / f"make_{name}.py", tmp_path)
    made = tmp_path / "made"
    made.mkdir()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    command = [fresh_python(*packages), script, made]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    frame = read_table(made / source)
    analysis = analyse_table(frame, response, [factor], baselines={factor: baseline})
    row = next(r for r in analysis["responses"][response]["effects"] if r["level"] == level)
    assert row["estimate"] == pytest.approx(planted)
