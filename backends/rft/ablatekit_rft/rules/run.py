"""Rules on the train set, the budget and evaluation."""

from __future__ import annotations

from ablatekit.backend import Rule, above_setting, at_least, none_of, one_of, within_product
from ablatekit_rft.rules.base import levels_where, levels_with

RULES = (
    Rule(
        name="probe_outside_train_set",
        kind="invalid",
        when={"evaluation.probe_items": above_setting("train_items")},
        why="learning is measured on items of the train set: the probe must lie inside it",
        remedy="Set evaluation.probe_items to the smallest train_items of the study or less",
    ),
    Rule(
        name="round_exceeds_train_set",
        kind="invalid",
        when={
            "queries_per_round": above_setting("train_items"),
            "sample_policy": levels_with("sample_policy", "without_replacement"),
        },
        why="queries are drawn without replacement within an epoch: a round must fit into one",
        remedy="Raise train_items or lower queries_per_round",
    ),
    Rule(
        name="budget_spent_on_difficulty",
        kind="invalid",
        when={
            "sample_policy": levels_where(
                "sample_policy", lambda level: "difficulty" in level.needs
            ),
            "subset_by": none_of("first"),
            "budget.unit": one_of("samples"),
            "budget.amount": within_product("train_items", "difficulty_samples"),
        },
        why="measuring how difficult the train items are spends the whole budget",
        remedy="Raise budget.amount, or lower difficulty_samples or train_items",
    ),
    Rule(
        name="examples_from_the_train_set",
        kind="invalid",
        when={"few_shot": at_least(1), "train_items": one_of(None)},
        why="solved examples lie outside the train set, and train_items: null leaves none there",
        remedy="Set few_shot: 0, or train_items to a number that leaves few_shot items over",
    ),
    Rule(
        name="more_points_than_rounds",
        kind="invalid",
        when={
            "budget.unit": one_of("rounds"),
            "evaluation.points": above_setting("budget.amount"),
        },
        why="evaluation points lie between rounds, and there are fewer rounds than points",
        remedy="Set evaluation.points to budget.amount or less",
    ),
)
