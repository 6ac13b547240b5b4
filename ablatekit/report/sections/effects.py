"""The effects section: forest plots, and every estimand in a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import DoseSlope, DoseTest, Effect
from ablatekit.analysis.core.schema.vocabulary import Estimand
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.below import Unknown, missing_scopes, parted, said_below
from ablatekit.report.document import (
    Badge,
    Block,
    Column,
    Entry,
    EstimateEntry,
    Fold,
    Gallery,
    IntervalEntry,
    Paragraph,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    figure_data,
    slug,
)
from ablatekit.report.figures.dose import dose_pictures
from ablatekit.report.figures.forest import (
    Forest,
    ForestSeries,
    draw_forest,
    forest_records,
    ranked,
)
from ablatekit.report.language import alternatives, captions, leads, scopes
from ablatekit.report.language.appendix import unknown
from ablatekit.report.language.numbers import (
    Scale,
    absent,
    decimals_for,
    general,
    p_value,
    scale_of,
    sentence,
)
from ablatekit.report.language.reading import (
    ESTIMAND_NAMES,
    Unit,
    confidence,
    factor_labels,
    subject_of,
)
from ablatekit.report.language.sentences import footers_of, say, told
from ablatekit.report.language.verdicts import Room, sized, together, word
from ablatekit.report.sections.answer import (
    effect_entry,
    estimate_entry,
    interval_entry,
    room,
)

MOST_ROWS = 60
"""Lines of the table of estimands; effects.csv holds all of them."""


def forest_section(analysis: Analysis) -> Section | None:
    """A forest plot per response; estimands side by side, and trends, on request."""
    levels = comparisons(analysis)
    if not levels:
        return None
    pictures = forest_pictures(analysis, levels)
    blocks: list[Block] = []
    if pictures:
        blocks.append(Gallery(pictures=pictures, caption=_caption(analysis), wide=True))
    refused, sentences = _missing_scopes(analysis)
    for name, response in analysis["responses"].items():
        table = estimand_table(name, response, levels, room(analysis, response), refused)
        if table.rows:
            blocks.append(Fold(captions.estimands_fold(response["label"]), [table]))
        else:
            blocks += map(Paragraph, table.footer.split("\n"))
    trends = dose_blocks(analysis)
    blocks += [Fold(captions.TRENDS, trends)] if trends else []
    blocks += map(Paragraph, sentences)
    lead = leads.effects_lead(broad=_any_broad(analysis))
    return Section("effects", leads.EFFECTS, lead, blocks, findings.effects(analysis))


def _missing_scopes(analysis: Analysis) -> tuple[set[tuple[str, ...]], list[str]]:
    """The scopes that no effect has, and why."""
    rows = [
        (effect["scope"], effect["reason"])
        for response in analysis["responses"].values()
        for effect in response["effects"]
        if effect["inference"] == "broad" and effect["verdict"] != "identical"
    ]
    return missing_scopes(captions.SCOPED_EFFECT, rows, subject_of(analysis).unit)


def _any_broad(analysis: Analysis) -> bool:
    """Whether broad inference was asked for."""
    return any(
        effect["inference"] == "broad"
        for response in analysis["responses"].values()
        for effect in response["effects"]
    )


def _caption(analysis: Analysis) -> str:
    """What the marks are; of those that no figure has, nothing."""
    responses = analysis["responses"].values()
    return captions.effect_figures(
        confidence(analysis),
        predicted=any(
            row["prediction_low"] is not None
            for response in responses
            for row in response.get("heterogeneity", [])
        ),
        margin=any(response["smallest_effect"] for response in responses),
    )


def forest_pictures(analysis: Analysis, levels: Sequence[Comparison]) -> list[Picture]:
    """One forest for learning and generalization, one for every other response with an effect."""
    series = {
        name: ForestSeries(response, scale_of(response))
        for name, response in analysis["responses"].items()
    }
    return [
        _forest_picture([series[name] for name in names], names, levels, _alike(series, names[0]))
        for names in _panels(analysis)
        if any(series[name].effect(level) is not None for name in names for level in levels)
    ]


def _panels(analysis: Analysis) -> list[tuple[str, ...]]:
    """The names of the responses of every panel; pairs are in one unit."""
    responses = analysis["responses"]
    panels: list[tuple[str, ...]] = []
    paired: set[str] = set()
    for gap in analysis.get("comparisons", {}).values():
        pair = gap["learning"], gap["generalization"]
        known = set(pair) <= responses.keys() and not paired & set(pair)
        if known and len({_unit(responses[name]) for name in pair}) == 1:
            panels.append(pair)
            paired |= set(pair)
    return [*panels, *((name,) for name in responses if name not in paired)]


def _unit(response: ResponseAnalysis) -> tuple[float, str]:
    scale = scale_of(response)
    return scale.factor, scale.unit


def _alike(series: Mapping[str, ForestSeries], name: str) -> list[ForestSeries]:
    """The responses in the unit of one."""
    unit = _unit(series[name].response)
    return [part for part in series.values() if _unit(part.response) == unit]


def _forest_picture(
    series: Sequence[ForestSeries],
    names: Sequence[str],
    levels: Sequence[Comparison],
    alike: Sequence[ForestSeries],
) -> Picture:
    shown = ranked(series[-1], levels)
    forest = Forest(series, shown, alike)
    labels = [part.response["label"] for part in series]
    parts = (f"{level.name}: {_spoken(level, series)}" for level in shown)
    return Picture(
        id=f"forest-{slug(names[-1])}",
        title=sentence(" and ".join(labels)),
        alt=alternatives.forest(labels, parts),
        draw=partial(draw_forest, forest),
        narrow=partial(draw_forest, forest, narrow=True),
        data=lambda: figure_data(forest_records(forest)),
    )


def _spoken(level: Comparison, series: Sequence[ForestSeries]) -> str:
    """A level's effect, named after its response where the figure has several."""
    said = []
    for part in series:
        name = f"{part.response['label']} " if len(series) > 1 else ""
        effect = find_effect(part.response["effects"], level, "narrow")
        verdict = word(effect["verdict"] if effect else "not_estimated")
        known = part.effect(level)
        values = f"{' '.join(part.values(known)).strip()}, " if known is not None else ""
        said.append(f"{name}{values}{verdict}")
    return ", ".join(said)


