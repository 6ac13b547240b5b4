"""What `ablatekit KIND new NAME` writes: all of it or nothing, under a name that can be had."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ablatekit.cli.main import app, invoke
from ablatekit.design.build import build_plan, study_backend
from ablatekit.errors import PluginError, UsageError
from ablatekit.scaffolds.base import make_distribution, rendered, scaffold_of
from ablatekit.study.load import load_study
from ablatekit.testing.backend_suite import BackendSuite
from ablatekit.testing.reader_suite import ReaderSuite

Written = Callable[[str, str], Path]


@pytest.fixture
def written(tmp_path: Path, install_folder: Callable[[Path], None]) -> Callable[[str, str], Path]:
    """Makes a distribution, installed for this test and its processes."""

    def write(kind: str, name: str) -> Path:
        folder = make_distribution(scaffold_of(kind), name, tmp_path)
        install_folder(folder)
        return folder

    return write


def test_what_is_written_passes_its_suite(written: Written) -> None:
    folders = [written("backend", "demo-two"), written("reader", "kv_log")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, folders)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(
        command, cwd=folders[0].parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    wanted = [name for suite in (BackendSuite, ReaderSuite) for name in dir(suite)]
    assert f"{sum(name.startswith('test_') for name in wanted)} passed" in done.stdout


def test_its_study_is_valid_and_its_file_can_be_analysed(
    written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_study(written("backend", "demo-two") / "study.yaml")
    plan = build_plan(loaded, study_backend(loaded))
    assert len(plan.runs) == 36
    assert not plan.warnings
    sample = written("reader", "kv_log") / "sample.kvlog"
    told = ["--response", "accuracy", "--factors", "optimizer,size"]
    assert invoke(["analyze", str(sample), *told]) == 0
    assert "16 of 16 rows analysed" in capsys.readouterr().out


def test_the_smallest_backend_is_small() -> None:
    text = dict(rendered(scaffold_of("backend"), "demo"))["demo/backend.py"]
    assert len([line for line in text.splitlines() if line.strip()]) <= 60


@pytest.mark.parametrize("kind", ["backend", "reader"])
def test_what_is_written_is_clean(kind: str, tmp_path: Path) -> None:
    make_distribution(scaffold_of(kind), "demo", tmp_path)
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", str(tmp_path)]
        environment = {**os.environ, "PATH": _with_scripts()}
        done = subprocess.run(ruff, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.full
@pytest.mark.parametrize("kind", ["backend", "reader"])
def test_what_is_written_is_typed(kind: str, written: Written, tmp_path: Path) -> None:
    folder = written(kind, "demo")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "mypy"), "."]
    done = subprocess.run(mypy, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _with_scripts() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Demo", "For instance demo"),
        ("a b", "For instance a-b"),
        ("../x", "For instance x"),
        ("", "For instance my_plugin"),
        ("été", "begins with a letter"),
        ("x" * 41, "at most 40"),
        ("x_", "begins with a letter"),
        ("-x", "begins with a letter"),
        ("json", "Python itself"),
        ("class", "Python itself"),
        ("numpy", "the distribution numpy is installed"),
        ("pluggy-x", None),
        ("simulated", "a backend of this name is installed"),
        ("_pytest", "begins with a letter"),
        ("dateutil", "there is a module dateutil"),
    ],
)
def test_a_name_that_cannot_be_had_is_refused(name: str, says: str | None, tmp_path: Path) -> None:
    if says is None:
        assert make_distribution(scaffold_of("backend"), name, tmp_path).is_dir()
        return
    with pytest.raises(UsageError, match=says):
        make_distribution(scaffold_of("backend"), name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_suffix_that_another_reader_reads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a reader of this name is installed"):
        make_distribution(scaffold_of("reader"), "tsv", tmp_path)


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="exists already"):
        make_distribution(scaffold_of("backend"), "demo", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert invoke(["backend", "new", "demo", "--output", str(tmp_path / "file")]) == 2


def test_a_kind_that_nothing_installed_makes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablatekit.scaffolds.base.installed_points", lambda _group: ())
    with pytest.raises(PluginError, match="no installed distribution makes a new level"):
        scaffold_of("level")


def test_the_next_commands_are_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["backend", "new", "demo", "--output", str(tmp_path)])
    assert f"pip install -e {tmp_path}/demo" in done.stdout
    assert f"ablatekit study run {tmp_path}/demo/study.yaml" in done.stdout
