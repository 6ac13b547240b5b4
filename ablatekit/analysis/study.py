"""From the tables of a study to the content of `analysis.json` (DESIGN 3.5): a pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import numpy as np

from ablatekit.analysis.cells.broad import Scope, scopes
from ablatekit.analysis.cells.cell_anova import anova
from ablatekit.analysis.cells.configurations import configurations
from ablatekit.analysis.cells.covariates import covariate_rows
from ablatekit.analysis.cells.dose import dose
from ablatekit.analysis.cells.effects import (
    EffectFamily,
    Evaluated,
    Fitted,
    effect_rows,
    fit,
    infer_all,
    plain_rows,
)
from ablatekit.analysis.cells.gap import gap_comparisons
from ablatekit.analysis.cells.heterogeneity import spread
from ablatekit.analysis.cells.prices import level_prices, pricing
from ablatekit.analysis.companions import diagnostics as checks
from ablatekit.analysis.companions.bounds import bounds, policies, unsteady_cells
from ablatekit.analysis.companions.cell_predictions import cell_predictions
from ablatekit.analysis.companions.detectable import detectable_rows
from ablatekit.analysis.companions.dynamics import curves
from ablatekit.analysis.companions.influence import influence_rows
from ablatekit.analysis.companions.mixed import mixed_companion
from ablatekit.analysis.companions.robust import answered_by_permutation, robust
from ablatekit.analysis.companions.training import (
    effects_over_training,
    level_rows,
    milestones,
    stability,
)
from ablatekit.analysis.core.layout import Layout, layout
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.analysis import (
    SCHEMA_VERSION,
    Analysis,
    DesignRecord,
    ResponseAnalysis,
)
from ablatekit.analysis.core.schema.companions import (
    Detectable,
    Diagnostics,
    EffectAtStep,
    ItemLevel,
    Milestone,
    Missing,
    MixedCompanion,
    RobustCompanions,
    Stability,
)
from ablatekit.analysis.core.schema.effects import (
    CellTable,
    Configurations,
    ContextEffect,
    CovariateRow,
    Dose,
    HeterogeneityRow,
    PlainRow,
)
from ablatekit.analysis.core.schema.model import FixedRow, ModelRecord
from ablatekit.analysis.core.schema.vocabulary import InferenceName, Statement, statement
from ablatekit.analysis.core.student import t_quantile, two_sided
from ablatekit.analysis.core.threads import one_thread
from ablatekit.analysis.footers import footers
from ablatekit.analysis.stats.verdict import rule_for
from ablatekit.analysis.tables.costs import Prices, level_costs, prices
from ablatekit.analysis.tables.missing import count_runs, missing_runs
from ablatekit.analysis.tables.outcomes import outcomes_of
from ablatekit.analysis.tables.responses import (
    History,
    Response,
    is_proportion,
    positions,
    respond,
    shown_unit,
)
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.canonical import content_hash
from ablatekit.design.plan import Plan, PlannedResponse

GAP_SIDES: tuple[Literal["learning", "generalization"], ...] = ("learning", "generalization")


class Companions(TypedDict, total=False):
    """The optional sections of a response; an absent key is an absent section."""

    items: ItemLevel
    robust: RobustCompanions
    detectable: list[Detectable]
    effects_over_training: list[EffectAtStep]
    milestones: list[Milestone]
    stability: list[Stability]
    mixed: MixedCompanion


class OtherAnswers(TypedDict, total=False):
    """Contrasts beside the effect table; an absent key is an absent section."""

    plain_contexts: list[PlainRow]
    cells: CellTable
    configurations: Configurations
    dose: Dose
    covariates: list[CovariateRow]


def other_answers(
    plan: Plan,
    planned: PlannedResponse,
    fitted: Fitted,
    families: Sequence[EffectFamily],
    costs: Prices | None,
) -> OtherAnswers:
    """What the contrasts of a response say beyond the effect table."""
    analysis, design = plan.analysis, fitted.layout
    average = [effect for effect, _ in families[0].members]
    answers = OtherAnswers()
    plain = plain_rows(families, design, analysis.alpha)
    if plain:
        answers["plain_contexts"] = plain
    rule = rule_for(planned.direction, analysis.alpha, analysis.adjust, planned.smallest_effect)
    wanted, name = inferences(plan), planned.name
    compared = configurations(fitted, name, rule, wanted, pricing(costs, fitted))
    if compared is not None:
        answers["configurations"] = compared
    cells = cell_predictions(fitted, rule, pricing(costs, fitted))
    if cells is not None:
        answers["cells"] = cells
    trends = dose(fitted, name, rule, wanted)
    if trends is not None:
        answers["dose"] = trends
    if plan.covariates:
        answers["covariates"] = covariate_rows(
            average, design, plan.covariates, analysis.predict_at, analysis.alpha
        )
    return answers


def companions(
    plan: Plan,
    planned: PlannedResponse,
    response: Response,
    tables: StudyTables,
    fitted: Fitted,
    families: Sequence[EffectFamily],
) -> Companions:
    """All sections that the runs allow; draws are seeded by the plan and the response's name."""
    alpha, higher = plan.analysis.alpha, planned.direction == "higher"
    seed = int(content_hash([plan.hash, planned.name]), 16)
    average = [effect for effect, _ in families[0].members]
    sections = Companions()
    outcomes = outcomes_of(planned, tables.outcomes, fitted.values)
    if outcomes is not None:
        from ablatekit.analysis.companions.items import item_level  # imports the whole engine

        sections["items"] = item_level(outcomes, fitted, average, alpha)
    beside = robust(response.values, fitted.layout, average, alpha, seed, higher)
    if beside is not None:
        sections["robust"] = beside
    detectable = detectable_rows(fitted, families, alpha)
    if detectable:
        sections["detectable"] = detectable
    mixed = mixed_companion(fitted, average, alpha)
    if mixed is not None:
        sections["mixed"] = mixed
    return {**sections, **_training(planned, response, tables, fitted, average, alpha)}


