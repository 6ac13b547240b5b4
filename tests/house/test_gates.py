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
    code = f"{statement}; import sys; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    outcome = _run(sys.executable, "-c", code)
    assert outcome.returncode == 0, outcome.stderr
    return set(outcome.stdout.split())


@pytest.mark.parametrize("module", ["ablatekit.cli.main", "ablatekit_rft.backend"])
def test_import_is_light(module: str) -> None:
    assert not _imported_by(f"import {module}") & set(HEAVY)


def test_a_worker_starts_without_mlflow_and_without_training_packages() -> None:
    assert not _imported_by("import ablatekit.worker") & set(HEAVY)
