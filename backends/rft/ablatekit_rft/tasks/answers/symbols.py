"""Names of LaTeX and Unicode for the signs of answers: synonyms, fonts, functions, brackets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b"
SUPERSCRIPTS: Mapping[int, str] = MappingProxyType(
    dict(zip(map(ord, _RAISED), "0123456789+-", strict=True))
)
SUBSCRIPTS: Mapping[int, str] = MappingProxyType(
    {0x2080 + digit: str(digit) for digit in range(10)}
)

UNICODE: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys("\u2212\u2013\u2014\u2012\ufe63\uff0d", "-"),
        "\u00d7": "\\times ",
        "\u00b7": "\\cdot ",
        "\u22c5": "\\cdot ",
        "\u00f7": "\\div ",
        "\u2217": "*",
        "\u2264": "\\le ",
        "\u2265": "\\ge ",
        "\u2a7d": "\\le ",
        "\u2a7e": "\\ge ",
        "\u2260": "\\ne ",
        "\u2248": "\\approx ",
        "\u00b1": "\\pm ",
        "\u2213": "\\mp ",
        "\u221e": "\\infty ",
        "\u03c0": "\\pi ",
        "\u03b8": "\\theta ",
        "\u222a": "\\cup ",
        "\u2229": "\\cap ",
        "\u2208": "\\in ",
        "\u2205": "\\emptyset ",
        "\u221a": "\\sqrt ",
        "\u03b1": "\\alpha ",
        "\u03b2": "\\beta ",
        "\u03b3": "\\gamma ",
        "\u03bb": "\\lambda ",
        "\u03c6": "\\phi ",
        "\u00b0": "\\degree ",
        "\u2032": "'",
        "\u2019": "'",
        "\u20ac": "\\text{euro}",
        "\u00a3": "\\text{pound}",
        "\u00a5": "\\text{yen}",
        "\u20b9": "\\text{rupee}",
        "\u00a2": "\\text{cent}",
        "\u00bd": "\\frac12 ",
        "\u2153": "\\frac13 ",
        "\u2154": "\\frac23 ",
        "\u00bc": "\\frac14 ",
        "\u00be": "\\frac34 ",
        "\u211d": "\\mathbb{R}",
        "\u2124": "\\mathbb{Z}",
        "\u3002": ".",
        "\uff0c": ",",
        "<=": "\\le ",
        ">=": "\\ge ",
        "+/-": "\\pm ",
    }
)
"""Signs of Unicode as LaTeX writes them."""

SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("dfrac", "tfrac", "cfrac", "nicefrac", "sfrac", "flatfrac"), "frac"),
        **dict.fromkeys(("dbinom", "tbinom"), "binom"),
        **dict.fromkeys(("leq", "leqslant", "leqq"), "le"),
        **dict.fromkeys(("geq", "geqslant", "geqq"), "ge"),
        "lt": "<",
        "gt": ">",
        "neq": "ne",
        "*": "cdot",
        "ast": "cdot",
        **dict.fromkeys(("lbrace", "{"), "\\{"),
        **dict.fromkeys(("rbrace", "}"), "\\}"),
        "lbrack": "[",
        "rbrack": "]",
        "lparen": "(",
        "rparen": ")",
        **dict.fromkeys(("lvert", "rvert", "vert", "mid"), "|"),
        **dict.fromkeys(("lVert", "rVert", "Vert", "|"), "\\|"),
        **dict.fromkeys(("varnothing", "O"), "emptyset"),
        **dict.fromkeys(("dots", "cdots", "dotsc", "dotsb"), "ldots"),
        "tg": "tan",
        "ctg": "cot",
        "cosec": "csc",
        "arctg": "arctan",
        **dict.fromkeys(("rightarrow", "longrightarrow"), "to"),
        "colon": ":",
        "lnot": "neg",
        "setminus": "backslash",
        "prime": "'",
        "dollar": "$",
        "textdollar": "$",
        "textdegree": "degree",
        "&": "ampersand",
        "bar": "overline",
        "mathbin": "mathrm",
        "hbox": "text",
        "textnormal": "text",
    }
)
"""One name for commands and signs that mean the same."""

TEXT_FONTS = frozenset(("text", "mbox", "textbf", "textit", "textrm", "textsf", "texttt", "emph"))
FONTS = TEXT_FONTS | frozenset(
    (
        "mathrm",
        "mathbf",
        "mathit",
        "mathsf",
        "mathtt",
        "operatorname",
        "boldsymbol",
        "bm",
        "rm",
        "bf",
        "it",
        "mathnormal",
        "boxed",
        "fbox",
        "pmb",
        "mathop",
        "mathord",
        "ensuremath",
        "underline",
    )
)
"""Commands that change how their argument looks, and nothing else."""

_BRACKET_SIZES = "left right middle " + " ".join(
    f"{size}{place}" for size in ("big", "Big", "bigg", "Bigg") for place in ("", "l", "r", "m")
)
BRACKET_SIZES = frozenset(_BRACKET_SIZES.split())
"""Commands that set the size of a bracket."""
_LAYOUT = """
quad qquad thinspace medspace thickspace enspace negthinspace nobreakspace space displaystyle
textstyle scriptstyle scriptscriptstyle limits nolimits tiny scriptsize footnotesize small
normalsize large Large LARGE huge Huge hline hfill noindent
"""
LAYOUT = frozenset(_LAYOUT.split())
"""Commands that set spaces and sizes, and take no argument."""

FUNCTIONS = frozenset(
    (
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "ln",
        "log",
        "exp",
        "max",
        "min",
        "gcd",
        "lcm",
        "det",
        "arg",
        "deg",
        "lim",
        "lg",
    )
)

SWITCHES = frozenset(("rm", "bf", "it"))
"""Fonts of what follows, without an argument."""

ARGUMENTS: Mapping[str, int] = MappingProxyType(
    {
        "frac": 2,
        "binom": 2,
        "overline": 1,
        "vec": 1,
        "hat": 1,
        "tilde": 1,
        "widehat": 1,
        "overrightarrow": 1,
        "overleftrightarrow": 1,
        "overarc": 1,
        "dot": 1,
        "ddot": 1,
        "mathbb": 1,
        "mathcal": 1,
        "mathfrak": 1,
        "pmod": 1,
        "stackrel": 2,
        "overset": 2,
        "underset": 2,
        "widetilde": 1,
        "cancel": 1,
        "underbrace": 1,
        "overbrace": 1,
    }
)
"""Commands that mean something, with their number of arguments."""

DROPPED_WITH_ARGUMENT = frozenset(("hspace", "vspace", "phantom", "color", "label", "tag"))

FENCED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("pmatrix", "bmatrix", "matrix", "array", "smallmatrix"), "matrix"),
        "vmatrix": "determinant",
        "Vmatrix": "norm",
        "dcases": "cases",
        **dict.fromkeys(("aligned", "align", "gathered", "split", "alignedat"), "lines"),
    }
)
"""Environments by what they mean: round and square brackets enclose the same matrix."""

_LETTERS = """
alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho
sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell
infty emptyset hbar
"""
LETTERS = frozenset(_LETTERS.split())
"""Commands that stand for a value, as letters do."""
_BASES = "two three four five six seven eight nine ten eleven twelve"
BASES: Mapping[str, str] = MappingProxyType(
    {word: str(base) for base, word in enumerate(_BASES.split(), start=2)}
)

OPENING = frozenset(("(", "[", "\\{", "langle", "lfloor", "lceil"))
CLOSING = frozenset((")", "]", "\\}", "rangle", "rfloor", "rceil"))
RELATIONS = frozenset(
    (
        "=",
        "<",
        ">",
        "le",
        "ge",
        "ne",
        "approx",
        "in",
        "notin",
        "equiv",
        "sim",
        "subset",
        "subseteq",
        "cong",
        "propto",
        "to",
        "implies",
        "Rightarrow",
        "iff",
    )
)
SEPARATORS = frozenset((",", ";", "or"))
SUMS = frozenset(("+", "-", "pm", "mp"))
OTHER_SIGNS = frozenset(
    (
        "cdot",
        "times",
        "div",
        "/",
        "cup",
        "cap",
        "circ",
        "ldots",
        "'",
        "|",
        "\\|",
        ":",
        "!",
        "backslash",
    )
)

TERM_STARTS = OPENING | RELATIONS | SEPARATORS | SUMS | {"cup", "cap", "|"}
"""Signs behind which a term starts."""
TERM_ENDS = CLOSING | RELATIONS | SEPARATORS | SUMS | OTHER_SIGNS - {"/", "'", "!", "circ"} | {"."}
"""Signs before which a term has ended."""
SIGNS = TERM_STARTS | TERM_ENDS | OTHER_SIGNS
"""Commands that are no letters."""
