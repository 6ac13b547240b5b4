"""Documents that do not rot: links resolve, shown commands exist, shipped studies are named."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from ablatekit.testing.backend_suite import BackendSuite

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"```bash\n(.*?)```", re.DOTALL)


def _documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split()]


@pytest.mark.parametrize("path", _documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_resolve(path: Path) -> None:
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    local = [target.split("#")[0] for target in targets if "://" not in target]
    missing = [target for target in local if target and not (path.parent / target).exists()]
    assert not missing


def _shown_commands() -> list[list[str]]:
    """The words after `ablatekit` in every command that a document shows."""
    blocks = (block for path in _documents() for block in FENCE.findall(path.read_text()))
    lines = (shlex.split(line, comments=True) for block in blocks for line in block.splitlines())
    commands = (command for words in lines for command in _commands(words))
    return [words[1:] for words in commands if words and Path(words[0]).name == "ablatekit"]


def _commands(words: list[str]) -> list[list[str]]:
    """A shell line's words cut at `&&`."""
    ends = [*(i for i, word in enumerate(words) if word == "&&"), len(words)]
    starts = [0, *(end + 1 for end in ends)]
    return [words[start:end] for start, end in zip(starts, ends, strict=False)]


def test_shown_commands_exist() -> None:
    from ablatekit.cli.main import app

    root = get_command(app)
    commands = _shown_commands()
    assert commands
    for words in commands:
        command = root
        while words and hasattr(command, "commands"):
            assert words[0] in command.commands, f"ablatekit {' '.join(words)}"
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word.split("=")[0] for word in words if word.startswith("--")}
        assert used <= known | {"--help"}, f"{command.name}: {used - known}"


def test_study_files_named_in_documents_exist() -> None:
    named = {
        name
        for path in _documents()
        for name in re.findall(r"studies/[\w.-]+\.yaml", path.read_text())
    }
    assert named
    assert not [name for name in sorted(named) if not (ROOT / name).is_file()]


RFT = "backends/rft/ablatekit_rft"
TEMPLATE_ROOTS = ("", "ablatekit", "ablatekit/analysis", "ablatekit/report", RFT)


def _rows_of_changes() -> list[list[str]]:
    """The cells of CONTRIBUTING's table of where new code goes."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("## Where new code goes")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return rows[1:]


@pytest.mark.parametrize("row", _rows_of_changes(), ids=lambda row: row[0].strip())
def test_every_kind_of_change_names_a_first_file_and_a_template_that_exist(row: list[str]) -> None:
    _, first, template, *_ = row
    named = re.findall(r"`([\w/<>.]+(?:\.py|/))`", f"{first} {template}")
    paths = [name for name in named if "<" not in name]
    assert paths
    for name in paths:
        assert any((ROOT / root / name).exists() for root in TEMPLATE_ROOTS), name


def test_what_each_test_of_a_backend_wants_is_told() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("### What the tests of a backend want")[1].split("\n#")[0]
    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    tests = [name for name in vars(BackendSuite) if name.startswith("test_")]
    assert [f"test_{name}" for name in told] == tests
