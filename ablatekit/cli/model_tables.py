"""A fitted formula on a terminal: the model, its effects, the ANOVA and the variances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ablatekit.cli.console import plain_console

EFFECT = ("effect", "estimate", "interval", "df", "p", "adjusted p", "verdict")
ANOVA = ("term", "num_df", "den_df", "statistic", "p", "partial_eta2")
FIXED = ("term", "estimate", "se", "df", "statistic", "p")
RANDOM = ("group", "name", "variance", "sd")
PAIR = ("factor", "contrast", "estimate", "interval", "df", "p", "p_adjusted")
RANDOM_TEST = ("term", "statistic", "df", "p")
LIMITS = ("group", "name", "sd", "low", "high")


def print_model(response: Mapping[str, Any]) -> None:
    """Tables of one response; the reasons of rows without numbers follow them."""
    console, model = plain_console(), response["model"]
    state = "" if model["converged"] else ", NOT converged"
    criterion = f", criterion {shown(model['criterion'])}" if model["criterion"] is not None else ""
    console.print(f"{model['formula']}\n{model['method']}, {model['n']:,} rows{criterion}{state}")
    for message in model["messages"]:
        console.print(f"note: {message}")
    _print(
        console,
        "Effects (level minus baseline)",
        EFFECT,
        [_effect(row) for row in response["effects"]],
    )
    _print(console, "Analysis of variance", ANOVA, response["anova"])
    _print(console, "Coefficients", FIXED, response["fixed"])
    variances = [*response.get("random", ()), *_residual(response)]
    _print(console, "Variances", RANDOM, variances)
    pairs = [
        _with_interval(row) for row in response.get("contrasts", ()) if row["kind"] == "pairwise"
    ]
    _print(console, "Pairs of means", PAIR, pairs)
    _print(console, "Tests of random terms", RANDOM_TEST, response.get("random_tests", ()))
    _print(console, "Standard deviations", LIMITS, response.get("random_intervals", ()))
    for line in _lines(response):
        console.print(line)
    for footer in dict.fromkeys(response["footers"].values()):
        console.print(footer)


def _effect(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_with_interval(row),
        "effect": f"{row['factor']}: {row['level']} vs {row['baseline']}",
        "adjusted p": row["p_adjusted"],
    }


def _with_interval(row: Mapping[str, Any]) -> dict[str, Any]:
    known = row["low"] is not None
    return {**row, "interval": f"[{shown(row['low'])}, {shown(row['high'])}]" if known else None}


def _lines(response: Mapping[str, Any]) -> Iterable[str]:
    """Single results: a likelihood-ratio test, the heterogeneity of a meta-analysis."""
    ratio, meta = response.get("likelihood_ratio"), response.get("meta")
    if ratio:
        test = f"chi2 {shown(ratio['statistic'])}, df {ratio['df']}, p {shown(ratio['p'])}"
        yield f"Against {ratio['against']}: {test}"
    if meta:
        limits = f"[{shown(meta['tau2_low'])}, {shown(meta['tau2_high'])}]"
        new = f"[{shown(meta['prediction_low'])}, {shown(meta['prediction_high'])}]"
        yield (
            f"Between rows: tau2 {shown(meta['tau2'])} {limits}, I2 {shown(meta['i2'])}%,"
            f" Q p {shown(meta['q_p'])}; a new row's true effect {new}"
        )


def shown(value: Any) -> str:
    """A value in four significant digits."""
    if value is None:
        return "\N{EM DASH}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _residual(response: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    sd = response.get("residual_sd")
    if sd is not None:
        yield {"group": "residual", "name": "", "variance": sd**2, "sd": sd}


def _print(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    if not rows:
        return
    table = Table(*columns, title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = column.header == "verdict"
    for row in rows:
        table.add_row(*(shown(row.get(column)) for column in columns))
    console.print(table)
    for reason, names in _reasons(columns, rows).items():
        console.print(f"{', '.join(names)}: {reason}")


def _reasons(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Why rows have no numbers, with the names of those rows."""
    label = "contrast" if "contrast" in columns else columns[0]
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.get("reason") and row.get("p") is None:
            found.setdefault(str(row["reason"]), []).append(str(row[label]))
    return found
