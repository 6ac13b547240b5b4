"""From a picture to SVG inside a page, or to a file of its own."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING, Any, Literal

from ablatekit.report.document import Picture
from ablatekit.report.figures.panel import PIXELS_PER_INCH, TIP, tip_text
from ablatekit.report.figures.style import LIGHT, PALETTE, SMALL, house_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 1.28
"""How far a page may enlarge a figure; none is made smaller, which would make text illegible."""
INHERITED = {
    "fill: none", "stroke-dashoffset: 0", "stroke-linejoin: miter", "stroke-linecap: butt",
    "text-anchor: start", f"font-size: {SMALL:g}px",
}  # fmt: skip
"""What the element that holds a drawing says once, or what need not be said."""
_STYLE = r'( style="[^"]*")'
_PATH, _PATH_LIKE_IT = (rf'<path d="[^"]*"{style}/>' for style in (_STYLE, r"\1"))
_USE, _USE_LIKE_IT = (
    rf'<use href="#[^"]*" x="[^"]*" y="[^"]*"{style}/>' for style in (_STYLE, r"\1")
)
NESTED = 2
"""Groups of one part inside each other, as matplotlib writes them."""
IMAGE_DPI = 144
COLOURS = 64
"""Of a PNG: those of the style, and those between them."""


def svg(picture: Picture, *, narrow: bool = False) -> str:
    """An inline SVG element that is labelled, self-contained and deterministic.

    The picture's id prefixes every id, so that many figures share one page; those of the `narrow`
    drawing, where the picture has one, differ from those of the wide one. Text stays text: small,
    searchable, in the page's own font.
    """
    import matplotlib as mpl

    draw = picture.narrow if narrow else None
    name = f"{picture.id}-narrow" if draw else picture.id
    buffer = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with house_style(), mpl.rc_context({"svg.hashsalt": name}):
        figure = (draw or picture.draw)()
        figure.savefig(buffer, format="svg", metadata=metadata)
    body = _shorter(_own_ids(_tips(_themed(_body(buffer.getvalue()))), name))
    return f"{_opening(figure, picture)}<title>{html.escape(picture.title)}</title>{body}</svg>"


def image(picture: Picture, kind: Literal["png", "pdf"], dpi: float = IMAGE_DPI) -> bytes:
    """The figure as the content of a file, in the colours of the light page; deterministic."""
    with house_style(LIGHT):
        figure = picture.draw()
        return _pdf(figure) if kind == "pdf" else _png(figure, dpi)


def light_figure(picture: Picture) -> Figure:
    """The figure itself, in the colours of the light page, on its paper."""
    with house_style(LIGHT):
        figure = picture.draw()
    figure.patch.set(visible=True, facecolor=LIGHT["paper"])
    return figure


def _pdf(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    silent = dict.fromkeys(("Creator", "Producer", "CreationDate"))
    figure.savefig(buffer, format="pdf", metadata=silent)
    return buffer.getvalue()


def _png(figure: Figure, dpi: float) -> bytes:
    """In a palette of few colours: a third of the size, and no eye sees the difference."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.patch.set(visible=True, facecolor=LIGHT["paper"])
    figure.set_dpi(dpi)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    size = canvas.get_width_height(physical=True)
    drawn = Image.frombuffer("RGBA", size, canvas.buffer_rgba()).convert("RGB")
    method, dither = Image.Quantize.FASTOCTREE, Image.Dither.NONE
    buffer = io.BytesIO()
    drawn.quantize(COLOURS, method=method, dither=dither).save(buffer, "png")
    return buffer.getvalue()


def _opening(figure: Figure, picture: Picture) -> str:
    """The element with what all of its parts inherit."""
    width, height = figure.get_size_inches() * PIXELS_PER_INCH
    limits = f"max-width:{LARGEST * width:.0f}px;min-width:{width:g}px"
    attributes = {
        "viewBox": f"0 0 {width:g} {height:g}",
        "width": f"{width:g}",
        "height": f"{height:g}",
        "fill": "none",
        "style": f"font:{SMALL:g}px/1 var(--sans);{limits}",
        "role": "img",
        "aria-label": picture.alt,
    }
    written = (f'{name}="{html.escape(value, quote=True)}"' for name, value in attributes.items())
    return f"<svg {' '.join(written)}>"


