"""What takes its time says what it is: a status on a terminal, one line elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from ablatekit.cli.console import phases


def shown(*, terminal: bool) -> str:
    stream = io.StringIO()
    place = Console(
        file=stream, force_terminal=terminal, width=80, markup=False, highlight=False,
        _environ={"TERM": "xterm-256color"},
    )  # fmt: skip
    with phases(place)("analysing [red]x[/red]\x1b"):
        pass
    return stream.getvalue()


def test_a_pipe_gets_one_line_with_the_time() -> None:
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\S+ analysing \[red\]x\[/red\]\\x1b\n", shown(terminal=False)
    )


def test_a_terminal_gets_a_status_and_is_left_clean() -> None:
    text = shown(terminal=True)
    assert "analysing [red]x[/red]\\x1b" in text
    assert text.endswith("\x1b[2K")


def test_what_fails_is_not_hidden() -> None:
    with (
        pytest.raises(ValueError, match="inside"),
        phases(Console(file=io.StringIO(), force_terminal=True))("working"),
    ):
        raise ValueError("inside")
