"""The answer table in a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from ablatekit.report.formats.terminal import summary


def printed(analysis, width=200):
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(summary(analysis))
    return stream.getvalue()


def test_one_line_per_level_with_effects_and_verdicts(analysis):
    text = printed(analysis)
    assert summary(analysis).row_count == 6
    for part in (
        "191 of 192 runs analysed",
        "batch_norm vs none",
        "Learning, pp",
        "+6.1 [4.9, 7.4]",
        "▲ helps",
        "▼ hurts",
        "= equivalent",
        "○ inconclusive",
        "←→ widens",
        "→← narrows",
        "≡ identical",
        "broad: \N{EN DASH} not estimated",
    ):
        assert part in text


def test_hostile_names_are_not_markup(analysis, renamed):
    text = printed(renamed(analysis, "batch_norm", "[red]x[/]"))
    assert "[red]x[/] vs none" in text
