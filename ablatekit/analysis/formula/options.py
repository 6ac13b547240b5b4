"""What a user may ask of a formula: the options, what they exclude, and what is compared."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ablatekit.analysis.core.schema.vocabulary import AnovaType, Statement, statement
from ablatekit.analysis.engine.design import Coding
from ablatekit.analysis.engine.formula import Formula, variables_of, words_of
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.formula.rows import Wanted
from ablatekit.analysis.posthoc.units import DATASET
from ablatekit.analysis.stats.adjust import Adjustment
from ablatekit.analysis.stats.verdict import rule_for
from ablatekit.analysis.tables.measures import measured_name
from ablatekit.analysis.tables.words import STATUS, Direction, direction_of
from ablatekit.errors import Problem, UsageError, nearest

MOST_LEVELS = 12
FamilyName: TypeAlias = Literal["gaussian", "binomial"]
Estimator: TypeAlias = Literal["reml", "ml", "dl", "pm", "he", "sj", "ee"]
RandomIntervals: TypeAlias = Literal["profile", "bootstrap"]
FormulaDf: TypeAlias = Literal["satterthwaite", "kenward-roger", "asymptotic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaOptions:
    """How a formula is fitted and what is reported.

    df: None is Satterthwaite for mixed models and Knapp-Hartung for a meta-analysis; least squares
    always take residual df, logistic models normal ones. variances: the column of known sampling
    variances, which makes it a meta-analysis; only then `method` may be another estimator of tau2.
    categorical: columns to read as factors. contrasts: `FACTOR` or `FACTOR:BASELINE`, by
    default every categorical variable against its first level. means: `A` or `A:B`, by default the
    factors of the contrasts. against: a formula for a likelihood-ratio test. direction: None is
    guessed from the name of the response. unit: as in `ablatekit.analysis.tables.measures.Measure`.
    """

    method: Estimator = "reml"
    df: FormulaDf | None = None
    family: FamilyName = "gaussian"
    weights: str | None = None
    variances: str | None = None
    categorical: Collection[str] = ()
    coding: Coding = "treatment"
    contrasts: Sequence[str] = ()
    means: Sequence[str] = ()
    pairwise: bool = False
    adjust: Adjustment = "holm"
    anova_type: AnovaType = "III"
    against: str | None = None
    random_tests: bool = False
    random_intervals: RandomIntervals | None = None
    seed: int = 0
    direction: Direction | None = None
    unit: str | None = None
    smallest_effect: float | None = None
    alpha: float = 0.05

    @property
    def named(self) -> str:
        """Text that names, in backquotes, the columns of these options."""
        named = (self.weights, self.variances, *self.categorical)
        return " ".join([*(f"`{name}`" for name in named if name), self.against or ""])

    @property
    def mentioned(self) -> str:
        """The same with all columns that are needed besides the formula's own."""
        return f"{self.named} `{DATASET}` `{STATUS}`"


DEFAULTS = FormulaOptions()


def refuse_options(formula: Formula, options: FormulaOptions) -> None:
    """Options that do not belong to the kind of model, each with what to do instead."""
    meta, binomial = options.variances is not None, options.family == "binomial"
    plain = not formula.random
    rules: list[tuple[bool, str, str, str]] = [
        (options.method not in ("reml", "ml") and not meta,
         "this estimator is for a meta-analysis", options.method,
         "Give --variances, or --method reml or ml"),
        (meta and not plain, "a meta-analysis has no random terms in its formula", formula.text,
         "Its one random effect per row is implied"),
        (meta and (binomial or options.weights is not None),
         "--variances stands without --weights and --family binomial", "", ""),
        (meta and options.df in ("satterthwaite", "kenward-roger"),
         "a meta-analysis tests by Knapp and Hartung or by z", f"{options.df}",
         "Leave --df out, or use --df asymptotic"),
        (meta and options.against is not None, "--against is not for a meta-analysis", "",
         "Compare the Q statistics in `meta`"),
        (formula.response.startswith("cbind(") and not binomial,
         "cbind(successes, failures) is a binomial response", formula.response,
         "Add --family binomial"),
        (options.random_tests and (plain or binomial or meta),
         "--random-tests needs a linear model with random terms", formula.text, ""),
        (options.random_intervals is not None and (plain or binomial or meta),
         "--random-intervals needs a linear model with random terms", formula.text, ""),
        (options.unit is not None and binomial,
         "--unit is not for a logistic model, whose effects are probabilities", options.unit or "",
         ""),
        (options.smallest_effect is not None and not options.smallest_effect > 0.0,
         "a smallest effect must be positive", f"{options.smallest_effect}", ""),
    ]  # fmt: skip
    problems = [Problem(rule, got, remedy) for broken, rule, got, remedy in rules if broken]
    if problems:
        raise UsageError(*problems)


