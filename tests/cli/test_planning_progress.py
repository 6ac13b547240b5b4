"""How far a look before the first run is: a bar on a terminal, lines elsewhere, nothing in JSON."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ablatekit.cli import console


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, silent: bool = False) -> str:
    stream = io.StringIO()
    place = Console(file=stream, force_terminal=terminal, width=80, markup=False, highlight=False)
    monkeypatch.setattr(console, "plain_console", lambda **_: place)
    with console.planning_progress(silent=silent) as tell:
        tell("answers of [red]x[/red]", 128, 7473)
        tell("answers of [red]x[/red]", 7473, 7473)
    return stream.getvalue()


def test_nothing_is_said_where_json_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, terminal=True, silent=True) == ""


def test_lines_come_only_after_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, terminal=False) == ""
    monkeypatch.setattr(console, "_PLAIN_SECONDS", 0.0)
    lines = shown(monkeypatch, terminal=False).splitlines()
    assert lines[0] == "answers of [red]x[/red]: 128 of 7,473"
    assert len(lines) == 2


def test_a_terminal_shows_a_bar_and_is_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, terminal=True)
    assert "answers of [red]x[/red]" in text
    assert "7473/7473" in text