def _training(
    planned: PlannedResponse,
    response: Response,
    tables: StudyTables,
    fitted: Fitted,
    average: Sequence[Evaluated],
    alpha: float,
) -> Companions:
    history, layout = response.training.common, fitted.layout
    if len(history.step) < 2:
        return Companions()
    sections, higher = Companions(), planned.direction == "higher"
    analysed = History(history.step, history.value[~np.isnan(response.by_run)])
    over = effects_over_training(fitted, average, response.values, analysed, alpha)
    if over:
        sections["effects_over_training"] = over
    status = tables.runs["status"].to_numpy(dtype=str)
    ended = np.isin(status, ("finished", "diverged"))
    unit = positions(tables.runs["unit"], layout.units)[ended]
    ended_history = History(history.step, history.value[ended])
    context = positions(tables.runs["context"], layout.contexts)[ended]
    levels = level_rows(layout, unit, context)
    reached = milestones(ended_history, levels, planned.summary, higher)
    if reached:
        sections["milestones"] = reached
    if ended.any():
        sections["stability"] = stability(
            ended_history, unit, status[ended] == "diverged", layout, higher
        )
    return sections


def missing_section(
    plan: Plan, planned: PlannedResponse, response: Response, tables: StudyTables, fitted: Fitted
) -> Missing:
    """Missing runs with their bounds and, where many diverged, the policies side by side."""
    layout, analysis = fitted.layout, plan.analysis
    kept = analysis.diverged != "exclude"
    messages = [*response.messages, *(unsteady_cells(tables, layout) if kept else [])]
    section = missing_runs(tables.runs, layout, analysis.diverged, messages)
    limits = bounds(planned, response, tables, layout)
    if limits:
        section["bounds"] = limits
    compared = policies(planned, tables, layout, analysis)
    if compared:
        section["policies"] = compared
    return section


@one_thread()
def analyse(
    plan: Plan, tables: StudyTables, provenance: Mapping[str, Any], deviations: Sequence[str]
) -> Analysis:
    """Everything that the report shows, from the frozen plan and what the runs reported.

    Pure: the same tables give the same content, whatever the order of their rows. Costs that differ
    between executions (seconds) enter `provenance`, which is exempt from that promise.
    """
    design = layout(plan)
    tables = _sorted(tables)
    policy = plan.analysis.diverged
    responses = {r.name: respond(r, tables, design, policy) for r in plan.analysis.responses}
    analysed = {run for response in responses.values() for run in response.values.run}
    costs = prices(plan, tables, design)
    unrepeatable = {
        "cost": level_costs(tables, design, _costs(plan, repeatable=False)),
        "price": level_prices(costs, design),
    }
    analyses = {
        planned.name: _response(plan, planned, responses[planned.name], tables, design, costs)
        for planned in plan.analysis.responses
    }
    gaps = gap_comparisons(responses, design, plan.analysis, inferences(plan), costs)
    for gap in gaps.values():
        sides = (analyses[gap[side]]["diagnostics"] for side in GAP_SIDES)
        gap["messages"] += checks.near_bounds_of_gap(*sides)
    analysis = Analysis(
        schema_version=SCHEMA_VERSION,
        study=_study(plan, costs),
        design=_design(plan, tables, design),
        counts=count_runs(tables.runs, analysed),
        deviations=list(deviations),
        provenance={**provenance, **{name: rows for name, rows in unrepeatable.items() if rows}},
        responses=analyses,
        comparisons=gaps,
    )
    return answered_by_permutation(analysis)


