"""`ablatekit analyze`: effects from a table, by factors or by a formula, without a study."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ablatekit.cli.analyze_options import (
    BY_FACTORS,
    BY_FORMULA,
    Adjust,
    Against,
    Alpha,
    AnovaType,
    Baselines,
    Categorical,
    Coding,
    Contexts,
    Contrasts,
    Covariates,
    DegreesOfFreedom,
    Direction,
    Diverged,
    DryRun,
    Everything,
    Excluded,
    Factors,
    Family,
    Formula,
    Means,
    Method,
    Order,
    Pairwise,
    PredictAt,
    Price,
    RandomIntervals,
    RandomTests,
    ReaderName,
    Report,
    Responses,
    Scales,
    SecondOpinion,
    Seed,
    SmallestEffect,
    Table,
    ToJson,
    UnitName,
    Variances,
    Weights,
    Where,
    Wide,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ablatekit.analysis.core.schema.analysis import Analysis
    from ablatekit.analysis.core.schema.vocabulary import Statement
    from ablatekit.analysis.table import Check
    from ablatekit.errors import Problem


def analyze(
    context: typer.Context,
    source: Table,
    response: Responses = None,
    factors: Factors = None,
    contexts: Contexts = None,
    baseline: Baselines = None,
    wide: Wide = None,
    where: Where = None,
    exclude: Excluded = None,
    dry_run: DryRun = False,
    interactions: Order = 2,
    diverged: Diverged = "score",
    second_opinion: SecondOpinion = False,
    price: Price = None,
    covariate: Covariates = None,
    predict_at: PredictAt = None,
    scale: Scales = None,
    report: Report = None,
    formula: Formula = None,
    method: Method = "reml",
    df: DegreesOfFreedom = None,
    family: Family = "gaussian",
    weights: Weights = None,
    variances: Variances = None,
    categorical: Categorical = None,
    coding: Coding = "treatment",
    contrasts: Contrasts = None,
    means: Means = None,
    pairwise: Pairwise = False,
    adjust: Adjust = "holm",
    anova_type: AnovaType = "III",
    against: Against = None,
    random_tests: RandomTests = False,
    random_intervals: RandomIntervals = None,
    seed: Seed = 0,
    reader: ReaderName = None,
    direction: Direction = None,
    unit: UnitName = None,
    smallest_effect: SmallestEffect = None,
    alpha: Alpha = 0.05,
    to_json: ToJson = None,
    everything: Everything = False,
) -> None:
    """Estimate effects from a table with one row per run, or fit a mixed model to its rows.

    What is not stated is proposed, and shown as the command that states it.

    By factors: --response accuracy --factors optimizer,batch --contexts model,dataset

    By a formula: --formula "accuracy ~ optimizer * batch + (1 | model)"
    """
    options = {**locals()}
    _refuse_mistakes(context, options)
    by_formula = formula is not None
    analysis = _of_formula(options) if by_formula else _of_factors(context, options)
    if analysis is not None:
        _deliver(analysis, to_json, report, everything=everything)


def _refuse_mistakes(context: typer.Context, options: Mapping[str, Any]) -> None:
    """Raise UsageError with every option that has no meaning, no such value, or no such place."""
    from ablatekit.errors import UsageError

    problems = [
        *_mixed_up(context, options),
        *_bad_numbers(options["alpha"], options["smallest_effect"]),
        *_bad_places(options["to_json"], options["report"]),
    ]
    if problems:
        raise UsageError(*problems)


def _of_factors(context: typer.Context, options: Mapping[str, Any]) -> Analysis | None:
    """The analysis by factors, what is not stated of them proposed; None where that is all."""
    named = ("response", "factors", "contexts", "wide", "exclude")
    table = _Table(
        options["source"],
        options["reader"],
        {f"--{name}": names_in(options[name]) for name in named},
        pairs("--baseline", options["baseline"]),
        pairs("--where", options["where"]),
    )
    planned = {name: options[name] for name in ("alpha", "interactions", "diverged")}
    dry_run: bool = options["dry_run"]
    if dry_run or not table.is_stated:
        table, planned = _proposed(context, table, planned, options["to_json"], dry_run=dry_run)
    if dry_run:
        return None
    lists = (options[name] or [] for name in ("covariate", "predict_at", "scale"))
    told = (options["price"], *lists)
    return _by_factors(
        table, _rule(options), planned, told, _check(asked=options["second_opinion"])
    )


def _of_formula(options: Mapping[str, Any]) -> Analysis:
    """The analysis by a formula."""
    chosen = {name: options[name] for name in OF_FORMULA}
    chosen["categorical"] = names_in(options["categorical"])
    for several in ("contrasts", "means"):
        chosen[several] = [name for text in options[several] or [] for name in names_in(text)]
    source, reader, formula = (options[name] for name in ("source", "reader", "formula"))
    return _by_formula(source, reader, formula, {**_rule(options), **chosen})


def _rule(options: Mapping[str, Any]) -> dict[str, Any]:
    """What judges an effect, whatever it comes from."""
    return {name: options[name] for name in ("direction", "unit", "smallest_effect")}


def _mixed_up(context: typer.Context, options: Mapping[str, Any]) -> list[Problem]:
    """Options of one form that were given with the other one, and what a form needs."""
    from ablatekit.errors import Problem

    by_factors = options["formula"] is None
    panel, where = BY_FACTORS, "with --formula"
    if by_factors:
        panel, where = BY_FORMULA, "without --formula"
    problems = [Problem(f"{name} has no meaning {where}") for name in _given(context, panel)]
    if by_factors and not problems and names_in(options["wide"]):
        remedy = "With --wide nothing is proposed: give --response and --factors"
        lacking = [name for name in ("response", "factors") if not names_in(options[name])]
        problems = [Problem(f"--{name} is missing", "", remedy) for name in lacking[:1]]
    return problems


def _given(context: typer.Context, panel: str) -> list[str]:
    """The options of a panel that stand on the command line."""
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if getattr(parameter, "rich_help_panel", None) == panel
        and getattr(context.get_parameter_source(str(parameter.name)), "name", "") == "COMMANDLINE"
    ]


def _bad_numbers(alpha: float, smallest_effect: float | None) -> list[Problem]:
    from ablatekit.errors import Problem

    problems = []
    if not 0 < alpha < 0.5:
        problems.append(Problem("--alpha lies between 0 and 0.5", str(alpha)))
    if smallest_effect is not None and not smallest_effect > 0:
        problems.append(Problem("--smallest-effect is above 0", str(smallest_effect)))
    return problems


def _bad_places(to_json: str | None, report: Path | None) -> list[Problem]:
    """Places that cannot be written, told before anything is computed."""
    from ablatekit.errors import Location, Problem

    problems = []
    if to_json not in (None, "-"):
        out = Path(str(to_json))
        if out.is_dir() or not out.parent.is_dir():
            rule = "it is a folder" if out.is_dir() else "its folder does not exist"
            problems.append(Problem(rule, "", "Name a file for --json", Location(str(out))))
    if report is not None and report.exists() and not report.is_dir():
        problems.append(
            Problem("it is a file", "", "Name a folder for --report", Location(str(report)))
        )
    elif report is not None:
        from ablatekit.report.folder import REPORT_FILES, check_folder

        check_folder(report, REPORT_FILES)
    return problems


def names_in(text: str | None) -> list[str]:
    """The names of columns in the value of an option, parted by commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def pairs(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    """What options such as --baseline FACTOR=LEVEL state; UsageError for one without `=`."""
    from ablatekit.errors import Problem, UsageError

    bad = [text for text in texts or () if "=" not in text]
    if bad:
        raise UsageError(*(Problem(f"{option} takes {PAIRS[option]}", text) for text in bad))
    return dict(text.split("=", 1) for text in texts or ())


@dataclass(frozen=True)
class _Table:
    """A source, and what is stated of its columns: `roles` by the option that names them."""

    source: Path
    reader: str | None
    roles: Mapping[str, Sequence[str]]
    baselines: Mapping[str, str]
    where: Mapping[str, str]
    messages: Sequence[Statement] = ()

    @property
    def is_stated(self) -> bool:
        """Whether nothing has to be proposed."""
        return bool(self.roles["--response"] and self.roles["--factors"])


def _proposed(
    context: typer.Context,
    table: _Table,
    planned: Mapping[str, Any],
    to_json: str | None,
    *,
    dry_run: bool,
) -> tuple[_Table, dict[str, Any]]:
    """The table with what is proposed for it, which is shown, and the order of interactions."""
    from ablatekit.cli.console import show_proposal
    from ablatekit.report import proposal as proposals

    given = {*_given(context, BY_FACTORS)}
    order = planned["interactions"] if "--interactions" in given else None
    stated = proposals.stated_of(
        table.roles,
        table.baselines,
        table.where,
        {"direction": context.params.get("direction"), "interactions": order},
    )
    recognised = proposals.recognise(table.source, table.reader, stated, _others(context))
    if dry_run and to_json is not None:
        _write_text(proposals.as_json(recognised), to_json)
    if not (dry_run and to_json == "-"):
        show_proposal(recognised, to_error=to_json == "-", alone=dry_run)
    proposal = recognised.proposal
    names = {"--response": proposal.responses, "--factors": proposal.factors,
             "--contexts": proposal.contexts}  # fmt: skip
    filled = replace(
        table,
        roles={**table.roles, **names},
        baselines=proposal.baselines,
        where=proposal.where,
        messages=proposal.warnings,
    )
    return filled, {**planned, "interactions": proposal.interactions}


OF_FORMULA = (
    "alpha", "method", "df", "family", "weights", "variances", "coding", "pairwise", "adjust",
    "anova_type", "against", "random_tests", "random_intervals", "seed",
)  # fmt: skip
"""Options that a formula's analysis takes as they are."""
PAIRS = {"--baseline": "FACTOR=LEVEL", "--where": "COLUMN=LEVEL", "--setting": "KEY=VALUE"}
IN_PROPOSAL = frozenset(
    {"--response", "--factors", "--contexts", "--baseline", "--where", "--exclude", "--dry-run",
     "--interactions", "--json"}
)  # fmt: skip
"""Options that a proposal states itself, or that change nothing of an analysis."""


def _others(context: typer.Context) -> Iterator[str]:
    """The other options of the command line, as they were given."""
    for parameter in context.command.params:
        name, option = str(parameter.name), parameter.opts[0]
        source = getattr(context.get_parameter_source(name), "name", "")
        if source != "COMMANDLINE" or not option.startswith("-") or option in IN_PROPOSAL:
            continue
        value = context.params[name]
        if value is True:
            yield option
            continue
        for part in value if isinstance(value, list | tuple) else [value]:
            yield from (option, str(part))


def _by_factors(
    table: _Table,
    rule: Mapping[str, Any],
    planned: Mapping[str, Any],
    told: tuple[str | None, Sequence[str], Sequence[str], Sequence[str]],
    check: Check | None,
) -> Analysis:
    """`told` are the texts of --price, --covariate, --predict-at and --scale."""
    from ablatekit.analysis.proposal.refusals import refuse_baselines
    from ablatekit.analysis.table import DEFAULTS, analyse_table
    from ablatekit.analysis.tables.annotations import read_annotations
    from ablatekit.analysis.tables.measures import Measure
    from ablatekit.analysis.tables.read import read_table
    from ablatekit.analysis.tables.readers.base import MESSAGES
    from ablatekit.analysis.tables.values import rows_where

    annotations = read_annotations(*told)
    factors, contexts = table.roles["--factors"], table.roles["--contexts"]
    refuse_baselines(table.baselines, factors)
    frame = read_table(table.source, [*factors, *contexts, *table.where], table.reader)
    frame = rows_where(frame, table.where)
    if table.messages:
        frame.attrs[MESSAGES] = [*frame.attrs.get(MESSAGES, ()), *table.messages]
    return analyse_table(
        frame,
        [Measure(column=name, **rule) for name in table.roles["--response"]],
        factors,
        contexts,
        table.baselines,
        replace(DEFAULTS, **planned),
        _provenance(table.source),
        table.roles["--wide"],
        annotations,
        check,
    )


def _check(*, asked: bool) -> Check | None:
    """The second opinion, where it was asked for."""
    if not asked:
        return None
    from ablatekit.pipeline.second_opinion import with_second_opinion

    return with_second_opinion


def _by_formula(
    table: Path, reader: str | None, formula: str, chosen: Mapping[str, Any]
) -> Analysis:
    """An analysis of one response, named as on the left of the formula."""
    from ablatekit.analysis.formula.analyse import formula_analysis
    from ablatekit.analysis.formula.options import FormulaOptions
    from ablatekit.analysis.tables.read import labels_of, read_for_formula

    options = FormulaOptions(**chosen)
    labels = labels_of(f"{formula} {options.against or ''}", options.categorical)
    frame = read_for_formula(table, f"{formula} {options.mentioned}", reader, labels)
    return formula_analysis(frame, formula, options, _provenance(table))


def _provenance(table: Path) -> dict[str, str]:
    from ablatekit.canonical import file_hash
    from ablatekit.version import __version__

    there = table.is_file()
    provenance = {"ablatekit": __version__, "table": str(table)}
    return {**provenance, "table_hash": file_hash(table)} if there else provenance


def _deliver(
    analysis: Analysis, to_json: str | None, report: Path | None, *, everything: bool
) -> None:
    from ablatekit.errors import NotEstimableError

    _write_json(analysis, to_json)
    if report is not None:
        from ablatekit.report.write import write_report

        page = write_report(analysis, report).html
        typer.echo(f"wrote {page}", err=to_json == "-")
    if to_json != "-":
        from ablatekit.cli.console import print_all
        from ablatekit.report.formats.terminal import answer

        print_all(answer(analysis, everything=everything))
    effects = [row for part in analysis["responses"].values() for row in part["effects"]]
    if effects and all(row["p"] is None for row in effects):
        from ablatekit.report.language.sentences import say

        reason = next((say(row["reason"], "row") for row in effects if row["reason"]), "no row")
        raise NotEstimableError(f"no effect can be estimated: {reason}")


def _write_json(analysis: Mapping[str, Any] | Analysis, to_json: str | None) -> None:
    if to_json is None:
        return
    from ablatekit.legible import masked_json

    text = json.dumps(masked_json(analysis), indent=2, allow_nan=False, ensure_ascii=False)
    _write_text(text, to_json)


def _write_text(text: str, place: str) -> None:
    """Print it where the place is `-`, else make it the content of a file."""
    if place == "-":
        typer.echo(text)
        return
    from ablatekit.canonical import write_atomically

    write_atomically(Path(place), text.encode() + b"\n")
