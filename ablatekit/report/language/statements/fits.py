"""How the fit of a model went."""

from __future__ import annotations

from collections.abc import Mapping

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.numbers import count
from ablatekit.report.language.statements.phrases import Words


def _rows_left_out(rows: int) -> str:
    return f"{count(rows, 'row')} with a missing value {'was' if rows == 1 else 'were'} left out"


def _singular(zero: list[str], perfect: list[str]) -> str:
    found = [f"{', '.join(zero)} estimated as zero"] if zero else []
    found += [f"{', '.join(perfect)} correlated perfectly"] if perfect else []
    detail = f" ({'; '.join(found)})" if found else ""
    return f"singular fit: the variance parameters lie on their boundary{detail}"


def _numbers_like_levels(columns: list[str], counts: list[int]) -> str:
    held = ", ".join(
        f"{name} ({values} whole numbers)" for name, values in zip(columns, counts, strict=True)
    )
    return f"{held}: no levels but one slope each; --categorical makes factors of such columns"


def _few_levels(groups: list[str], levels: list[int]) -> str:
    few = ", ".join(f"{group} ({size})" for group, size in zip(groups, levels, strict=True))
    return f"variances of groupings with < 5 levels are hardly estimable: {few}"


def _capped_df(limit: float, without: float) -> str:
    return (
        f"df of effects between runs are at most runs minus coefficients = {limit:g} (without this"
        f" limit up to {without:.4g}: the variance of run is estimated near zero)"
    )


SENTENCES: Mapping[Code, Words] = {
    # how a fit went
    "gradient_not_zero": "the gradient at the optimum is {gradient:.2g}, not zero",
    "local_minima": "the criterion has several local minima: starts ended up to {spread:.2g} apart"
    " and the lowest was taken",
    "zero_variance": "the variance between {group} levels is estimated as 0",
    "singular": _singular,
    "few_levels": _few_levels,
    "rows_left_out": _rows_left_out,
    "terms_aliased": lambda terms: (
        f"rank-deficient fixed effects: dropped {', '.join(terms)} (the design cannot separate"
        " them from earlier terms)"
    ),
    "written_twice": "{term} is written twice and counts once",
    "items_nested": "item numbers repeat in several data sets: (1 | item) was read as (1 |"
    " dataset:item)",
    "unused_categorical": lambda columns: (
        f"--categorical names columns outside the formula: {', '.join(columns)}"
    ),
    "numbers_like_levels": _numbers_like_levels,
    "one_number": lambda columns: (
        f"{', '.join(columns)}: one number throughout, so that nothing is left to compare;"
        " --categorical keeps numbers that are written differently apart (1.1 and 1.10)"
    ),
    "capped_df": _capped_df,
    "no_df_between_runs": "as many coefficients as runs: effects between runs have no df for error",
    "low_kenward_roger_df": "some Kenward-Roger df are below 2: those tests say next to nothing",
    "normal_tests": "z tests ignore how few groups there are: their p values are too small",
    "residual_df_only": "without random terms every df is the residual one, not {df}",
    "empty_q_profile": "the Q-profile set of tau2 is empty: both limits would lie below 0, as the"
    " effects differ less than their sampling variances let them",
    "normal_meta_tests": "z tests ignore the uncertainty of tau2: too small p for few rows",
}
"""The words of every such code."""
