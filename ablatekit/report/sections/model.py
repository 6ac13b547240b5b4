"""The section on a fitted formula: coefficients, variances, means, and the tests asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ablatekit.analysis.core.lookup import is_formula
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.formula import (
    ContrastRow,
    MeanRow,
    RandomInterval,
    RandomTest,
)
from ablatekit.analysis.core.schema.model import FixedRow, RandomRow
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.below import Unknown, parted, said_below
from ablatekit.report.document import (
    Badge,
    Block,
    Column,
    Entry,
    Facts,
    Heading,
    IntervalEntry,
    Paragraph,
    Quantity,
    Section,
    Table,
    Text,
    slug,
)
from ablatekit.report.language import formulas, leads
from ablatekit.report.language.numbers import absent, general, general_interval, p_value, sentence
from ablatekit.report.language.sentences import told
from ablatekit.report.language.verdicts import together


def model_section(analysis: Analysis) -> Section | None:
    """What a formula's fit holds beside its effects; nothing where none was fitted."""
    blocks: list[Block] = []
    for name, response in analysis["responses"].items():
        if is_formula(response):
            blocks += [Heading(sentence(response["label"])), *fit_blocks(name, response)]
    if not blocks:
        return None
    return Section("model", leads.MODEL, leads.MODEL_LEAD, blocks, findings.model(analysis))


def fit_blocks(name: str, response: ResponseAnalysis) -> list[Block]:
    """The tables of a fit; one that holds nothing is absent."""
    tables = [
        _coefficients(name, response["fixed"]),
        _variances(name, response),
        _means(name, response.get("means", ())),
        _pairs(name, response.get("contrasts", ())),
        _random_tests(name, response.get("random_tests", ())),
        _limits(name, response.get("random_intervals", ())),
    ]
    blocks: list[Block] = [Facts(list(fit_facts(response)))]
    blocks += [table for table in tables if table.rows]
    return [*blocks, *map(Paragraph, single_results(response))]


def fit_facts(response: ResponseAnalysis) -> Iterator[tuple[str, str]]:
    """The likelihood, and the variance that the model explains."""
    explained = response.get("explained")
    likelihood = [response.get(name) for name, _ in formulas.LIKELIHOOD]
    for (_, title), value in zip(formulas.LIKELIHOOD, likelihood, strict=True):
        if value is not None:
            yield title, general(value)
    for name, title in formulas.EXPLAINED:
        value = explained.get(name) if explained else None
        if value is not None and (name != "conditional" or response.get("random")):
            yield title, general(value, 3)


def single_results(response: ResponseAnalysis) -> Iterator[str]:
    """Results of one line: a likelihood-ratio test, the heterogeneity of a meta-analysis."""
    ratio, meta = response.get("likelihood_ratio"), response.get("meta")
    if ratio:
        test = general(ratio["statistic"]), ratio["df"], p_value(ratio["p"])
        yield formulas.likelihood_ratio(ratio["against"], *test)
    if meta:
        tau2 = general(meta["tau2"]), general_interval(meta["tau2_low"], meta["tau2_high"])
        yield formulas.between_rows(*tau2, general(meta["i2"]), p_value(meta["q_p"]))
        if meta["prediction_low"] is not None:
            limits = general_interval(meta["prediction_low"], meta["prediction_high"])
            yield formulas.new_row(limits)


def effect_tests(name: str, response: ResponseAnalysis) -> Table:
    """Every effect of a formula on one line, with its test."""
    return Table(
        id=f"tests-{slug(name)}",
        caption=formulas.EFFECTS,
        columns=[
            Column("effect"), Column("estimate", numeric=True), Column("interval", numeric=True),
            Column("df", numeric=True), Column("p", numeric=True),
            Column("adjusted p", numeric=True), Column("verdict"),
        ],
        rows=[_effect_test(effect) for effect in response["effects"]],
    )  # fmt: skip


def _effect_test(effect: Effect) -> list[Entry]:
    return [
        Text(formulas.effect(effect["factor"], effect["level"], effect["baseline"])),
        _number(effect["estimate"]),
        _interval(effect["low"], effect["high"]),
        Quantity(general(effect["df"], 3), effect["df"]),
        _p(effect["p"]),
        _p(effect["p_adjusted"]),
        _verdict(effect),
    ]


def _verdict(effect: Effect) -> Entry:
    """Direction and size of an effect; of an interaction, more or less together than apart."""
    reason = told(effect["reason"], "row")
    if effect["estimand"] == "interaction":
        return Text(together(effect["verdict"]), note=reason)
    return Badge(effect["verdict"], reason, effect["size"])