def estimand_table(
    name: str,
    response: ResponseAnalysis,
    levels: Sequence[Comparison],
    available: Room,
    refused: Collection[tuple[str, ...]] = (),
) -> Table:
    """A line per level and scope, an estimand per column; what has no number is said below."""
    labels = {(level.factor, level.level): level.label for level in levels}
    scale = scale_of(response)
    chosen = [
        effect
        for effect in response["effects"]
        if effect["estimand"] != "interaction"
        and (effect["inference"] == "narrow" or tuple(effect["scope"]) not in refused)
    ]
    lines, estimands = _lines(chosen), _known_estimands(chosen)
    shown = list(lines.values())[:MOST_ROWS]
    return Table(
        id=f"estimands-{slug(name)}",
        caption=captions.every_estimand(response["label"]),
        columns=[
            Column("factor"), Column("level"), Column("inference"),
            *(Column(captions.with_unit(captions.ESTIMANDS[part], scale.unit), numeric=True)
              for part in estimands),
        ],
        rows=[_line_entries(line, labels, estimands, scale, available.unit) for line in shown],
        keys=[_line_keys(line) for line in shown],
        footer="\n".join([
            *(captions.ESTIMAND_MEANINGS[part] for part in estimands),
            *_said_of_effects(chosen, labels, available.unit, len(levels), _said_of_all(response)),
            *common_pair_notes(chosen, labels, scale),
            unknown.rest_in_csv(len(lines), MOST_ROWS)
            if len(lines) > MOST_ROWS else captions.REST_IN_CSV,
        ]),
        computed=estimand_notes(response, chosen, available.unit),
    )  # fmt: skip


