"""What each section found, in one sentence with its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from ablatekit.analysis.core.schema.vocabulary import Verdict
from ablatekit.report.language import scopes
from ablatekit.report.language.numbers import Scale, count, percent, sentence
from ablatekit.report.language.reading import Subject
from ablatekit.report.language.verdicts import word

POINTS = {"pp": "points"}
MOST_NAMED = 3
"""Exceptions that a finding names; of more it gives the number."""
TIMES = " \N{MULTIPLICATION SIGN} "


def size(value: float, scale: Scale) -> str:
    """A signed size with its unit: +4.9 points."""
    return f"{scale.effect(value)} {POINTS.get(scale.unit, scale.unit)}".rstrip()


def sized(value: float, low: float | None, high: float | None, scale: Scale) -> str:
    """The same with its interval, where there is one."""
    interval = "" if low is None or high is None else f" {scale.interval(low, high)}"
    return size(value, scale) + interval


def of_all(number: int, total: int, noun: str) -> str:
    """6 of 8 effects; all 8 effects; both effects."""
    if total == 1:
        return f"the one {noun}" if number else f"not the one {noun}"
    if number == total == 2:
        return f"both {noun}s"
    return f"all {total:,} {noun}s" if number == total else f"{number:,} of {total:,} {noun}s"


def effects(same: int, total: int, apart: str, where: str) -> str:
    """How far the effect at the baseline and other averages tell another story."""
    kept = sentence(of_all(same, total, "average effect"))
    verb = "keeps its" if total == 1 else "keep their"
    text = f"{kept} {verb} sign at the baseline"
    if apart:
        text += f"; the largest difference between estimands is {apart} ({where})"
    return f"{text}."


def largest(name: str, label: str, shown: str) -> str:
    """The largest effect."""
    return f"The largest effect is that of {name} on {label}: {shown}."


def unknown_effects(total: int) -> str:
    """No effect has an estimate."""
    if total == 1:
        return "The one effect cannot be estimated."
    return f"None of {total:,} effects can be estimated."


def best(label: str, name: str, shown: str, rivals: int | None, cells: int) -> str:
    """The cell with the largest gain; it is called the best where no other one may be."""
    text = f"{'Best' if rivals == 0 else 'Largest gain'} on {label}: {name}, {shown}"
    if rivals == 0:
        text += "; no other cell may be the best"
    elif rivals == cells - 1:
        text += "; every other cell may be as good"
    elif rivals:
        text += f"; {rivals:,} of {count(cells - 1, 'other cell')} may be as good"
    return f"{text}."


def no_gain(label: str, name: str, shown: str) -> str:
    """No cell gains over the baseline."""
    return f"No cell gains on {label}; the nearest is {name}, {shown}."


def gap(widened: int, narrowed: int, total: int, largest_change: str) -> str:
    """How many levels change the gap, and which one most."""
    verdicts: Sequence[tuple[int, Verdict]] = ((widened, "widens"), (narrowed, "narrows"))
    said = [
        f"{number:,} {word(verdict) if number == 1 else word(verdict).removesuffix('s')}"
        for number, verdict in verdicts
        if number
    ]
    if total > 1 and total in (widened, narrowed):
        text = f"{sentence(of_all(total, total, 'level'))} {said[0].split(' ', 1)[1]} the gap"
    elif said:
        text = f"Of {count(total, 'level')}, {' and '.join(said)} the gap"
    else:
        text = f"None of {count(total, 'level')} is shown to change the gap"
    return f"{text}; the largest change is {largest_change}." if largest_change else f"{text}."


def interaction(name: str, label: str, shown: str, verdict: str) -> str:
    """An interaction with its size and, where it has one, its verdict."""
    return f"{name} on {label}: {shown}{f', {verdict}' if verdict else ''}"


def settled(text: str, others: int, total: int) -> str:
    """The largest settled interaction, and how many others are."""
    rest = "no other is" if total > 1 else ""
    if others == 1 == total - 1:
        rest = "the other one is too"
    elif others:
        rest = f"{others:,} of {count(total - 1, 'other')} {'is' if others == 1 else 'are'}"
    return f"{'; '.join(filter(None, (f'The clearest interaction is settled: {text}', rest)))}."


def unsettled(total: int, text: str, *, tested: bool) -> str:
    """No interaction is settled, or none has a test."""
    done = "settled" if tested else "tested"
    which = "The one interaction is not" if total == 1 else f"None of {total:,} interactions is"
    return f"{which} {done}; the largest estimate is {text}."


def unknown_interactions(total: int) -> str:
    """No interaction has an estimate."""
    if total == 1:
        return "The one interaction cannot be estimated."
    return f"None of {total:,} interactions can be estimated."


def contexts(total: int, number: int | None, exceptions: Sequence[tuple[str, int, int]]) -> str:
    """Whether effects have one sign in every context; exceptions are (effect, contexts, of).

    `number` are the contexts where all effects have that many, else None.
    """
    everywhere = f"in all {count(number, 'context')}" if number else "in every context with them"
    if not exceptions:
        return (
            f"{sentence(of_all(total, total, 'effect'))} {_has(total)} the same sign {everywhere}."
        )
    if 0 < len(exceptions) <= MOST_NAMED and len(exceptions) < total:
        named = [f"{name} ({some} of {of})" for name, some, of in exceptions]
        return f"Every effect has the same sign {everywhere} except {scopes.listed(named)}."
    kept = total - len(exceptions)
    return f"{sentence(of_all(kept, total, 'effect'))} {_has(kept)} the same sign {everywhere}."


def _has(number: int) -> str:
    return "has" if number == 1 else "have"


def half_way(same: int, total: int) -> str:
    """Whether effects could be read halfway through training."""
    whose = "it has" if total == 1 or same == 1 else "they have"
    return (
        f"{sentence(of_all(same, total, 'effect'))} {_has(1 if total == 1 else same)} halfway"
        f" through training the sign that {whose} at the end."
    )


def rising(better: int, total: int, label: str) -> str:
    """Whether training did something at all."""
    return f"{sentence(label)} ends better than it began at {of_all(better, total, 'level')}."


def shares(label: str, parts: Sequence[tuple[str, float]]) -> str:
    """The largest parts of the variance."""
    named = ", ".join(f"{term} {percent(share)}" for term, share in parts)
    return f"Of the variance of {label}: {named}."


def terms(clear: int, total: int, alpha: float) -> str:
    """How many terms of an ANOVA are tested to matter."""
    which = of_all(clear, total, "term") if clear else "no term"
    return f"{sentence(which)} {'has' if clear <= 1 else 'have'} p < {alpha:g}."


def robust(means: tuple[int, int], probabilities: tuple[int, int]) -> str:
    """On how many effects companions agree in direction with the verdicts' estimates."""
    parts = [
        f"{name} on {same:,} of {total:,}"
        for name, (same, total) in (
            ("interquartile means", means), ("probabilities of improvement", probabilities),
        )
        if total
    ]  # fmt: skip
    if not parts:
        return "No companion can be computed."
    return f"In the direction of the average effect: {', '.join(parts)}."


