"""A document as a part of somebody else's page: the cell of a notebook.

The templates, the colours and the look of the parts are those of the page. It has no script, its
style reaches nothing around it, and every text in it is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from markupsafe import Markup, escape

from ablatekit.report.document import Block, Brief, Document, Fold, Gallery, Picture, Table
from ablatekit.report.formats.html import asset, environment_of, render_page

SCOPE = ".ablatekit"
PARTS = ("Brief", "Verdicts", "Tables", "Figures")
"""The parts of the page's style that a fragment has."""
DARK = (
    '[data-jp-theme-light="false"]', "body.vscode-dark", 'html[data-theme="dark"]',
    'html[theme="dark"]',
)  # fmt: skip
"""How pages around say that they are dark: JupyterLab, VS Code, sites of documents, Colab."""
TOLD = "body:not([data-jp-theme-light], .vscode-light)"
"""A page that says nothing of it follows the reader's system."""
HEIGHT = 760


def render_fragment(document: Document) -> str:
    """The title, the facts, the brief and the blocks of all sections, one below the other."""
    part = _plain(document)
    rendered = (
        environment_of(part).get_template("fragment.html.j2").render(document=part, css=_style())
    )
    return re.sub(r"\n\s*\n+", "\n", rendered)


def render_frame(document: Document, height: int = HEIGHT) -> str:
    """The whole page inside a frame of its own, `height` pixels high; its scripts see no cookie."""
    opened = '<iframe sandbox="allow-scripts allow-downloads" title="{}" style="width:100%;'
    frame = Markup(opened + 'height:{}px;border:0" srcdoc="{}"></iframe>')
    return str(frame.format(document.title, height, escape(render_page(document))))


def _plain(document: Document) -> Document:
    """The document without what only a page with its scripts and its end has a use for."""
    brief = document.brief
    return replace(
        document,
        brief=None if brief is None else _plain_brief(brief),
        sections=[replace(part, blocks=_plain_blocks(part.blocks)) for part in document.sections],
        exploration=None,
    )


def _plain_brief(brief: Brief) -> Brief:
    return replace(
        brief,
        figure=None if brief.figure is None else _plain_picture(brief.figure),
        table=None if brief.table is None else replace(brief.table, computed=(), sortable=False),
    )


def _plain_blocks(blocks: Sequence[Block]) -> list[Block]:
    return list(map(_plain_block, blocks))


def _plain_block(block: Block) -> Block:
    if isinstance(block, Table):
        return replace(block, computed=(), sortable=False)
    if isinstance(block, Gallery):
        return replace(block, pictures=list(map(_plain_picture, block.pictures)))
    return replace(block, blocks=_plain_blocks(block.blocks)) if isinstance(block, Fold) else block


def _plain_picture(picture: Picture) -> Picture:
    return replace(picture, narrow=None, data=None)


def _style() -> Markup:
    """The style of the page's parts below one class, with the colours of light and of dark."""
    text = str(asset("page.css"))
    light, dark = _colours(text, ":root"), _colours(text, ':root[data-theme="dark"]')
    dark_pages = ", ".join(f"{page} {SCOPE}" for page in DARK)
    rules = [
        f"{SCOPE} {{{light}}}",
        f"{dark_pages} {{{dark}}}",
        f"@media (prefers-color-scheme: dark) {{ {TOLD} {SCOPE} {{{dark}}} }}",
        *(rule for part in PARTS for rule in _scoped(_part(text, part))),
        str(asset("fragment.css")),
    ]
    return Markup("\n".join(rules))


def _colours(text: str, selector: str) -> str:
    """What the page declares under a selector, on one line."""
    block = text.split(f"{selector} {{", 1)[1].split("}", 1)[0]
    return " ".join(block.split())


def _part(text: str, title: str) -> str:
    return text.split(f"/* {title} */", 1)[1].split("/* ", 1)[0]


def _scoped(text: str) -> Iterator[str]:
    """Every rule with its selectors below the class of fragments."""
    for selectors, declarations in re.findall(r"([^{}]+)\{([^{}]*)\}", text):
        below = (f"{SCOPE} {one.strip()}" for one in _split(selectors))
        yield f"{', '.join(below)} {{{' '.join(declarations.split())}}}"


def _split(selectors: str) -> list[str]:
    """Selectors at their commas, but for those inside brackets."""
    return re.split(r",(?![^()]*\))", selectors)