def inferences(plan: Plan) -> tuple[InferenceName, ...]:
    """The inferences that the plan asks for, narrow first."""
    chosen = plan.analysis.inference
    wanted: tuple[InferenceName, ...] = ("narrow", "broad")
    return tuple(name for name in wanted if chosen in (name, "both"))


def _costs(plan: Plan, *, repeatable: bool) -> list[str]:
    """Cost metrics that two executions of one run agree on, or those that differ (seconds)."""
    unrepeatable = set(plan.unrepeatable_metrics)
    return [metric for metric in plan.cost_metrics if (metric not in unrepeatable) == repeatable]


def _sorted(tables: StudyTables) -> StudyTables:
    """Rows in an order that does not depend on execution, so that sums are bit-identical."""
    return StudyTables(
        runs=tables.runs.sort_values("run", kind="stable", ignore_index=True),
        history=tables.history.sort_values(["run", "metric", "step"], kind="stable"),
        results=tables.results.sort_values(["run", "metric"], kind="stable"),
        outcomes=tables.outcomes.sort_values(["run", "split", "dataset", "item"], kind="stable"),
    )


def _study(plan: Plan, costs: Prices | None) -> dict[str, Any]:
    analysis = plan.analysis
    return {
        "name": plan.study,
        "title": plan.title,
        "question": plan.question,
        "backend": plan.backend,
        "results_version": plan.results_version,
        "plan_hash": plan.hash,
        "interactions": analysis.interactions,
        "inference": analysis.inference,
        "alpha": analysis.alpha,
        "adjust": analysis.adjust,
        "diverged": analysis.diverged,
        "price": costs.metric if costs else None,
        "predict_at": dict(analysis.predict_at),
    }


def _design(plan: Plan, tables: StudyTables, design: Layout) -> DesignRecord:
    return DesignRecord(
        kind=plan.design,
        factors=[
            {
                "name": factor.name,
                "label": factor.label,
                "levels": list(factor.levels),
                "baseline": factor.baseline,
                "scale": factor.scale,
            }
            for factor in design.factors
        ],
        contexts=[dict(context) for context in plan.contexts],
        replicates=plan.replicates,
        cells=[{"levels": dict(cell.levels), "unit": cell.unit} for cell in plan.cells],
        merged=[[dict(cell.levels) for cell in group] for group in plan.merged],
        excluded=[dict(excluded) for excluded in plan.excluded],
        held_equal=dict(plan.held_equal),
        warnings=list(plan.warnings),
        cost=level_costs(tables, design, _costs(plan, repeatable=True)),
    )


def _response(
    plan: Plan,
    planned: PlannedResponse,
    response: Response,
    tables: StudyTables,
    design: Layout,
    costs: Prices | None,
) -> ResponseAnalysis:
    analysis = plan.analysis
    fitted = fit(response.values, design, analysis.interactions)
    rule = rule_for(planned.direction, analysis.alpha, analysis.adjust, planned.smallest_effect)
    families = infer_all(fitted, inferences(plan), analysis.alpha)
    average = [effect for effect, _ in families[0].members]
    table = anova(
        response.values, design, analysis.interactions, not fitted.truncated, analysis.alpha
    )
    result = ResponseAnalysis(
        label=planned.label,
        metric=planned.metric,
        summary=planned.summary,
        direction="higher" if planned.direction == "higher" else "lower",
        smallest_effect=planned.smallest_effect,
        unit=shown_unit(planned, response.values.y),
        model=_model(planned, fitted, len(response.values.y)),
        residual_sd=number(float(np.sqrt(fitted.model.error.variance))),
        fixed=_fixed(fitted, analysis.alpha),
        anova=table.rows,
        anova_note=table.note,
        effects=effect_rows(families, planned.name, rule, design, pricing(costs, fitted)),
        contexts=[
            row for effect in average for row in _context_rows(effect, fitted, analysis.alpha)
        ],
        heterogeneity=[
            _heterogeneity(effect, scope, fitted, analysis.alpha)
            for scope in scopes(design)
            for effect in average
        ],
        diagnostics=_diagnostics(plan, planned, response, fitted, tables, average),
        missing=missing_section(plan, planned, response, tables, fitted),
        footers=footers(plan, fitted, planned, table.note),
    )
    unit = positions(tables.runs["unit"], design.units)
    context = positions(tables.runs["context"], design.contexts)
    dynamics = curves(design, response.training, unit, context, planned.metric, analysis.alpha)
    if dynamics:
        result["dynamics"] = dynamics
    result["diagnostics"]["messages"] += checks.shorter_broad(result["effects"])
    return {
        **result,
        **other_answers(plan, planned, fitted, families, costs),
        **companions(plan, planned, response, tables, fitted, families),
    }