Line: TypeAlias = Mapping[Estimand, Effect]
"""The effects of one level under one inference and scope."""


def _lines(effects: Sequence[Effect]) -> dict[tuple[str, ...], dict[Estimand, Effect]]:
    """Effects by level, inference and scope, without those that have no number."""
    lines: dict[tuple[str, ...], dict[Estimand, Effect]] = {}
    for effect in effects:
        if _is_known(effect):
            key = (effect["factor"], effect["level"], effect["inference"], *effect["scope"])
            lines.setdefault(key, {})[effect["estimand"]] = effect
    return lines


def _is_known(effect: Effect) -> bool:
    """Whether there is more to show than the estimate that the narrow row has."""
    return not absent(effect["estimate" if effect["inference"] == "narrow" else "low"])


def _known_estimands(effects: Sequence[Effect]) -> list[Estimand]:
    known = {effect["estimand"] for effect in effects if _is_known(effect)}
    return [estimand for estimand in captions.ESTIMANDS if estimand in known]


def _line_entries(
    line: Line,
    labels: Mapping[tuple[str, str], str],
    estimands: Sequence[Estimand],
    scale: Scale,
    unit: Unit,
) -> list[Entry]:
    first = next(iter(line.values()))
    return [
        Text(labels.get((first["factor"], first["level"]), first["factor"])),
        Text(first["level"], note=captions.against(first["baseline"]), strong=True),
        Text(reach(first, unit)),
        *(_judged_entry(line.get(estimand), scale) for estimand in estimands),
    ]


def _judged_entry(effect: Effect | None, scale: Scale) -> EstimateEntry:
    """An estimate over its interval, with its verdict and adjusted p."""
    entry = estimate_entry(effect, scale)
    if effect is None or absent(effect["p_adjusted"]):
        return entry
    judged = captions.judged(word(effect["verdict"]), p_value(effect["p_adjusted"]))
    return replace(entry, note="; ".join(filter(None, (judged, entry.note))))


def _line_keys(line: Line) -> list[tuple[str, str]]:
    first = next(iter(line.values()))
    return [pair for pair in effect_keys(first) if pair[0] != "estimand"]


def _said_of_effects(
    effects: Sequence[Effect],
    labels: Mapping[tuple[str, str], str],
    unit: Unit,
    every: int,
    elsewhere: Collection[str],
) -> list[str]:
    """Why effects have no number, and what qualifies those that have one.

    `elsewhere` are the codes of what is said of all of them.
    """
    return said_below(
        (
            Unknown(
                labels.get((effect["factor"], effect["level"]), effect["factor"]),
                effect["level"],
                say(statement, unit),
                _what(effect, unit),
            )
            for effect in effects
            for statement in (effect["reason"], *effect["notes"])
            if statement is not None and statement["code"] not in elsewhere
        ),
        every,
    )


def _said_of_all(response: ResponseAnalysis) -> set[str]:
    """Codes of notes that say what the response's footers say of all its effects."""
    footers = response.get("footers", {}).values()
    truncated = any(part["code"] == "truncated_model" for footer in footers for part in footer)
    return {"assumes_order"} if truncated else set()


def _what(effect: Effect, unit: Unit) -> str:
    """The estimand of an effect, and its scope."""
    name = ESTIMAND_NAMES[effect["estimand"]]
    return f"{name} {reach(effect, unit)}" if effect["scope"] else name


def common_pair_notes(
    effects: Sequence[Effect], labels: Mapping[tuple[str, str], str], scale: Scale
) -> list[str]:
    """The average effects over the pairs that all contexts share, where pairs differ."""
    told = [
        f"{labels.get((effect['factor'], effect['level']), effect['factor'])}: {effect['level']}"
        f" {scale.effect(other['estimate'])} {scale.interval(other['low'], other['high'])}"
        for effect in effects
        if effect["inference"] == "narrow" and (other := effect.get("common_pairs")) is not None
    ]
    return [captions.common_pairs(told)] if told else []


