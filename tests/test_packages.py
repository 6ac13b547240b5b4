"""Third parties' distributions: built as wheels, found by name, validated, run, reported."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ablatekit.cli.main import invoke
from ablatekit.design.build import build_plan, study_backend
from ablatekit.dispatch.coordinator import DispatchOptions, execute
from ablatekit.dispatch.progress import SilentObserver
from ablatekit.runs.workspace import Workspace
from ablatekit.study.load import load_study

ROOT = Path(__file__).parents[1]
PACKAGES = Path(__file__).parent / "packages"
OURS = (ROOT, ROOT / "backends" / "rft")
THEIRS = tuple(sorted(path.parent for path in PACKAGES.glob("*/pyproject.toml")))


def test_there_is_a_package_of_every_axis_but_designs() -> None:
    declared = [(path / "pyproject.toml").read_text(encoding="utf-8") for path in THEIRS]
    for group in ("backends", "factors", "readers", "executors", "trackers"):
        assert sum(f'"ablatekit.{group}"' in text for text in declared) == 1, group


def test_a_backend_and_an_executor_of_others_run_a_study(
    install_package: Callable[[str], Path], tmp_path: Path
) -> None:
    install_package("forkexecutor")
    loaded = load_study(install_package("ridgefit") / "study.yaml")
    plan = build_plan(loaded, study_backend(loaded))
    assert not plan.warnings
    options = DispatchOptions(executor=loaded.study.dispatch.executor)
    outcome = execute(plan, Workspace(tmp_path), options, SilentObserver())
    assert options.executor == "fork"
    assert (outcome.counts.finished, outcome.failed) == (12, ())


def test_a_reader_of_others_reads_what_is_analysed(
    install_package: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = install_package("linewise") / "runs.linewise"
    told = ["--response", "accuracy", "--factors", "optimizer", "--contexts", "model"]
    assert invoke(["analyze", str(runs), *told]) == 0
    assert "12 of 12 rows analysed" in capsys.readouterr().out


@dataclass(frozen=True)
class Installed:
    """An environment with wheels of ours and of others, and nothing else of ours."""

    python: Path
    folder: Path

    def ablatekit(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [str(self.python.parent / "ablatekit"), *arguments],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        assert "Traceback" not in said
        return said

    def pip(self, *arguments: str) -> None:
        command = [str(self.python), "-m", "pip", "-q", *arguments]
        done = subprocess.run(
            command, env=_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    return {**kept, "COLUMNS": "200", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("packages")
    wheels = folder / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*build, "-w", str(wheels), *map(str, (*OURS, *THEIRS))], env=_environment(), check=True
    )
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    made = Installed(environment / "bin" / "python", folder)
    _lend_dependencies(environment, folder / "dependencies")
    made.pip("install", "--no-deps", "--no-index", *map(str, wheels.iterdir()))
    return made


def _lend_dependencies(environment: Path, lent: Path) -> None:
    """What is installed here, but for all that is ours: links, in place of an hour of downloads."""
    lent.mkdir()
    for place in sys.path:
        if Path(place).name != "site-packages":
            continue
        for path in Path(place).iterdir():
            ours = path.name.startswith(("ablatekit", "_editable", "__editable", "pip"))
            if not ours and path.suffix != ".pth" and not (lent / path.name).exists():
                (lent / path.name).symlink_to(path)
    base = {"base": str(environment), "platbase": str(environment)}
    site = Path(sysconfig.get_path("purelib", "venv", base))
    (site / "lent.pth").write_text(f"{lent}\n", encoding="utf-8")


@pytest.mark.full
def test_wheels_of_others_work_beside_ours(installed: Installed) -> None:
    assert "ridge:" in installed.ablatekit("backend", "list")
    for package, says in (("ridgefit", "12 of 12 runs"), ("halfreward", "4 of 4 runs")):
        study = str(PACKAGES / package / "study.yaml")
        assert "valid" in installed.ablatekit("study", "validate", study).lower()
        assert says in installed.ablatekit("study", "run", study)
    assert "A_i = r_i / 2" in installed.ablatekit("factor", "show", "advantage", "--backend", "rft")
    runs = str(PACKAGES / "linewise" / "runs.linewise")
    told = ("--response", "accuracy", "--factors", "optimizer", "--contexts", "model")
    assert "12 of 12 rows analysed" in installed.ablatekit("analyze", runs, *told)


@pytest.mark.full
def test_scaffolds_are_in_the_wheels_and_what_they_write_runs(installed: Installed) -> None:
    for kind in ("backend", "reader", "level"):
        installed.ablatekit(kind, "new", f"my-{kind}")
        installed.pip(
            "install", "--no-deps", "--no-build-isolation", f"{installed.folder}/my-{kind}"
        )
    installed.pip("uninstall", "-y", "halfreward")
    assert "36 of 36 runs" in installed.ablatekit("study", "run", "my-backend/study.yaml")
    assert "16 of 16 runs" in installed.ablatekit("study", "run", "my-level/study.yaml")
    told = ("--response", "accuracy", "--factors", "optimizer,size")
    said = installed.ablatekit("analyze", "my-reader/sample.myreader", *told)
    assert "16 of 16 rows analysed" in said
