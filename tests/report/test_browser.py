"""The page in a real browser: what it does for pointer, finger, keyboard, printer and file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.full
SHIPPED = Path(__file__).parents[2] / "reports" / "full_factorial"
PHONE = (390, 844)


def pages_of(opened, path, after=""):
    """How many sheets a page takes in print."""
    content = opened(path, after=after).page.pdf(prefer_css_page_size=True)
    return len(re.findall(rb"/Type /Page\b", content))


def levels(page):
    rows = page.locator("#answer-table tbody tr")
    return [row.get_attribute("data-level") for row in rows.all()]


@pytest.mark.parametrize("size", [(1280, 800), PHONE])
def test_a_page_runs_without_errors_or_requests_and_does_not_scroll_sideways(
    opened, fixture_page, size
):
    state = opened(fixture_page, size)
    state.probe("unfold()")
    assert state.probe("wide()") == 0
    assert state.messages == []
    assert state.requests == [fixture_page.as_uri()]
    drawings = state.page.locator("figure svg:visible")
    heights = [drawing.bounding_box()["height"] for drawing in drawings.all()]
    assert len(heights) == state.page.locator("figure").count()
    assert min(heights) > 50


def test_the_answer_sorts_by_a_heading(opened, fixture_page):
    page = opened(fixture_page).page
    page.evaluate("probes.unfold()")
    head = page.locator("#answer-table th", has_text="Learning").locator("button")
    head.click()
    assert levels(page) == ["k3", "q64", "group_norm", "4", "batch_norm", "k3_alias"]
    head.click()
    assert levels(page) == ["batch_norm", "4", "group_norm", "q64", "k3", "k3_alias"]


def test_a_long_table_filters_by_words(opened, fixture_page):
    page = opened(fixture_page).page
    page.evaluate("probes.unfold()")
    box = page.locator(".table", has=page.locator(".filter")).first
    rows = box.locator("tbody tr")
    every = rows.count()
    box.locator(".filter input").fill(" Models HELPS ")
    kept = [text.lower() for text in box.locator("tbody tr:visible").all_inner_texts()]
    assert 0 < len(kept) < every
    assert all("models" in text and "helps" in text for text in kept)
    assert box.locator("output").inner_text() == f"{len(kept)} of {every}"


def test_the_theme_follows_the_system_and_the_button(opened, fixture_page):
    page = opened(fixture_page, theme="dark").page
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(22, 21, 19)"
    page.locator("#theme").click()
    assert page.evaluate(paper) == "rgb(253, 252, 250)"


def test_sections_open_by_links_by_the_address_and_all_at_once(opened, fixture_page):
    page = opened(fixture_page, after="#variance").page
    assert page.locator("#variance").is_visible()
    assert not page.locator("#methods").is_visible()
    page.locator("nav a", has_text="Methods").click()
    assert page.locator("#methods").is_visible()
    page.locator("#unfold").click()
    assert page.locator("details:not([open])").count() == 0
    page.locator("#unfold").click()
    assert page.locator("details[open]").count() == 0


def test_without_scripts_all_is_there_and_no_dead_button(opened, fixture_page):
    page = opened(fixture_page, java_script_enabled=False).page
    assert page.locator("button:visible").count() == 0
    for link in page.locator("nav a").all():
        link.click()
        section = page.locator(link.get_attribute("href"))
        assert section.is_visible()
        section.locator("xpath=..").locator(":scope > summary").click()
        assert not section.is_visible()
    for summary in page.locator(".chapter > summary").all():
        summary.click()
    for summary in page.locator(".chapter details > summary").all():
        summary.click()
    assert page.locator("table:visible").count() == page.locator("table").count()
    assert page.locator("figure:visible").count() == page.locator("figure").count()


def test_marks_tell_their_words_to_pointer_keyboard_and_finger(opened, fixture_page):
    page = opened(fixture_page, has_touch=True).page
    page.evaluate("probes.unfold()")
    mark = page.locator("figure svg:visible [data-tip]").first
    words = mark.get_attribute("data-tip")
    tip = page.locator("#tip")
    mark.hover()
    assert tip.inner_text() == words
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    mark.evaluate("mark => mark.focus({focusVisible: true})")
    assert tip.inner_text() == words
    page.keyboard.press("Escape")
    box = mark.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 9)
    assert tip.inner_text()
    page.keyboard.press("Escape")
    page.locator("th [data-tip]:not(button), th[data-tip] button").first.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert tip.is_visible()


def test_the_first_stop_of_the_keyboard_leads_past_the_header(opened, fixture_page):
    page = opened(fixture_page).page
    page.keyboard.press("Tab")
    skip = page.evaluate("[document.activeElement.className, document.activeElement.hash]")
    assert skip[0] == "skip"
    assert page.locator(skip[1]).count() == 1


def test_only_what_is_wider_than_its_box_stops_the_keyboard(opened, fixture_page):
    page = opened(fixture_page, PHONE).page
    page.evaluate("probes.unfold()")
    page.wait_for_timeout(100)
    boxes = page.locator(".scroll").all()
    states = [
        (box.get_attribute("tabindex") == "0", box.evaluate("b => b.scrollWidth > b.clientWidth"))
        for box in boxes
    ]
    assert {stops for stops, _ in states} == {True, False}
    assert all(stops == wide for stops, wide in states)


def test_a_figure_is_saved_as_a_light_drawing_that_needs_no_page(opened, fixture_page, tmp_path):
    page = opened(fixture_page, theme="dark", accept_downloads=True).page
    page.evaluate("probes.unfold()")
    figure = page.locator("figure", has=page.locator("[data-tip]")).first
    with page.expect_download() as download:
        figure.get_by_text("SVG", exact=True).click()
    assert download.value.suggested_filename == figure.get_attribute("id") + ".svg"
    saved = tmp_path / "figure.svg"
    download.value.save_as(saved)
    text = saved.read_text()
    assert text.startswith("<svg")
    assert "var(" not in text
    assert "#fdfcfa" in text
    assert "<title>" in text
    alone = opened(saved).page
    assert alone.evaluate("document.documentElement.getBBox().width") > 100


def test_paper_gets_what_is_open_and_everything_on_request(opened, fixture_page):
    short, everything = pages_of(opened, fixture_page), pages_of(opened, fixture_page, "?print=all")
    assert short <= 4
    assert 5 <= everything <= 40


def test_the_committed_full_factorial_shows_every_verdict(opened, committed_page):
    analysis = json.loads((SHIPPED / "analysis.json").read_text())
    page = opened(committed_page("full_factorial")).page
    page.evaluate("probes.unfold()")
    rows = page.evaluate(
        """[...document.querySelectorAll("#answer-table tbody tr")].map((row) => [row.dataset.level,
        [...row.querySelectorAll("[data-verdict]")].map((badge) => badge.dataset.verdict)])"""
    )
    wanted = {}
    for answer in (*analysis["responses"].values(), *analysis["comparisons"].values()):
        average = [effect for effect in answer["effects"] if effect["estimand"] == "average"]
        for level in {effect["level"] for effect in average}:
            known = [row for row in average if row["level"] == level and row["se"] is not None]
            shown = [next(row for row in known if not row["scope"])]
            if answer in analysis["responses"].values():
                shown.append(max(known, key=lambda row: len(row["scope"])))
            wanted.setdefault(level, []).extend(row["verdict"] for row in shown)
    assert {level: sorted(verdicts) for level, verdicts in rows} == {
        level: sorted(verdicts) for level, verdicts in wanted.items()
    }