def compact_estimands(
    name: str,
    label: str,
    effects: Sequence[Effect],
    scale: Scale,
    available: Room,
) -> Table:
    """Every estimand and scope in the columns that a terminal has room for."""
    return Table(
        id=f"all-{slug(name)}",
        caption=captions.every_estimand(label),
        columns=[
            Column("level"), Column("estimand"),
            Column(captions.with_unit("estimate", scale.unit), numeric=True),
            Column("interval", numeric=True), Column("adjusted p", numeric=True),
            Column("verdict"),
        ],
        rows=[
            [
                Text(f"{effect['factor']}: {captions.versus(effect['level'], effect['baseline'])}"),
                Text(f"{ESTIMAND_NAMES[effect['estimand']]}, {reach(effect, available.unit)}"),
                effect_entry(effect, scale),
                interval_entry(effect, scale),
                Quantity(p_value(effect["p_adjusted"]), effect["p_adjusted"]),
                Text(_judged(effect)),
            ]
            for effect in effects
        ],
    )  # fmt: skip


def _judged(effect: Effect) -> str:
    if effect["estimand"] == "interaction":
        return together(effect["verdict"])
    return sized(effect["verdict"], effect["size"])


def reach(effect: Effect, unit: Unit) -> str:
    """What an effect speaks for: narrow, or its scope."""
    return say(effect["averaged_over"], unit) if effect["scope"] else effect["inference"]


def effect_keys(effect: Effect) -> list[tuple[str, str]]:
    """What identifies an effect, as data- attributes of its row."""
    return [
        ("factor", effect["factor"]),
        ("level", effect["level"]),
        ("estimand", effect["estimand"]),
        ("inference", effect["inference"]),
        ("scope", " ".join(effect["scope"])),
    ]


def estimand_notes(response: ResponseAnalysis, effects: Sequence[Effect], unit: Unit) -> list[str]:
    """The footers of the estimands and inferences shown, else what the effects themselves name."""
    footers = footers_of(response, unit)
    estimands = dict.fromkeys(effect["estimand"] for effect in effects)
    inferences = dict.fromkeys(effect["inference"] for effect in effects)
    if all(footers.get(estimand) for estimand in estimands):
        named = [f"{ESTIMAND_NAMES[name].capitalize()}: {footers[name]}" for name in estimands]
        return named + [footers[name] for name in inferences if footers.get(name)]
    return _notes_of_rows(effects, unit)


def _notes_of_rows(effects: Sequence[Effect], unit: Unit) -> list[str]:
    """How errors were estimated, as the effects themselves name it."""
    methods: dict[tuple[Estimand, str], dict[str, None]] = {}
    for effect in effects:
        key = effect["estimand"], effect["inference"]
        methods.setdefault(key, {})[say(effect["method"], unit)] = None
    return [
        f"{ESTIMAND_NAMES[estimand].capitalize()}, {inference}: {' / '.join(names)}."
        for (estimand, inference), texts in methods.items()
        if (names := list(filter(None, texts)))
    ]


def dose_blocks(analysis: Analysis) -> list[Block]:
    """Trends over the levels of ordered factors: one F test each, and slopes by scope.

    A factor of two levels has none beyond its effect.
    """
    blocks: list[Block] = []
    refused, _ = _missing_scopes(analysis)
    for name, response in analysis["responses"].items():
        dose = response.get("dose")
        if dose:
            tests = [row for row in dose["tests"] if len(row["scores"]) > 2]
            ordered = {row["factor"] for row in tests}
            slopes = [
                row
                for row in dose["slopes"]
                if row["factor"] in ordered and tuple(row["scope"]) not in refused
            ]
            blocks.append(_dose_tests(analysis, name, response, tests))
            blocks.append(_dose_slopes(analysis, name, response, slopes))
    tables = [block for block in blocks if not isinstance(block, Table) or block.rows]
    pictures = dose_pictures(analysis)
    return [Gallery(pictures=pictures), *tables] if pictures else tables