def _model(planned: PlannedResponse, fitted: Fitted, runs: int) -> ModelRecord:
    error = fitted.model.error
    formula = f"{planned.name} ~ 0 + cell:context"
    method = statement("saturated_cell_means")
    if fitted.truncated:
        factors = " + ".join(factor.name for factor in fitted.layout.factors)
        formula = f"{planned.name} ~ 0 + context + context:({factors})^{fitted.order}"
        method = statement("truncated_least_squares", order=fitted.order)
    return ModelRecord(
        formula=formula,
        method=method,
        n=runs,
        criterion=None,
        converged=True,
        singular=False,
        messages=[error.reason] if error.reason else [],
    )


def _fixed(fitted: Fitted, alpha: float) -> list[FixedRow]:
    """The mean of every unit in every context, with its interval."""
    rows, error, design = [], fitted.model.error, fitted.layout
    scale = float(t_quantile(1 - alpha / 2, error.df)) if error.reason is None else np.nan
    for unit in range(len(design.units)):
        value, factor = fitted.model.cell(unit)
        se = np.sqrt(error.variance * factor)
        for c, context in enumerate(design.contexts):
            term = f"{design.unit_label(unit)} | {context}"
            rows.append(_mean_row(term, float(value[c]), float(se[c]), error.df, scale))
    return rows


def _mean_row(term: str, value: float, se: float, df: int, scale: float) -> FixedRow:
    statistic = value / se if se > 0 else np.nan
    return FixedRow(
        term=term,
        estimate=number(value),
        se=number(se),
        df=df if df > 0 else None,
        statistic=number(statistic),
        p=number(float(two_sided(statistic, max(df, 1)))),
        low=number(value - scale * se),
        high=number(value + scale * se),
    )


def _context_rows(effect: Evaluated, fitted: Fitted, alpha: float) -> list[ContextEffect]:
    values, error = effect.values, fitted.model.error
    scale = float(t_quantile(1 - alpha / 2, error.df)) if error.reason is None else np.nan
    se = np.sqrt(error.variance * values.factor)
    missing = statement("no_pair_in_context")
    rows = []
    for c, context in enumerate(fitted.layout.contexts):
        reason = values.reason or (error.reason if values.used[c] else missing)
        rows.append(
            ContextEffect(
                factor=effect.contrast.factor,
                level=effect.contrast.level,
                context=context,
                pairs=int(values.pairs[c]),
                estimate=number(float(values.value[c])),
                se=number(float(se[c])),
                low=number(float(values.value[c] - scale * se[c])),
                high=number(float(values.value[c] + scale * se[c])),
                reason=reason,
            )
        )
    return rows


def _heterogeneity(
    effect: Evaluated, scope: Scope, fitted: Fitted, alpha: float
) -> HeterogeneityRow:
    between = spread(effect.values, scope, fitted.model.error, fitted.layout, alpha)
    return HeterogeneityRow(
        factor=effect.contrast.factor,
        level=effect.contrast.level,
        scope=list(scope),
        tau=number(between.tau),
        i2=number(between.i2),
        prediction_low=number(between.prediction_low),
        prediction_high=number(between.prediction_high),
        reason=between.reason,
    )


def _diagnostics(
    plan: Plan,
    planned: PlannedResponse,
    response: Response,
    fitted: Fitted,
    tables: StudyTables,
    average: Sequence[Evaluated],
) -> Diagnostics:
    values, design = response.values, fitted.layout
    order = {run.run_id: run.order for run in plan.runs}
    proportion = is_proportion(planned, values.y)
    near = checks.near_bounds(values, design) if proportion else []
    start = None
    if "step_zero" not in plan.lacks:
        contexts = positions(tables.runs["context"], design.contexts)
        start = checks.step_zero(response.history, contexts, design.contexts)
    messages: list[Statement] = []
    if fitted.brown_forsythe < 0.05:
        told = statement("unequal_variances", p=fitted.brown_forsythe, pooled=fitted.truncated)
        messages.append(told)
    if near:
        messages.append(statement("near_bounds", cells=len(near)))
    repeated = checks.repeated_histories(response.history, values, response.by_run)
    if repeated:
        messages.append(statement("repeated_histories", runs=repeated))
    if start is not None and not start["equal"]:
        messages.append(statement("unequal_starts"))
    if start is not None and proportion:
        messages += checks.starts_at_bound(planned, start)
    messages += checks.error_warnings(values, fitted.model, design)
    return Diagnostics(
        residuals=checks.residual_lists(values, fitted.model, design, order),
        brown_forsythe_p=number(fitted.brown_forsythe),
        largest_residual=checks.largest_residual(values, fitted.model, design),
        near_bounds=near,
        step_zero=start,
        influence=influence_rows(average, fitted),
        messages=messages,
    )
