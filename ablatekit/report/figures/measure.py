"""How wide words are; marks of levels."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SMALL = 11.0


def series_marker(position: int) -> str:
    """The mark of the n-th level, with the line of `series_style`."""
    return MARKERS[position % len(MARKERS)]


def text_width(words: str, size: float = SMALL) -> float:
    """Pixels that words take in the font of files, which is wider than those of pages."""
    return sum(_advance(character) for character in words) * size


@cache
def _advance(character: str) -> float:
    """Width of a character in ems; of one that the font lacks, a wide guess."""
    if unicodedata.combining(character):
        return 0.0
    font = _font()
    if font.get_char_index(ord(character)) == 0:
        return 1.05 if unicodedata.east_asian_width(character) in "WF" else 0.7
    return float(font.load_char(ord(character), flags=_unhinted()).linearHoriAdvance) / 65536 / 100


@cache
def _font() -> Any:
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    font.set_size(100, 72)
    return font


def _unhinted() -> Any:
    from matplotlib.ft2font import LoadFlags

    return LoadFlags.NO_HINTING