def _dose_tests(
    analysis: Analysis, name: str, response: ResponseAnalysis, tests: Sequence[DoseTest]
) -> Table:
    labels, unit = factor_labels(analysis), subject_of(analysis).unit
    rows, below = parted(
        tests,
        lambda row: not absent(row["statistic"]),
        lambda row: Unknown(
            labels.get(row["factor"], row["factor"]), None, told(row["reason"], unit)
        ),
    )
    return Table(
        id=f"dose-{slug(name)}",
        caption=captions.dose_tests(response["label"]),
        columns=[
            Column("factor"), Column("order"), Column("F", numeric=True),
            Column("df", numeric=True), Column("error df", numeric=True),
            Column("p", numeric=True), Column("adjusted p", numeric=True),
        ],
        rows=[
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(captions.DOSE_SCALES[row["scale"]]),
                Quantity(general(row["statistic"]), row["statistic"]),
                Quantity(general(row["num_df"], 3), row["num_df"]),
                Quantity(general(row["den_df"], 3), row["den_df"]),
                Quantity(p_value(row["p"]), row["p"]),
                Quantity(p_value(row["p_adjusted"]), row["p_adjusted"]),
            ]
            for row in rows
        ],
        keys=[[("factor", row["factor"])] for row in rows],
        footer="\n".join(below),
        computed=[captions.DOSE_FOOTER],
    )  # fmt: skip


def _slope_scale(scale: Scale, slopes: Sequence[DoseSlope], factor: str) -> Scale:
    """The response's scale with digits by the standard errors of this factor's slopes."""
    errors = [row["se"] for row in slopes if row["factor"] == factor and row["se"]]
    return replace(scale, decimals=decimals_for(errors, scale.factor)) if errors else scale


def _dose_slopes(
    analysis: Analysis, name: str, response: ResponseAnalysis, slopes: Sequence[DoseSlope]
) -> Table:
    labels, unit, scale = factor_labels(analysis), subject_of(analysis).unit, scale_of(response)
    scales = {row["factor"]: _slope_scale(scale, slopes, row["factor"]) for row in slopes}
    rows, below = parted(
        slopes,
        lambda row: not absent(row["low"]),
        lambda row: Unknown(
            labels.get(row["factor"], row["factor"]), None, told(row["reason"], unit), _over(row)
        ),
    )
    return Table(
        id=f"slopes-{slug(name)}",
        caption=captions.dose_slopes(response["label"]),
        columns=[
            Column("factor"), Column("inference"),
            Column(captions.with_unit("slope", scale.unit), numeric=True),
            Column("interval", numeric=True), Column("se", numeric=True),
            Column("df", numeric=True), Column("adjusted p", numeric=True), Column("verdict"),
        ],
        rows=[
            [
                Text(captions.slope_of(labels.get(row["factor"], row["factor"]), row["scale"])),
                Text(_over(row)),
                Quantity(scale.effect(row["estimate"]), row["estimate"]),
                IntervalEntry(scale.interval(row["low"], row["high"]), row["low"], row["high"]),
                Quantity(scale.plain(row["se"]), row["se"]),
                Quantity(general(row["df"], 3), row["df"]),
                Quantity(p_value(row["p_adjusted"]), row["p_adjusted"]),
                Badge(row["verdict"]),
            ]
            for row, scale in ((row, scales[row["factor"]]) for row in rows)
        ],
        keys=[
            [("factor", row["factor"]), ("inference", row["inference"]),
             ("scope", " ".join(row["scope"]))]
            for row in rows
        ],
        footer="\n".join(below),
    )  # fmt: skip


def _over(row: DoseSlope) -> str:
    return scopes.over(row["scope"]) if row["scope"] else row["inference"]