def _body(document: str) -> str:
    inner = document[document.index("<svg") :]
    inner = inner[inner.index(">") + 1 : inner.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>", "", inner, flags=re.DOTALL)
    inner = re.sub(r"<style[^>]*>.*?</style>", "", inner, flags=re.DOTALL)
    return re.sub(r"<!--.*?-->", "", inner, flags=re.DOTALL).replace("xlink:href", "href")


def _themed(body: str) -> str:
    for name, sentinel in PALETTE.items():
        body = body.replace(sentinel, f"var(--{name})")
    return body


def _tips(body: str) -> str:
    """Words that a browser shows to who points at a mark; the alternative text has them too."""
    return re.sub(
        rf'<g id="({TIP}[0-9a-f]+)">',
        lambda match: f"<g><title>{html.escape(tip_text(match[1]))}</title>",
        body,
    )


def _own_ids(body: str, name: str) -> str:
    """Ids that are referred to, numbered under the picture's; no others."""
    used = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', body))
    numbered = {identifier: f"{name}-{number}" for number, identifier in enumerate(used)}

    def renamed(match: re.Match[str]) -> str:
        return f' id="{numbered[match[1]]}"' if match[1] in numbered else ""

    body = re.sub(r' id="([^"]+)"', renamed, body)
    for identifier, short in numbered.items():
        body = body.replace(f'#{identifier}"', f'#{short}"').replace(
            f"#{identifier})", f"#{short})"
        )
    return body


def _shorter(body: str) -> str:
    """Without what is inherited or cannot be seen; text between tags is left as it is."""
    body = re.sub(r"<[^<>]+>", lambda tag: _short_tag(tag[0]), body)
    body = re.sub(r">\s+<", "><", body).replace("<defs></defs>", "").replace("<g/>", "")
    for _ in range(NESTED):
        body = re.sub(r"<g>(<[^<>]*/>|<text[^<>]*>[^<>]*</text>)</g>", r"\1", body)
    body = _shared_styles(body)
    return re.sub(r"[ \t]*\n[ \t]*", " ", body).strip()


def _short_tag(tag: str) -> str:
    if tag.startswith("<use "):
        tag = re.sub(r"; stroke[^;\"]*|(?<=\")stroke[^;\"]*; ", "", tag)
    tag = re.sub(r' style="([^"]*)"', lambda found: _short_style(found[1]), tag)
    tag = re.sub(r' transform="rotate\(-?0 [^"]*"', "", tag)
    tag = re.sub(r'(?<= [xy]=")[^"]+', lambda found: _short_number(float(found[0])), tag)
    return re.sub(r'(?<= d=")[^"]+', lambda found: _short_path(found[0]), tag)


def _short_style(style: str) -> str:
    kept = [
        part.replace(": ", ":").replace(":0.", ":.")
        for part in style.split("; ")
        if part not in INHERITED and not part.startswith("font-family")
    ]
    return f' style="{";".join(kept)}"' if kept else ""


def _short_number(value: float) -> str:
    """A length at a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0").replace("-0.", "-.")


def _short_path(path: str) -> str:
    """A path at a tenth of a pixel, in steps where it only has straight lines."""
    words = path.split()
    if set(filter(str.isalpha, words)) - set("MLz"):
        rounded = re.sub(r"(\.\d\d)\d+", r"\1", path).strip()
        return re.sub(r"\s?([A-Za-z])\s?", r"\1", re.sub(r"\b0\.", ".", rounded)).replace(" -", "-")
    written, at, commands = "", (0, 0), iter(words)
    for command in commands:
        if command == "z":
            written += "z"
            continue
        x, y = (round(10 * float(next(commands))) for _ in range(2))
        written += f"M{_tenths(x, y)}" if command == "M" else _step(x - at[0], y - at[1])
        at = x, y
    return written


def _step(across: int, down: int) -> str:
    if not down:
        return f"h{_tenths(across)}"
    return f"l{_tenths(across, down)}" if across else f"v{_tenths(down)}"


def _tenths(*numbers: int) -> str:
    return " ".join(_short_number(number / 10) for number in numbers).replace(" -", "-")


def _shared_styles(body: str) -> str:
    """Neighbours in one style: lines as one path, marks in a group that has the style."""
    body = re.sub(rf"{_PATH}(?:{_PATH_LIKE_IT})+", _one_path, body)
    body = re.sub(rf"{_USE}(?:{_USE_LIKE_IT})+", _one_group, body)
    return _words_last(body)


def _one_path(paths: re.Match[str]) -> str:
    """Paths that hide nothing of each other, drawn in one go."""
    if "opacity" in paths[1]:
        return paths[0]
    steps = re.findall(' d="([^"]*)', paths[0])
    return f'<path d="{"".join(steps)}"{paths[1]}/>'


def _one_group(parts: re.Match[str]) -> str:
    return f"<g{parts[1]}>{parts[0].replace(parts[1], '')}</g>"


def _words_last(body: str) -> str:
    """Words over all that is drawn, those of one style in a group that has it."""
    by_style: dict[str, str] = {}
    for style, words in re.findall(r"<text( style=\"[^\"]*\")?([^<>]*>[^<>]*</text>)", body):
        by_style[style] = by_style.get(style, "") + f"<text{words}"
    shapes = re.sub(r"<text[^<>]*>[^<>]*</text>", "", body)
    return shapes + "".join(f"<g{style}>{words}</g>" for style, words in by_style.items())
