"""From a picture to SVG inside a page, or to a file of its own."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING, Literal

from ablatekit.report.document import Picture
from ablatekit.report.figures.panel import PIXELS_PER_INCH, TIP, tip_text
from ablatekit.report.figures.style import LIGHT, PALETTE, house_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST, LARGEST = 0.76, 1.28
"""How far a page may scale a figure: small text stays legible, large text stays text."""
IMAGE_DPI = 144


def svg(picture: Picture) -> str:
    """An inline SVG element that is labelled, self-contained and deterministic.

    The picture's id prefixes every id, so that many figures share one page. Text stays text: small,
    searchable, in the page's own font.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with house_style(), mpl.rc_context({"svg.hashsalt": picture.id}):
        figure = picture.draw()
        figure.savefig(buffer, format="svg", metadata=metadata)
    body = _shorter(_own_ids(_tips(_themed(_body(buffer.getvalue()))), picture.id))
    return f"{_opening(figure, picture)}<title>{html.escape(picture.title)}</title>{body}</svg>"


def image(picture: Picture, kind: Literal["png", "pdf"]) -> bytes:
    """The figure as the content of a file, in the colours of the light page; deterministic."""
    buffer = io.BytesIO()
    silent = {"png": ("Software",), "pdf": ("Creator", "Producer", "CreationDate")}[kind]
    with house_style(LIGHT):
        figure = picture.draw()
        if kind == "png":
            figure.patch.set(visible=True, facecolor=LIGHT["paper"])
        figure.savefig(buffer, format=kind, dpi=IMAGE_DPI, metadata=dict.fromkeys(silent))
    return buffer.getvalue()


def _opening(figure: Figure, picture: Picture) -> str:
    width, height = figure.get_size_inches() * PIXELS_PER_INCH
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    limits = f"max-width:{LARGEST * width:.0f}px;min-width:{SMALLEST * width:.0f}px"
    label = html.escape(picture.alt, quote=True)
    return f'<svg {size} style="{limits}" role="img" aria-label="{label}">'


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


def _tips(body: str) -> str:
    """Words that a browser shows to who points at a mark; the alternative text has them too."""
    return re.sub(
        rf'<g id="({TIP}[0-9a-f]+)">',
        lambda match: f"<g><title>{html.escape(tip_text(match[1]))}</title>",
        body,
    )


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
    body = re.sub(r"<g>(<[^<>]*/>)</g>", r"\1", body)
    return re.sub(r"[ \t]*\n[ \t]*", " ", body).strip()
