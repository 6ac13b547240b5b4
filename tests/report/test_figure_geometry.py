"""Every figure: words inside the canvas, none over another, wide enough for no phone to shrink."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ablatekit.report.compose import compose
from ablatekit.report.document import PHONE
from ablatekit.report.figures.panel import PIXELS_PER_INCH
from ablatekit.report.figures.render import svg
from ablatekit.report.figures.style import SMALL, house_style

LEVELS, NO_NUMBER = 16, 3
"""How many levels the crowded factor has, and which of them has no number."""


def crowded(analysis: Any) -> Any:
    """`group_norm` as many levels with long, wide and equal names; some without numbers."""
    names = [
        f"a_level_whose_name_has_no_end_of_{number:02}_and_more_after_it" for number in range(9)
    ]
    names += [f"模型设置的很长的名字没有尽头{number}" for number in range(5)]
    names += [f"x{number}" * 9 for number in range(LEVELS - 1 - len(names))]
    return _many(analysis, names)


def _many(value: Any, names: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _many(item, names) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    parts: list[Any] = []
    for item in value:
        if item == "group_norm":
            parts += names
        elif isinstance(item, str):
            parts.append(item.replace("group_norm", names[0]))
        elif isinstance(item, dict) and _is_of(item, "group_norm"):
            parts += [_copy(item, name, number) for number, name in enumerate(names)]
        else:
            parts.append(_many(item, names))
    return parts


def _is_of(row: dict[str, Any], level: str) -> bool:
    """Whether a row is of a level, or of a cell that has it."""
    levels = row.get("levels")
    of_cell = isinstance(levels, dict) and level in levels.values()
    return of_cell or level in str(row.get("level", ""))


def _copy(row: dict[str, Any], name: str, number: int) -> dict[str, Any]:
    copied = json.loads(json.dumps(row).replace("group_norm", name))
    for key in ("estimate", "low", "high", "prediction_low", "prediction_high"):
        if isinstance(copied.get(key), float):
            copied[key] = None if number == NO_NUMBER else copied[key] + 0.004 * number
    if "mean" in copied and isinstance(copied["mean"], list):
        copied["mean"] = [
            None if number == NO_NUMBER else mean + 0.002 * number for mean in copied["mean"]
        ]
    return copied


@pytest.fixture(scope="module", params=["plain", "hostile", "crowded"])
def shown(request, built_analysis, hostile_analysis) -> Any:
    analyses = {"plain": built_analysis, "hostile": hostile_analysis}
    return analyses.get(request.param) or crowded(built_analysis)


def drawings(analysis: Any) -> Iterator[tuple[str, Any]]:
    for picture in compose(analysis).pictures():
        with house_style():
            yield picture.id, picture.draw()
            if picture.narrow is not None:
                yield f"{picture.id} narrow", picture.narrow()


def test_words_lie_inside_and_apart(shown, clashes):
    for name, figure in drawings(shown):
        assert not clashes(figure), name


def test_a_phone_shows_every_word_at_its_size(shown):
    for picture in compose(shown).pictures():
        with house_style():
            figure = (picture.narrow or picture.draw)()
        assert figure.get_size_inches()[0] * PIXELS_PER_INCH <= PHONE + 0.01, picture.id
        assert min(text.get_fontsize() for text in figure.texts) >= SMALL, picture.id


def test_figures_draw_the_same_twice(built_analysis):
    drawn = [[svg(picture) for picture in compose(built_analysis).pictures()] for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_figures_give_their_numbers(shown):
    for picture in compose(shown).pictures():
        assert picture.data is not None, picture.id
        data = picture.data()
        assert data.rows
        assert all(len(row) == len(data.columns) for row in data.rows)
        json.dumps([list(row) for row in data.rows], allow_nan=False)


def test_no_label_is_cut(built_analysis):
    analysis = crowded(built_analysis)
    names = [level for level in analysis["design"]["factors"][0]["levels"] if level != "none"]
    pictures = {picture.id: picture for picture in compose(analysis).pictures()}
    for identifier in ("forest-generalization", "curve-learning-advantage", "map-gap"):
        with house_style():
            figure = pictures[identifier].draw()
        written = "".join(text.get_text() for text in figure.texts).replace(" ", "")
        missing = [name for name in names if name not in written]
        without = [name for name in names if f"of_{NO_NUMBER:02}" in name]
        assert missing == (without if identifier == "map-gap" else []), identifier
