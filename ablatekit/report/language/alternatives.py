"""Figures in words: their alternative texts and what their marks say when pointed at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.language.numbers import MISSING, Scale, absent, general
from ablatekit.report.language.verdicts import Look

WITHOUT_VALUES = "no values"
WITHOUT_THRESHOLD = "no threshold"
BASELINE = "baseline"
FRONTIER = "best up to that price"
PRICE = "price"
EFFECT = "effect against the baseline"
WITH_INTERVAL = "estimate and interval"
ONE_NEW_LEVEL = "one new level"
MEAN = "mean"
ALL_ITEMS = "on all items; lines: on a part of them"
WITHOUT_BANDS = "intervals of so many lines are in the data only"
RIGHT, LEFT = "\N{RIGHTWARDS ARROW}", "\N{LEFTWARDS ARROW}"
BETTER_WORSE: Mapping[str, tuple[str, str]] = {
    "higher": (f"{LEFT} worse", f"better {RIGHT}"),
    "lower": (f"{LEFT} better", f"worse {RIGHT}"),
}
"""What stands at the left and at the right end of an axis, by the response's direction."""


def joined(head: str, parts: Iterable[str]) -> str:
    """A head sentence and what it lists."""
    return f"{head} {'; '.join(parts)}"


def forest(responses: Iterable[str], parts: Iterable[str]) -> str:
    """A forest plot in words."""
    return joined(f"Forest plot of effects on {' and '.join(responses)}.", parts)


def within(size: str) -> str:
    """The shade of effects that are too small to matter."""
    return f"within \N{PLUS-MINUS SIGN}{size}"


def effect_in(unit: str) -> str:
    """The label of an axis of effects."""
    return f"effect, {unit}" if unit else "effect"


def of_the_whole(end: str) -> str:
    """The title of bars that end at a share of all variance."""
    return f"share of all variance; the full width is {end}"


def with_all(unit: str) -> str:
    """The key of an effect with its interval."""
    return f"all {unit}s, with interval"


def one_left_out(unit: str) -> str:
    """The key of the range of an effect without one of them."""
    return f"any one {unit} left out"


def lines_of(factor: str) -> str:
    """The title of the lines of an interaction."""
    return f"lines: {factor}"


def gap_map(parts: Iterable[str]) -> str:
    """The map of learning against generalization in words."""
    return joined("Each level's effect on learning and on generalization.", parts)


def gap_point(name: str, sizes: tuple[str, str], verdict: Look, unit: str = "") -> str:
    """One point of the map: both effects and the verdict on the gap."""
    return f"{name}: {' and '.join(sizes)}{f' {unit}' if unit else ''}, gap {verdict.word}"


def contexts(level: str, parts: Iterable[str]) -> str:
    """A level's effects in every context in words."""
    return joined(f"Effect of {level} in each context.", parts)


def interaction(response: str, title: str, parts: Iterable[str]) -> str:
    """The cell means behind an interaction in words."""
    return joined(f"Cell means of {response}. Interaction of {title}.", parts)


def mean_at(line: str, level: str, value: str) -> str:
    """One cell mean of an interaction."""
    return f"{line} with {level}: {value}"


def curves(response: str, factor: str, parts: Iterable[str]) -> str:
    """A response over training in words."""
    return joined(f"{response} over training for each level of {factor}.", parts)


def from_to(low: str, high: str) -> str:
    """The first and the last value of a curve."""
    return f"from {low} to {high}"


def trends(response: str, parts: Iterable[str]) -> str:
    """Effects over training in words."""
    return joined(f"Effect on {response} over training.", parts)


def trend(level: str, first: tuple[str, int], last: tuple[str, int]) -> str:
    """One level's effect at its first and its last step."""
    return f"{level}: {first[0]} at step {first[1]}, {last[0]} at step {last[1]}"


def shares(response: str, parts: Iterable[str]) -> str:
    """Variance shares in words."""
    return joined(f"Variance shares of {response}.", parts)


def profiles(unit: str, response: str, factor: str, parts: Iterable[str]) -> str:
    """Performance profiles in words."""
    head = f"Share of {unit}s above each {response} for every level of {factor}."
    return joined(head, parts)


def half_above(unit: str, threshold: str) -> str:
    """The threshold that half of the runs exceed."""
    return f"half of the {unit}s above {threshold}"


def against_fitted(count: int, response: str, *, of_cells: bool) -> str:
    """Residuals against fitted values."""
    fitted = "their fitted cell means" if of_cells else "fitted values"
    return f"Scatter of {count} residuals of {response} against {fitted}."


def against_quantiles(count: int, response: str) -> str:
    """Residuals against normal quantiles."""
    return f"{count} residuals of {response} against normal quantiles."


def in_run_order(count: int, response: str) -> str:
    """Residuals along the order of the runs."""
    return f"{count} residuals of {response} in the order in which runs were planned."


def influence(unit: str, response: str, parts: Iterable[str]) -> str:
    """Effects with one run left out, in words."""
    return joined(f"Effects on {response} with one {unit} left out.", parts)


def between(low: float, high: float, scale: Scale) -> str:
    """The ends of a range of effects."""
    return f"{scale.effect(low)} to {scale.effect(high)}"


def better_up(axis: str) -> str:
    """The title of an axis whose upper end is the better one."""
    return f"{axis} (better \N{UPWARDS ARROW})"


def times(price: Number) -> str:
    """A price as a multiple of the baseline's."""
    return f"{general(price, 3)}\N{MULTIPLICATION SIGN}" if not absent(price) else MISSING


def frontier_point(name: str, gain: str, interval: str, unit: str, price: str, verdict: str) -> str:
    """One configuration: its gain, its price and its verdict."""
    return f"{name}: {gain} {interval}{unit} at {price}, {verdict}"


def gains_in(responses: Sequence[str]) -> str:
    """What rows of dots show: the gain in one response or in several."""
    return f"gain in {' and '.join(responses)}"


def left_out(count: int) -> str:
    """A row that stands for others."""
    return f"\N{HORIZONTAL ELLIPSIS} {count} more"


def dots_row(name: str, gains: Sequence[str]) -> str:
    """One configuration of a figure of dots."""
    return f"{name}: {' and '.join(gains)}"


def dose_curve(factor: str, parts: Iterable[str]) -> str:
    """The effects of an ordered factor's levels in words."""
    return joined(f"Effect of every level of {factor}.", parts)


def dose_level(level: str, effect: str, interval: str, verdict: str) -> str:
    """The effect of one level."""
    return f"{level} {effect} {interval} {verdict}"


def p_told(p: str) -> str:
    """The p value of a trend; the adjusted one."""
    return f"adjusted p {p}"
