"""Lint, types, layers and lightness: what a reviewer would otherwise have to check by eye."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "vllm", "mlflow", "statsmodels", "scipy", "pandas", "matplotlib")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "check", "."], id="ruff-check"),
        pytest.param(["ruff", "format", "--check", "."], id="ruff-format"),
        pytest.param(["mypy"], id="mypy-strict"),
    ],
)
def test_static_gate(command: list[str]) -> None:
    outcome = _run(sys.executable, "-m", *command)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_imports_follow_the_direction_of_the_data() -> None:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    outcome = _run(sys.executable, "-c", code, "--no-cache")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def _imported_by(statement: str) -> set[str]:
    """Names of all modules, packages with their parts, that a process has after a statement."""
    code = f"{statement}; import sys; print(*sys.modules, file=sys.stderr)"
    outcome = _run(sys.executable, "-c", code)
    assert outcome.returncode == 0, outcome.stderr
    return set(outcome.stderr.split())


@pytest.mark.parametrize(
    "module",
    [
        "ablatekit.cli.main",
        "ablatekit_rft.backend",
        "ablatekit_trl.backend",
        "ablatekit_command.backend",
    ],
)
def test_import_is_light(module: str) -> None:
    assert not _imported_by(f"import {module}") & set(HEAVY)


def test_a_worker_starts_without_mlflow_and_without_training_packages() -> None:
    assert not _imported_by("import ablatekit.worker") & set(HEAVY)


def _command(*words: str) -> set[str]:
    """What a process has imported after `ablatekit WORDS`, which ends with exit code 0."""
    code = "from ablatekit.cli.main import invoke; assert invoke({}) == 0"
    return _imported_by(code.format(list(words)))


def test_help_imports_nothing_but_typer() -> None:
    assert not _command("--help") & {*HEAVY, "pydantic", "numpy", "rich", "yaml"}


def test_an_analysis_imports_no_second_statistical_stack(tmp_path: Path) -> None:
    rows = [f"{'ab'[i % 2]},m{i // 2 % 2},{i % 3 + i % 2}" for i in range(16)]
    table = tmp_path / "runs.csv"
    table.write_text("\n".join(["x,model,y", *rows]))
    short = ("--response", "y", "--factors", "x", "--contexts", "model")
    by_factors = _command("analyze", str(table), *short)
    assert "pandas" in by_factors
    stack = {"scipy.stats", "scipy.optimize", "statsmodels", "formulaic", "matplotlib", "jinja2"}
    assert not by_factors & stack
    by_formula = _command("analyze", str(table), "--formula", "y ~ x + (1 | model)")
    assert not by_formula & {"scipy.stats", "statsmodels", "matplotlib", "jinja2"}
