"""Technical terms, each explained in one sentence at its first use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ablatekit.report.language.reading import Unit

TAU = "\N{GREEK SMALL LETTER TAU}"
I_SQUARED = "I\N{SUPERSCRIPT TWO}"
TERMS: Mapping[str, str] = {
    r"\bpp\b": "pp: percentage points.",
    r"\b[Cc]ontexts?\b": "A context is one combination of what a conclusion must hold across,"
    " such as a model and a data set.",
    r"\b[Cc]ells?\b": "A cell is one level of every factor together: a whole recipe.",
    r"\b[Rr]eplicates?\b": "Replicates are independent {unit}s of one cell in one context.",
    r"\b[Nn]arrow\b": "Narrow: for exactly these contexts, with only the noise between {unit}s"
    " that are alike as error.",
    r"\b[Bb]road\b": "Broad: for contexts like these, with the differences between contexts as"
    " error.",
    r"\b[Ss]copes?\b": "A scope is what a broad result speaks for: other models, other data sets,"
    " or both.",
    r"\b[Ee]stimands?\b": "An estimand is what exactly an effect averages over.",
    r"\b[Ff]amily\b": "A family is a set of tests whose p values are adjusted together.",
    r"\bHolm\b": "Holm's method makes p values larger, so that a false alarm among all tests of a"
    " family is as rare as in a single test.",
    r"\bBonferroni\b": "Bonferroni's method multiplies a p value by the number of tests.",
    r"\bDunnett\b": "Dunnett's method adjusts p values where many cells are compared with one"
    " baseline.",
    r"\bHsu\b": "Hsu's comparison finds the cells that cannot be excluded as the best one.",
    r"\bWelch\b": "Welch's t test lets every cell have a noise of its own.",
    r"\bBrown-Forsythe\b": "The Brown-Forsythe test asks whether some cells are noisier than"
    " others.",
    r"\bFieller\b": "Fieller's interval is that of a ratio of two estimates.",
    r"\bdf\b|\bdegrees of freedom\b": "df: degrees of freedom, how many independent values an error"
    " rests on; with few of them intervals are wide.",
    r"\bSatterthwaite\b": "Satterthwaite's df are those of an error that is a sum of several"
    " variances.",
    r"\bKenward\b": "Kenward and Roger's df do the same for a mixed model, and correct its standard"
    " errors.",
    r"\b[Mm]ixed models?\b": "A mixed model takes some differences, as those between models, for"
    " random draws.",
    r"\bsaturated\b": "A saturated model has one mean for every cell in every context.",
    r"\b[Pp]rediction interval\b": "A prediction interval says where the effect on one more model"
    " or data set would lie.",
    rf"{TAU}|\btau\b": f"{TAU}: the standard deviation of the true effects between contexts.",
    I_SQUARED: f"{I_SQUARED}: the part of the observed differences between contexts that is real.",
    r"\bIQM\b|\b[Ii]nterquartile means?\b": "IQM: the interquartile mean, that of the middle half"
    " of the values.",
    r"\b[Bb]ootstrap\b": "A bootstrap draws from the observed values again and again to see how"
    " much a statistic varies.",
    r"\b[Pp]ermutation\b": "A permutation test compares the effect with those that appear when"
    " labels are shuffled.",
    r"\b[Tt]ype III\b": "Type III tests ask for each term what it adds beside all others.",
    r"\b[Ii]nteractions?\b": "An interaction is by how much one choice changes the effect of"
    " another.",
}
"""A pattern of each term, and its explanation."""


def terms_in(text: str) -> list[str]:
    """The patterns of the terms that a text uses, in the order of the glossary."""
    return [pattern for pattern in TERMS if re.search(pattern, text)]


def explanations(patterns: Iterable[str], unit: Unit) -> list[str]:
    """What these terms mean, a sentence each; values belong to runs or to rows."""
    return [TERMS[pattern].format(unit=unit) for pattern in patterns]