def unused_categorical(formula: Formula, options: FormulaOptions) -> list[Statement]:
    """A note about columns of --categorical that the formula does not use."""
    specs = [*formula.terms, *(term for spec in formula.random for term in spec.terms)]
    used = {name for spec in formula.random for name in spec.group}
    used = used.union(*(words_of(name) for name in variables_of(specs)))
    unused = [name for name in options.categorical if name not in used]
    return [statement("unused_categorical", columns=unused)] if unused else []


def numbers_like_levels(frame: ModelFrame) -> list[Statement]:
    """A note about covariates that hold a few whole numbers, as seeds, folds and sizes do.

    A column that the formula also transforms is meant as a number; of 0 and 1 it does not matter.
    """
    used = variables_of(frame.formula.terms)
    counts: dict[str, int] = {}
    for name in used:
        others = set[str]().union(*(words_of(other) for other in used if other != name))
        variable = frame.variables[name]
        if variable.categorical or variable.width > 1 or "(" in name or name in others:
            continue
        values = np.unique(frame.points[name])
        whole = bool(np.all(values == np.round(values)))
        if whole and 1 < len(values) <= MOST_LEVELS and values.tolist() != [0.0, 1.0]:
            counts[name] = len(values)
    if not counts:
        return []
    told = {"columns": list(counts), "counts": list(counts.values())}
    return [statement("numbers_like_levels", **told)]


def constant_numbers(frame: ModelFrame) -> list[Statement]:
    """A note about columns that hold a single number, such as 1.1 and 1.10, and so drop out."""
    if not frame.formula.intercept:
        return []
    numbers = [name for name in variables_of(frame.formula.terms) if name in frame.points]
    constant = [
        name
        for name in numbers
        if not frame.variables[name].categorical and np.ptp(frame.points[name]) == 0.0
    ]
    return [statement("one_number", columns=constant)] if constant else []


def wanted_of(frame: ModelFrame, options: FormulaOptions) -> Wanted:
    """The comparisons asked for, by the variables of the formula; raises UsageError for others."""
    known = [
        name for name in variables_of(frame.formula.terms) if frame.variables[name].categorical
    ]
    factors: dict[str, str] = {}
    for text in options.contrasts or known:
        name, baseline = _named(text, known) if options.contrasts else (text, "")
        variable = frame.variables[name]
        if baseline and baseline not in variable.levels:
            rule = f"{name} has no such level"
            raise UsageError(Problem(rule, baseline, nearest(baseline, variable.levels)))
        factors[name] = baseline or variable.levels[variable.baseline]
    specs = [tuple(_known(part, known) for part in text.split(":")) for text in options.means]
    means = tuple(specs or [(name,) for name in factors])
    better = options.direction or direction_of(measured_name(frame.formula.response))[0]
    judged_by = rule_for(better, options.alpha, options.adjust, options.smallest_effect)
    return Wanted(factors, means, options.pairwise, judged_by)


def _named(text: str, known: Sequence[str]) -> tuple[str, str]:
    """`FACTOR[:BASELINE]`, the factor as the formula names it."""
    if text in known:
        return text, ""
    name, _, baseline = text.partition(":")
    return _known(name, known), baseline


def _known(name: str, known: Sequence[str]) -> str:
    starts = (f"C({name})", f"C({name},", f"factor({name})")
    for candidate in known:
        if candidate == name or candidate.startswith(starts):
            return candidate
    remedy = f"{nearest(name, known)}. Numeric columns become factors by --categorical"
    rule = "contrasts and means need a categorical variable of the formula's fixed part"
    raise UsageError(Problem(rule, name, remedy))
