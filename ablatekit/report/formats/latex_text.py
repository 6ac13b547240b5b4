"""Any text as LaTeX that shows it: special characters, signs, places to break."""

from __future__ import annotations

import re

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "^": r"\textasciicircum{}", "_": r"\_\allowbreak{}", "~": r"\textasciitilde{}", "%": r"\%",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedblright{}",
    "\N{DIVISION SIGN}": r"$\div$", "/": r"/\allowbreak{}",
    "\N{MINUS SIGN}": "$-$", "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{SUPERSCRIPT TWO}": r"$^2$",
    "\N{MULTIPLICATION SIGN}": r"$\times$", "\N{EM DASH}": "---", "\N{EN DASH}": "--",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}", "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{SQUARE ROOT}": r"$\surd$", "\N{LEFTWARDS ARROW}": r"$\leftarrow$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$", "\N{WHITE CIRCLE}": r"$\circ$",
    "\N{BLACK UP-POINTING TRIANGLE}": r"$\blacktriangle$", "\N{IDENTICAL TO}": r"$\equiv$",
    "\N{BLACK DOWN-POINTING TRIANGLE}": r"$\blacktriangledown$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$", "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
}  # fmt: skip
SMALL_GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "phi",
    "chi", "psi", "omega",
)  # fmt: skip
"""In their order; LaTeX has no omicron."""
GREEK = {
    **{chr(0x3B1 + place): rf"$\{name}$" for place, name in enumerate(SMALL_GREEK) if name},
    **{chr(0x391 + place): rf"$\{name}$" for place, name in (
        (2, "Gamma"), (3, "Delta"), (7, "Theta"), (10, "Lambda"), (13, "Xi"), (15, "Pi"),
        (18, "Sigma"), (20, "Upsilon"), (21, "Phi"), (23, "Psi"), (24, "Omega"))},
    "\N{MICRO SIGN}": r"$\mu$",
}  # fmt: skip
"""Greek letters that do not look like Latin ones."""
LATIN = re.compile("[\u00c0-\u00cf\u00d1-\u00dd\u00df-\u00ef\u00f1-\u00fd\u00ff]")
"""Letters that the fonts of every LaTeX compose."""
LONGEST_WORD, STEP = 14, 8


def escape(text: str, longest: int = LONGEST_WORD) -> str:
    """Text as LaTeX that shows it on breakable lines; glyphs without a font as their number.

    Words of more than `longest` characters may break: after every eighth, or anywhere where fewer
    fit on a line.
    """
    return " ".join(_breakable(word, longest) for word in text.split())


def _breakable(word: str, longest: int) -> str:
    """A word's characters, with places to break where it is long."""
    shown = [_character(character) for character in word]
    if len(shown) <= min(longest, LONGEST_WORD):
        return "".join(shown)
    step = STEP if longest >= LONGEST_WORD else 1
    parts = [shown[at : at + step] for at in range(0, len(shown), step)]
    return r"\allowbreak{}".join("".join(part) for part in parts)


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character in GREEK:
        return GREEK[character]
    if (character.isascii() and character.isprintable()) or LATIN.fullmatch(character):
        return character
    return rf"\texttt{{[U+{ord(character):04X}]}}\allowbreak{{}}"
