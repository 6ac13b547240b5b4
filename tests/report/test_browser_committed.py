"""Every committed report in a browser: legible, reachable, whole, at a desk and on a phone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.full
REPORTS = Path(__file__).parents[2] / "reports"
KINDS = ("analysis.json", "comparison.json")
NAMES = sorted(path.parent.name for kind in KINDS for path in REPORTS.glob(f"*/{kind}"))
DESK, PHONE = (1280, 800), (390, 844)
SIZES = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
LARGEST = 2_000_000


def sheets(page):
    content = page.pdf(prefer_css_page_size=True)
    return len(re.findall(rb"/Type /Page\b", content))


@pytest.fixture(params=NAMES)
def path(request, committed_page):
    """The page of each committed report, and of each committed comparison."""
    return committed_page(request.param)


ALONE = """document.querySelectorAll("main > :not(.brief)").forEach((part) => part.remove())"""


@SIZES
def test_the_first_screen_holds_the_answer_its_price_and_how_far_to_trust_it(opened, path, size):
    page = opened(path, size).page
    _, height = size

    def lowest(selector):
        box = page.locator(selector).bounding_box()
        return box["y"] + box["height"]

    assert lowest(".headline") < height
    assert re.search(r"\d", page.locator(".headline").inner_text())
    assert lowest(".settled") < height
    assert page.locator(".brief figcaption").bounding_box()["y"] < height - 100
    if size == PHONE:
        assert lowest(".trusted") < height
    if size == DESK:
        assert lowest(".trust") < height
        assert lowest(".brief figure") < height
        assert page.locator(".brief thead").bounding_box()["y"] < height


def test_the_brief_prints_on_one_sheet_and_the_rest_on_few(opened, path):
    page = opened(path).page
    whole = sheets(page)
    page.evaluate(ALONE)
    assert sheets(page) == 1
    assert 1 < whole <= 4


def test_a_page_is_small_enough_to_send(path):
    assert path.stat().st_size <= LARGEST


@SIZES
def test_every_text_is_there_whole_and_none_lies_on_another(opened, path, size):
    state = opened(path, size)
    state.probe("unfold()")
    assert state.probe("overlaps()") == []
    assert state.probe("clipped()") == []
    assert state.probe("wide()") == 0


def test_no_text_is_smaller_than_a_phone_shows_well(opened, path):
    state = opened(path, PHONE)
    state.probe("unfold()")
    assert state.probe("small(11)") == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_and_marks_stand_out_from_their_ground(opened, path, theme):
    state = opened(path, theme=theme)
    state.probe("unfold()")
    assert state.probe("contrast()") == []
    assert state.probe("marks()") == []


@SIZES
def test_axe_finds_nothing(opened, path, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    state = opened(path, size)
    state.probe("unfold()")
    violations = axe.run(state.page).response["violations"]
    found = {rule["id"]: [node["html"][:90] for node in rule["nodes"][:3]] for rule in violations}
    assert found == {}


def test_nothing_is_asked_of_the_network_and_nothing_fails(opened, path):
    state = opened(path)
    state.probe("unfold()")
    assert state.requests == [path.as_uri()]
    assert state.messages == []