def design(subject: Subject, kind: str, sizes: tuple[int, int, int], runs: int | None) -> str:
    """The size of a design: factors, cells and replicates."""
    factors, cells, replicates = sizes
    text = f"{sentence(kind)} design" if subject.planned else "Table"
    text += f": {count(factors, 'factor')}, {count(cells, 'cell')}"
    if subject.contexts > 1:
        text += f", {count(subject.contexts, 'context')}"
    if subject.planned:
        text += f", {count(replicates, 'replicate')}"
    elif replicates > 1:
        text += f", up to {replicates:,} {subject.unit}s of a cell"
    return f"{text}; {count(runs, subject.unit)}." if runs is not None else f"{text}."


def diagnostics(
    unequal: Sequence[tuple[str, str]], tested: bool, flipped: tuple[int, int], unit: str
) -> str:
    """Whether cells are noisy alike, and whether one run decides a sign."""
    parts = []
    if unequal:
        named = [f"{label} (p {p if p.startswith('<') else f'= {p}'})" for label, p in unequal]
        parts.append(f"cells are not noisy alike for {scopes.listed(named)}")
    elif tested:
        parts.append("no sign that some cells are noisier than others")
    changed, total = flipped
    if total:
        who = "no effect" if changed == 0 else f"{changed:,} of {count(total, 'effect')}"
        parts.append(f"leaving out one {unit} changes the sign of {who}")
    return f"{sentence('; '.join(parts))}." if parts else ""


def largest_residual(sds: str, whose: str) -> str:
    """The value farthest from the model."""
    return f"The largest residual is {sds} residual sd ({whose})."


def too_few(unit: str) -> str:
    """Nothing can be tested."""
    return f"Too few {unit}s that are alike to test what the model assumes."


def all_ended(subject: Subject, planned: int) -> str:
    """Nothing is missing."""
    if subject.planned:
        return f"All {count(planned, 'planned run')} finished and were analysed."
    return f"All {count(planned, subject.unit)} were analysed."


def some_lost(subject: Subject, sizes: tuple[int, int], diverged: int, failed: int) -> str:
    """How many runs are analysed of all, and what became of the others."""
    analysed, planned = sizes
    lost = [
        f"{number:,} {what}"
        for number, what in (
            (diverged, "diverged"),
            (failed, "failed" if subject.unit == "run" else "without a value"),
        )
        if number
    ]
    text = f"{sentence(of_all(analysed, planned, subject.unit))} were analysed"
    return f"{text}; {', '.join(lost)}." if lost else f"{text}."


def methods(words: int, references: int) -> str:
    """How long the text is."""
    sources = count(references, "reference") if references else "no references"
    return f"{words:,} words with {sources}, ready to paste."


def provenance(deviations: int | None, version: str, opinion: tuple[int, int] | None) -> str:
    """Whether the plan was kept, and what a second code found."""
    parts = []
    if deviations is not None:
        named = count(deviations, "deviation") if deviations else "no deviation"
        parts.append(f"{named} from the plan that was frozen before the first run")
    if version:
        parts.append(f"made by ablatekit {version}")
    if opinion is not None:
        some, every = opinion
        parts.append(f"{some:,} of {count(every, 'number')} recomputed by other code")
    return f"{sentence('; '.join(parts))}." if parts else ""


def model(coefficients: int, clear: int, alpha: float, explained: str) -> str:
    """How many coefficients of a formula differ from zero."""
    which = of_all(clear, coefficients, "coefficient") if clear else "no coefficient"
    verb = "has" if clear <= 1 else "have"
    text = f"{sentence(which)} {verb} p < {alpha:g}"
    return f"{text}; R\N{SUPERSCRIPT TWO} = {explained}." if explained else f"{text}."
