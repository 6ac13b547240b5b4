"""A part of somebody else's page: escaped, without a script, and with a style of its own."""

from __future__ import annotations

import html
import re

from ablatekit.report.document import (
    Column,
    Document,
    Fold,
    Heading,
    Section,
    Table,
    Text,
    Warnings,
)
from ablatekit.report.formats.fragment import SCOPE, render_fragment, render_frame

HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(2)>"


def document() -> Document:
    table = Table(
        id="t",
        caption=HOSTILE,
        columns=[Column(HOSTILE)],
        rows=[[Text(HOSTILE, HOSTILE)]],
        footer=HOSTILE,
        computed=[HOSTILE],
    )
    blocks = [table, Warnings([HOSTILE]), Fold(HOSTILE, [Heading(HOSTILE), table])]
    return Document(
        title=HOSTILE,
        question=HOSTILE,
        facts=[(HOSTILE, HOSTILE)],
        sections=[Section("s", HOSTILE, HOSTILE, blocks)],
    )


def test_nothing_of_a_text_acts() -> None:
    page = render_fragment(document())
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("</style>") == 1
    assert page.count("&lt;script&gt;alert(1)") >= 8


def test_the_whole_page_stays_inside_its_frame() -> None:
    frame = render_frame(document())
    assert re.fullmatch(r"<iframe [^<>]*></iframe>", frame)
    inside = html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1])  # type: ignore[index]
    assert inside.startswith("<!DOCTYPE html>")
    assert "<script>alert(1)" not in inside


def test_the_style_reaches_nothing_around_the_fragment() -> None:
    page = render_fragment(document())
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    rules = re.findall(
        r"([^{}]+)\{[^{}]*\}", style.replace("@media (prefers-color-scheme: dark) {", "")
    )
    selectors = [one for rule in rules for one in re.split(r",(?![^()]*\))", rule)]
    assert len(selectors) > 60
    assert all(SCOPE in selector for selector in selectors if selector.strip(" }\n"))


def test_both_colour_schemes_come_from_the_page() -> None:
    page = render_fragment(document())
    assert page.count("--paper: #fdfcfa") == 1
    assert page.count("--paper: #161513") == 2
    assert "prefers-color-scheme: dark" in page
    assert len(page) < 25_000