def _coefficients(name: str, rows: Sequence[FixedRow]) -> Table:
    return Table(
        id=f"coefficients-{slug(name)}",
        caption=formulas.COEFFICIENTS,
        columns=[
            Column("term"), Column("estimate", numeric=True), Column("se", numeric=True),
            Column("df", numeric=True), Column("t", numeric=True), Column("p", numeric=True),
            Column("interval", numeric=True),
        ],
        rows=[
            [
                Text(row["term"]),
                _number(row["estimate"]),
                _number(row["se"]),
                Quantity(general(row["df"], 3), row["df"]),
                _number(row["statistic"]),
                _p(row["p"]),
                _interval(row["low"], row["high"]),
            ]
            for row in rows
        ],
    )  # fmt: skip


def _variances(name: str, response: ResponseAnalysis) -> Table:
    rows, residual = list(response.get("random", ())), response["residual_sd"]
    if rows and residual is not None:
        rows.append(RandomRow(group="residual", name="", variance=residual**2, sd=residual))
    return Table(
        id=f"variances-{slug(name)}",
        caption=formulas.VARIANCES,
        columns=[
            Column("group"), Column("name"), Column("variance", numeric=True),
            Column("sd", numeric=True),
        ],
        rows=[
            [Text(row["group"]), Text(row["name"]), _number(row["variance"]), _number(row["sd"])]
            for row in rows
        ],
    )  # fmt: skip


def _means(name: str, means: Sequence[MeanRow]) -> Table:
    rows, below = parted(
        means,
        lambda row: not absent(row["estimate"]),
        lambda row: Unknown(row["factor"], row["level"], told(row["reason"], "row")),
        len(means),
    )
    return Table(
        id=f"means-{slug(name)}",
        caption=formulas.MEANS,
        columns=[
            Column("factor"), Column("level"), Column("mean", numeric=True),
            Column("interval", numeric=True), Column("se", numeric=True),
            Column("df", numeric=True),
        ],
        rows=[
            [
                Text(row["factor"]),
                Text(row["level"], strong=True),
                _number(row["estimate"]),
                _interval(row["low"], row["high"]),
                _number(row["se"]),
                Quantity(general(row["df"], 3), row["df"]),
            ]
            for row in rows
        ],
        footer="\n".join(below),
    )  # fmt: skip


def _pairs(name: str, rows: Sequence[ContrastRow]) -> Table:
    pairs, below = parted(
        [row for row in rows if row["kind"] == "pairwise"],
        lambda row: not absent(row["estimate"]),
        lambda row: Unknown(row["factor"], row["contrast"], told(row["reason"], "row")),
    )
    return Table(
        id=f"pairs-{slug(name)}",
        caption=formulas.PAIRS,
        columns=[
            Column("factor"), Column("pair"), Column("estimate", numeric=True),
            Column("interval", numeric=True), Column("df", numeric=True),
            Column("p", numeric=True), Column("adjusted p", numeric=True),
        ],
        rows=[
            [
                Text(row["factor"]),
                Text(row["contrast"]),
                _number(row["estimate"]),
                _interval(row["low"], row["high"]),
                Quantity(general(row["df"], 3), row["df"]),
                _p(row["p"]),
                _p(row["p_adjusted"]),
            ]
            for row in pairs
        ],
        footer="\n".join(below),
    )  # fmt: skip


def _random_tests(name: str, rows: Sequence[RandomTest]) -> Table:
    return Table(
        id=f"random-tests-{slug(name)}",
        caption=formulas.RANDOM_TESTS,
        columns=[
            Column("term"), Column("chi2", numeric=True), Column("df", numeric=True),
            Column("p", numeric=True),
        ],
        rows=[
            [Text(row["term"]), _number(row["statistic"]), _number(row["df"]), _p(row["p"])]
            for row in rows
        ],
    )  # fmt: skip


def _limits(name: str, rows: Sequence[RandomInterval]) -> Table:
    below = said_below(
        Unknown(row["group"], row["name"], told(row["reason"], "row")) for row in rows
    )
    return Table(
        id=f"limits-{slug(name)}",
        caption=formulas.LIMITS,
        columns=[
            Column("group"), Column("name"), Column("sd", numeric=True),
            Column("interval", numeric=True),
        ],
        rows=[
            [
                Text(row["group"]),
                Text(row["name"]),
                _number(row["sd"]),
                _interval(row["low"], row["high"]),
            ]
            for row in rows
        ],
        footer="\n".join(below),
    )  # fmt: skip


def _number(value: Number) -> Quantity:
    return Quantity(general(value), value)


def _interval(low: Number, high: Number) -> IntervalEntry:
    return IntervalEntry(general_interval(low, high), low, high)


def _p(value: Number) -> Quantity:
    return Quantity(p_value(value), value)
