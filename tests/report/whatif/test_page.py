"""Exploring on the page: what moves, what stays, what comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ablatekit.report.compose import compose
from ablatekit.report.formats.html import render_page

pytestmark = pytest.mark.full
DESK, PHONE = (1280, 800), (390, 844)
STATE = """() => ({
  banner: document.querySelector(".exploring").hidden
    ? "" : document.querySelector(".exploring").textContent,
  headline: document.querySelector(".headline").textContent,
  settled: document.querySelector("[data-settled]")?.textContent ?? "",
  table: document.querySelector("#answer-table tbody").innerHTML,
  exploring: document.documentElement.classList.contains("is-exploring"),
})"""
VERDICTS = """() => [...document.querySelectorAll("#answer-table .judged .badge")].map(
  (badge) => [badge.dataset.verdict, badge.dataset.size ?? null, badge.textContent.trim()])"""


@pytest.fixture
def explored(opened: Any, analysed_study: Any, tmp_path: Path) -> Callable[..., Any]:
    """Opens the page of a study."""

    def opening(name: str, size: tuple[int, int] = DESK, margin: Any = 0.02, **options: Any) -> Any:
        path = tmp_path / "page.html"
        path.write_text(render_page(compose(analysed_study(name, margin=margin))))
        return opened(path, size, **options)

    return opening


def fields(page: Any) -> Any:
    return page.locator("#what-if input[type=number]")


def test_moving_a_bound_moves_the_answer_and_reset_brings_it_back(explored: Any) -> None:
    state = explored("two scopes")
    page = state.page
    before, verdicts = page.evaluate(STATE), page.evaluate(VERDICTS)
    assert (before["banner"], before["exploring"]) == ("", False)
    fields(page).nth(1).fill("6")
    fields(page).nth(0).fill("0.001")
    moved = page.evaluate(STATE)
    assert "alpha 0.001, 6 points" in moved["banner"]
    assert "declared: alpha 0.05, 2 points" in moved["banner"]
    assert moved["exploring"]
    assert moved["headline"] != before["headline"]
    assert moved["settled"] == before["settled"] != ""
    assert page.evaluate(VERDICTS) != verdicts
    page.locator(".exploring .reset").click()
    assert page.evaluate(STATE) == before
    assert [fields(page).nth(place).input_value() for place in range(2)] == ["0.05", "2"]
    assert state.messages == []


def test_declared_values_typed_by_hand_are_the_declared_ones(explored: Any) -> None:
    page = explored("one scope").page
    before = page.evaluate(STATE)
    fields(page).nth(0).fill("0.2")
    assert page.evaluate(STATE)["exploring"]
    fields(page).nth(0).fill("0.0500")
    fields(page).nth(1).fill("2.0")
    assert page.evaluate(STATE) == before


def test_table_and_headline_are_those_of_an_analysis_with_these_bounds(
    explored: Any, analysed_study: Any, opened: Any, tmp_path: Path
) -> None:
    page = explored("two scopes").page
    fields(page).nth(0).fill("0.01")
    fields(page).nth(1).fill("4")
    path = tmp_path / "wanted.html"
    path.write_text(render_page(compose(analysed_study("two scopes", alpha=0.01, margin=0.04))))
    wanted = opened(path).page
    assert page.evaluate(VERDICTS) == wanted.evaluate(VERDICTS)
    shown = """() => [...document.querySelectorAll("#answer-table .effect")].map((part) => [
      part.querySelector("strong").textContent, part.querySelector(".note").textContent])"""
    assert page.evaluate(shown) == wanted.evaluate(shown)
    headline = "() => document.querySelector('.headline').textContent.trim()"
    assert page.evaluate(headline) == wanted.evaluate(headline)


REPORTS = Path(__file__).parents[3] / "reports"
SHIPPED = sorted(path.parent.name for path in REPORTS.glob("*/analysis.json"))
WRITTEN = """() => ({
  badges: [...document.querySelectorAll("#answer-table .judged")].map((part) => {
    const badge = part.querySelector(".badge");
    return [
      Object.fromEntries([...badge.attributes].map(({name, value}) => [name, value])),
      badge.innerHTML, part.querySelector(".size")?.textContent ?? ""];
  }),
  effects: [...document.querySelectorAll("#answer-table .effect")].map((part) => part.innerHTML),
  headline: document.querySelector(".headline").textContent.trim(),
})"""


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_written_anew_reads_as_it_was_printed(
    opened: Any, committed_page: Any, name: str
) -> None:
    """Every entry is rewritten for an alpha that differs from the declared one by rounding."""
    state = opened(committed_page(name))
    page = state.page
    printed = page.evaluate(WRITTEN)
    page.evaluate("() => { whatif.state.alpha *= 1 + 1e-13; whatif.update(); }")
    assert page.evaluate(STATE)["exploring"]
    assert page.evaluate(WRITTEN) == printed
    assert len(printed["badges"]) > 0
    page.locator(".exploring .reset").click()
    assert page.evaluate(WRITTEN) == printed
    assert state.messages == []


def test_print_holds_the_declared_values(explored: Any) -> None:
    page = explored("one scope").page
    before = page.evaluate(STATE)
    fields(page).nth(1).fill("9")
    moved = page.evaluate(STATE)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(STATE) == before
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(STATE) == moved
    page.emulate_media(media="print")
    assert not page.locator("#what-if").is_visible()
    assert not page.locator(".exploring").is_visible()


def test_keys_move_a_slider_and_its_field(explored: Any) -> None:
    page = explored("one scope").page
    slider = page.locator("#what-if input[type=range]").first
    slider.focus()
    assert slider.get_attribute("aria-valuetext") == "0.05"
    page.keyboard.press("Home")
    assert fields(page).first.input_value() == "0.001"
    page.keyboard.press("End")
    assert fields(page).first.input_value() == "0.2"
    assert page.evaluate(STATE)["exploring"]


@pytest.mark.parametrize("value", ["", "-1", "0", "1", "1e9"])
def test_an_alpha_that_is_none_changes_nothing(explored: Any, value: str) -> None:
    page = explored("one scope").page
    before = page.evaluate(STATE)
    fields(page).first.fill(value)
    assert fields(page).first.get_attribute("aria-invalid") == "true"
    assert page.evaluate(STATE) == before
    fields(page).first.blur()
    assert fields(page).first.input_value() == "0.05"


def test_extreme_margins_are_judged(explored: Any) -> None:
    state = explored("one scope")
    page = state.page
    fields(page).nth(1).fill("1e300")
    assert {size for _, size, _ in page.evaluate(VERDICTS)} <= {"less", None}
    fields(page).nth(1).fill("0")
    assert not {"equivalent"} & {verdict for verdict, _, _ in page.evaluate(VERDICTS)}
    assert state.messages == []


def test_a_margin_may_be_tried_where_none_is_declared(explored: Any) -> None:
    page = explored("lower is better", margin=None).page
    margin = fields(page).nth(1)
    assert margin.input_value() == ""
    assert margin.get_attribute("placeholder") == "none"
    before = page.evaluate(STATE)
    margin.fill("5")
    assert {size for _, size, _ in page.evaluate(VERDICTS)} & {"less", "by_more", "open"}
    assert "declared: alpha 0.05, no smallest effect" in page.evaluate(STATE)["banner"]
    margin.fill("")
    assert page.evaluate(STATE) == before


def test_a_choice_is_predicted_and_one_that_never_ran_is_not(explored: Any) -> None:
    page = explored("holes").page
    predictions, first = page.locator(".predictions"), page.locator("#what-if-factor-0")
    second = page.locator("#what-if-factor-1")
    assert "This is the baseline." in predictions.inner_text()
    first.select_option("l1")
    assert "[" in predictions.inner_text()
    assert "in a new model" in predictions.inner_text()
    first.select_option(index=2)
    assert second.locator("option").all_inner_texts() == ["l0", "l1", "l2 (not run)"]
    second.select_option(index=2)
    assert "was not run" in predictions.inner_text()
    assert not any(letter.isdigit() for letter in predictions.inner_text())


def test_alpha_moves_the_intervals_of_predictions(explored: Any) -> None:
    page = explored("one scope").page
    page.locator("#what-if-factor-0").select_option("l1")
    before = page.locator(".predictions").inner_text()
    fields(page).first.fill("0.2")
    assert page.locator(".predictions").inner_text() != before


def test_choices_are_compared_with_each_other(explored: Any) -> None:
    page = explored("one scope").page
    other = page.locator("#what-if-other")
    names = other.locator("option").all_inner_texts()
    assert names == ["the baseline", "B: l1", "A: l1", "A: l1, B: l1"]
    page.locator("#what-if-factor-0").select_option("l1")
    other.select_option(label="A: l1, B: l1")
    text = page.locator(".predictions").inner_text()
    assert "difference" in text
    assert "gain over the baseline" not in text
    other.select_option(label="A: l1")
    assert "the same choice" in page.locator(".predictions").inner_text()


def test_without_scripts_there_is_no_what_if(explored: Any) -> None:
    page = explored("one scope", java_script_enabled=False).page
    assert not page.locator("#what-if").is_visible()
    assert page.locator("#answer-table .badge").first.is_visible()
    assert page.locator(".headline").is_visible()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_exploring_is_legible_reachable_and_whole(explored: Any, size: Any, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    state = explored("holes", size, theme=theme)
    page = state.page
    page.add_style_tag(content="html { scroll-behavior: auto; }")
    fields(page).nth(1).fill("6")
    page.locator("#what-if-factor-0").select_option("l1")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("scrollY === 0")
    for probe in ("wide()", "overlaps()", "clipped()", "contrast()"):
        assert state.probe(probe) in ([], 0), probe
    violations = axe.run(page).response["violations"]
    assert {rule["id"]: [node["html"][:90] for node in rule["nodes"]] for rule in violations} == {}
