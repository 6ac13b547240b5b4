"""The house style of figures: one canvas, one palette, one way to SVG.

matplotlib draws in sentinel colours that no one sees: on the way to SVG each becomes a CSS variable
of the page, so that one drawing serves light, dark and print. Text stays text: small, searchable,
in the page's own font. Lengths are CSS pixels.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ablatekit.analysis.schema import Number
from ablatekit.report.numbers import Scale
from ablatekit.report.verdicts import Tone

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    "band": "#0b0b0b",
    "series-0": "#0c0c0c",
    "series-1": "#0d0d0d",
    "series-2": "#0e0e0e",
    "series-3": "#0f0f0f",
    "series-4": "#101010",
}
DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
SMALL, NORMAL = 11.0, 12.5
SMALLEST, LARGEST = 0.76, 1.28
"""How far a page may scale a figure: small text stays legible, large text stays text."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": SMALL,
    "axes.linewidth": 0.8,
    "path.simplify": True,
}


Values: TypeAlias = NDArray[np.float64]
_Arguments = ParamSpec("_Arguments")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels from the upper left corner of the canvas."""

    left: float
    top: float
    width: float
    height: float


def styled(draw: Callable[_Arguments, str]) -> Callable[_Arguments, str]:
    """Run a drawing function under the house style, whatever the process has configured."""

    @wraps(draw)
    def drawn(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> str:
        import matplotlib as mpl  # 0.5 s that a terminal summary need not pay

        with mpl.rc_context(), warnings.catch_warnings():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            return draw(*args, **kwargs)

    return drawn


def colour(tone: Tone | str) -> str:
    """The sentinel of a tone."""
    return PALETTE[tone]


def series_style(position: int) -> dict[str, Any]:
    """Colour and dash pattern of the n-th level; the baseline (0) is ink and solid."""
    hues = len([name for name in PALETTE if name.startswith("series-")])
    return {
        "color": PALETTE[f"series-{position % hues}"],
        "linestyle": DASHES[position % len(DASHES)],
    }


def canvas(width: float, height: float) -> Figure:
    """An empty transparent figure; one unit of its SVG is one CSS pixel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    return figure


def panel(figure: Figure, box: Box) -> Axes:
    """Axes at a pixel box, with quiet ticks and only the lower spine."""
    width, height = figure.get_size_inches() * 72
    rect = (
        box.left / width,
        1 - (box.top + box.height) / height,
        box.width / width,
        box.height / height,
    )
    axes = figure.add_axes(rect)
    axes.patch.set_visible(False)
    for side in ("left", "top", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PALETTE["rule"])
    axes.tick_params(colors=PALETTE["muted"], length=0, pad=5, labelsize=SMALL)
    axes.set_axisbelow(True)
    return axes


def number_axis(axes: Axes, which: str, scale: Scale, ticks: int = 5) -> None:
    """At most `ticks` round ticks, labelled in the response's shown unit, with a faint grid."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(_scaled_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]), scale))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value * scale.factor)))
    axis.grid(visible=True, color=PALETTE["grid"], linewidth=0.8)


def _scaled_locator(inner: Any, scale: Scale) -> Any:
    from matplotlib.ticker import Locator

    class Scaled(Locator):
        """Ticks that are round in the shown unit."""

        def __call__(self) -> Any:
            low, high = self.axis.get_view_interval()  # type: ignore[union-attr]
            return self.tick_values(low, high)

        def tick_values(self, vmin: float, vmax: float) -> Any:
            values = inner.tick_values(vmin * scale.factor, vmax * scale.factor) / scale.factor
            inside = (values >= vmin - 1e-12) & (values <= vmax + 1e-12)
            return values[inside]

    return Scaled()


def tick_text(value: float) -> str:
    """A tick label with a true minus and no trailing zeros."""
    text = f"{value:.6g}"
    return ("0" if text == "-0" else text).replace("-", "\N{MINUS SIGN}")


def floats(values: Sequence[Number]) -> Values:
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
    """Positions moved as little as needed to lie at least `gap` apart inside [low, high]."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    placed = [0.0] * len(positions)
    floor = low
    for index in order:
        placed[index] = max(positions[index], floor)
        floor = placed[index] + gap
    ceiling = high
    for index in reversed(order):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed


def shortened(text: str, length: int) -> str:
    """A label that fits: cut with an ellipsis; the tables hold the full name."""
    flat = " ".join(text.split())
    return flat if len(flat) <= length else flat[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def to_svg(figure: Figure, name: str, title: str, alt: str) -> str:
    """The figure as an inline SVG element that is labelled, self-contained and deterministic.

    `name` prefixes every id, so that many figures share one page.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata=metadata)
    width, height = figure.get_size_inches() * 72
    body = _body(buffer.getvalue())
    body = _shorter(_own_ids(_themed(body), name))
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    limits = f"max-width:{LARGEST * width:.0f}px;min-width:{SMALLEST * width:.0f}px"
    label = html.escape(alt, quote=True)
    return (
        f'<svg {size} style="{limits}" role="img" aria-label="{label}">'
        f"<title>{html.escape(title)}</title>{body}</svg>"
    )


def _body(document: str) -> str:
    inner = document[document.index("<svg") :]
    inner = inner[inner.index(">") + 1 : inner.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>", "", inner, flags=re.DOTALL)
    inner = re.sub(r"<style[^>]*>.*?</style>", "", inner, flags=re.DOTALL)
    return re.sub(r"<!--.*?-->", "", inner, flags=re.DOTALL).replace("xlink:href", "href")


def _themed(body: str) -> str:
    for name, sentinel in PALETTE.items():
        body = body.replace(sentinel, f"var(--{name})")
    return re.sub(r"font: ([^;\"]*?)(\d[\d.]*px) [^;\"]*", r"font: \1\2 var(--sans)", body)


def _own_ids(body: str, name: str) -> str:
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', body))
    kept = {identifier for pair in used for identifier in pair if identifier}

    def renamed(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in kept else ""

    body = re.sub(r' id="([^"]+)"', renamed, body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    return body.replace("url(#", f"url(#{name}-")


def _shorter(body: str) -> str:
    """Coordinates at a hundredth of a pixel; text between tags is left as it is."""

    def rounded(tag: re.Match[str]) -> str:
        return re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0])

    body = re.sub(r"<[^<>]+>", rounded, body)
    body = re.sub(r">\s+<", "><", body)
    return re.sub(r"[ \t]*\n[ \t]*", " ", body).strip()
