"""What the headings of tables mean, for who points at one."""

from __future__ import annotations

from ablatekit.report.language.reading import Unit

HINTS = {
    "effect": "Level minus baseline, averaged over matched combinations of the rest; its interval"
    " below",
    "verdict": "Narrow: holds in these contexts",
    "beyond": "The widest scope that the contexts can speak for, and the verdict over it; needs at"
    " least three levels",
    "price": "What the level costs, as a multiple of the baseline",
    "may be best": "Not excluded as the best of all cells, by Hsu's multiple comparisons",
    "gain": "Cell minus baseline cell; its interval below",
    "se": "Standard error",
    "df": "Degrees of freedom",
    "p": "P value of no effect, not adjusted",
    "adjusted p": "P value adjusted within its family, as the table's footer names it",
    "error df": "Degrees of freedom of the error",
    "share": "Part of the total sum of squares",
    "partial \N{GREEK SMALL LETTER ETA}\N{SUPERSCRIPT TWO}": "Share of the variance that is left"
    " beside the other terms; biased upwards",
    "partial \N{GREEK SMALL LETTER OMEGA}\N{SUPERSCRIPT TWO}": "The same with its bias removed;"
    " its interval beside it",
    "\N{GREEK SMALL LETTER TAU}": "Standard deviation of the true effects over levels of the scope",
    "I\N{SUPERSCRIPT TWO}": "Share of the variance over those levels that is no sampling error",
    "at one new level": "Prediction interval of the effect at one level more",
    "IQM": "Interquartile mean: mean of the middle half of the {unit}s",
    "probability of improvement": "How often a {unit} at the level beats one at the baseline",
    "permutation p": "P value when levels are exchanged within cell and context",
    "late sd": "Standard deviation within a run over the last quarter of its evaluations",
    "collapse rate": "Share of runs that diverged or lost most of what they had gained",
    "mean step": "Restricted mean: a run that never reached it counts with its last step",
    "together": "Whether two choices together gain more or less than the sum of their effects",
    "difference": "The second study minus the first; its interval beside it",
    "agreement": "Differ: by Holm's adjusted p; agree: within the smallest effect that matters",
    "estimand": "What the effect averages over",
    "inference": "Narrow: these contexts; broad: levels like these of the scope",
}  # fmt: skip


def hint(title: str, unit: Unit) -> str:
    """What a heading means, of runs or of rows; empty where its words say it."""
    text = HINTS.get(title, "") or HINTS.get(title.split(",", maxsplit=1)[0], "")
    return text.format(unit=unit)
