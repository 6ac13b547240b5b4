"""The page of two studies in a browser, with names that want to act and to push others away."""

from __future__ import annotations

import pytest

from ablatekit.report.comparison.studies import studies_of
from ablatekit.report.write import write_comparison

pytestmark = pytest.mark.full


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desk", "phone"])
@pytest.mark.parametrize("kind", ["hostile", "itself", "nothing"])
def test_every_page_of_two_studies_is_whole(
    opened, pair, renamed, hostile_name, tmp_path, size, kind
):
    first, second = pair({("generalization", "batch_norm"): 0.2})
    if kind == "hostile":
        first, second = (renamed(part, "batch_norm", hostile_name) for part in (first, second))
        first["study"]["title"] = second["study"]["title"] = hostile_name
    if kind == "itself":
        second = first
    if kind == "nothing":
        second["responses"] = {f"other {key}": part for key, part in second["responses"].items()}
        second["comparisons"] = {}
    page = write_comparison(studies_of(first, second), tmp_path / "page")
    state = opened(page, size)
    state.probe("unfold()")
    assert state.probe("overlaps()") == []
    assert state.probe("clipped()") == []
    assert state.probe("wide()") == 0
    assert state.messages == []
    assert state.requests == [page.as_uri()]
