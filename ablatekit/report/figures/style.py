"""The house style of figures: one palette, one way to lay out numbers and labels.

For a page, figures are drawn in sentinel colours that no one sees: on the way to SVG each becomes a
CSS variable of the page, so that one drawing serves light, dark and print. Files (PNG, PDF) are
drawn in the colours of the light page.
"""

from __future__ import annotations

import unicodedata
import warnings
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.language.verdicts import Tone

PALETTE = {
    "ink": "#010101",
    "muted": "#020202",
    "rule": "#030303",
    "grid": "#040404",
    "paper": "#050505",
    "good": "#060606",
    "bad": "#070707",
    "same": "#080808",
    "open": "#090909",
    "none": "#0a0a0a",
    "shift": "#111111",
    "band": "#0b0b0b",
    "series-0": "#0c0c0c",
    "series-1": "#0d0d0d",
    "series-2": "#0e0e0e",
    "series-3": "#0f0f0f",
    "series-4": "#101010",
    "axis": "#121212",
}
"""What each tone is called, and the sentinel that stands for it.

`ink` and `muted` are text, `axis` lines that mean something (zero, axes, where a new level may
lie), `rule`, `grid` and `band` decoration; the others are marks.
"""
LIGHT = {
    "ink": "#1d1b19",
    "muted": "#6a655f",
    "rule": "#c9c3ba",
    "grid": "#e4dfd8",
    "paper": "#fdfcfa",
    "good": "#0b6b72",
    "bad": "#b3431c",
    "same": "#47566b",
    "open": "#6a655f",
    "none": "#8b857d",
    "shift": "#5a4a85",
    "band": "#f0ece5",
    "series-0": "#3a3631",
    "series-1": "#14708f",
    "series-2": "#b65017",
    "series-3": "#6f4a9c",
    "series-4": "#4d7a22",
    "axis": "#8a847b",
}
"""The colours of the light page (page.css), for files."""
DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""As many as have no factor in common with the dashes: without colour, 28 series differ."""
SMALL, NORMAL = 11.0, 12.5
FONT_SIZE, FIXED_POINT, UNKNOWN_GLYPH = 100.0, 65536, 1.155
"""Size at which glyphs are measured, the unit of what FreeType says of them, and the width of what
matplotlib draws for a character that no font has."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "pdf.fonttype": 3,
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": SMALL,
    "path.simplify": True,
}
_palette: ContextVar[Mapping[str, str]] = ContextVar("palette", default=PALETTE)

PlotValues: TypeAlias = NDArray[np.float64]


@contextmanager
def house_style(palette: Mapping[str, str] = PALETTE) -> Iterator[None]:
    """Draw in one style and palette, whatever the process has configured; leaves no trace."""
    import matplotlib as mpl  # 0.5 s that a terminal summary need not pay

    token = _palette.set(palette)
    try:
        with mpl.rc_context(), warnings.catch_warnings():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            yield
    finally:
        _palette.reset(token)


def colour(tone: Tone | str) -> str:
    """The colour of a tone in the palette at hand."""
    return _palette.get()[tone]


def series_style(position: int) -> tuple[str, Any]:
    """Tone and dash pattern of the n-th level; the baseline (0) is ink and solid."""
    hues = len([name for name in PALETTE if name.startswith("series-")])
    return f"series-{position % hues}", DASHES[position % len(DASHES)]


def series_marker(position: int) -> str:
    """The mark of the n-th level, with the line of `series_style`."""
    return MARKERS[position % len(MARKERS)]


def tick_text(value: float) -> str:
    """A tick label with a true minus and no trailing zeros."""
    text = f"{value:.6g}"
    return ("0" if text == "-0" else text).replace("-", "\N{MINUS SIGN}")


def floats(values: Sequence[Number]) -> PlotValues:
    """Numbers as an array with NaN for what is missing."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def padded(values: Sequence[Number], margin: float = 0.06) -> tuple[float, float]:
    """Limits that hold all finite values with a margin; (-1, 1) when there is nothing to hold."""
    every = floats(values)
    known = every[np.isfinite(every)]
    if known.size == 0:
        return -1.0, 1.0
    low, high = float(known.min()), float(known.max())
    room = (high - low) * margin or max(abs(high), 1e-9) * 0.5
    return low - room, high + room


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions moved as little as needed to lie at least `gap` apart inside [low, high].

    Without room for that they lie as far apart as there is room.
    """
    count = len(positions)
    if count > 1:
        gap = min(gap, (high - low) / (count - 1))
    order = sorted(range(count), key=lambda index: positions[index])
    wanted = [positions[index] - gap * rank for rank, index in enumerate(order)]
    placed = [0.0] * count
    for rank, (index, place) in enumerate(zip(order, _rising(wanted), strict=True)):
        placed[index] = min(max(place, low), high - gap * (count - 1)) + gap * rank
    return placed


def _rising(values: Sequence[float]) -> list[float]:
    """The nearest sequence that never falls: neighbours that fall are replaced by their mean."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, size = value, 1
        while blocks and blocks[-1][0] > mean:
            before, earlier = blocks.pop()
            mean = (mean * size + before * earlier) / (size + earlier)
            size += earlier
        blocks.append((mean, size))
    return [mean for mean, size in blocks for _ in range(size)]


def text_width(words: str, size: float = SMALL) -> float:
    """Pixels that words take in the font of files, which is wider than those of pages."""
    return sum(map(_advance, words)) * size


@cache
def _advance(character: str) -> float:
    """Width of a character in ems; of one that the font lacks, that of the box in its place."""
    from matplotlib.ft2font import LoadFlags

    if unicodedata.combining(character):
        return 0.0
    font = _font()
    if font.get_char_index(ord(character)) == 0:
        return UNKNOWN_GLYPH
    glyph = font.load_char(ord(character), flags=LoadFlags.NO_HINTING)
    return float(glyph.linearHoriAdvance) / FIXED_POINT / FONT_SIZE


@cache
def _font() -> Any:
    """A font of our own: drawing changes the size of those that matplotlib shares."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    font = FT2Font(findfont(_STYLE["font.family"][0]))
    font.set_size(FONT_SIZE, 72)
    return font


def fitted(text: str, width: float, size: float = SMALL) -> str:
    """A label that takes at most `width` pixels, cut with an ellipsis; the data hold all of it."""
    flat = " ".join(text.split())
    if text_width(flat, size) <= width:
        return flat
    ellipsis = "\N{HORIZONTAL ELLIPSIS}"
    lengths = range(len(flat))
    kept = bisect_right(lengths, width, key=lambda end: text_width(flat[:end] + ellipsis, size)) - 1
    return flat[: max(kept, 0)].rstrip() + ellipsis
