"""Whole rounds: what a level does to a run, not only what its function returns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest
from ablatekit_rft.levels.registry import levels_of
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.rollouts.collect import TrainSet
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Judgement, Query, Verdict

from ablatekit.errors import UsageError

GROUP = {"rollouts": 4, "queries_per_round": 8, "budget.amount": 2, "evaluation.points": 1}


@pytest.fixture
def train(train_toy: Any, make_context: Any, make_settings: Any) -> Any:
    """Metrics by step of a run with these settings."""

    def run(**given: Any) -> dict[int, dict[str, float]]:
        nested = RftSettings.from_dotted({**flat(make_settings()), **given})
        context = make_context(folder="-".join(map(str, given.values())).replace("/", "_"))
        train_toy(nested, context)
        found: dict[int, dict[str, float]] = context.logged
        return found

    return run


def flat(settings: RftSettings) -> dict[str, Any]:
    from ablatekit.study.settings import flatten_model

    return flatten_model(settings)


NORMALISED = itertools.cycle(["group_norm", "batch_norm", "rloo"])


@pytest.mark.parametrize(
    ("estimator", "advantage"),
    list(zip(levels_of("kl_estimator"), NORMALISED, strict=False)),
)
def test_kl_in_the_reward_is_0_while_the_policy_is_the_reference(
    train: Any, advantage: str, estimator: str
) -> None:
    """Not 1e-7, which a division by the deviation of equal rewards would make as large as any."""
    plain = train(advantage=advantage, **GROUP)[1]
    penalised = train(advantage=advantage, kl_place="reward", kl_estimator=estimator, **GROUP)
    first, second = penalised[1], penalised[2]
    same = (metrics.ADVANTAGE_NONZERO, metrics.ADVANTAGE_STD, metrics.GRAD_NORM)
    assert first[metrics.REWARD_KL] == 0
    assert second[metrics.REWARD_KL] != 0
    assert [first[name] for name in same] == [plain[name] for name in same]


@pytest.mark.parametrize("by", ["first", "easiest", "middle", "hardest"])
def test_every_choice_of_a_subset_trains(train: Any, by: str) -> None:
    logged = train(
        sample_policy="subset", subset_by=by, subset_items=2, difficulty_samples=2, **GROUP
    )
    measured = 0 if by == "first" else 2 * 16
    assert logged[2][metrics.SAMPLES] == measured + 2 * 8 * 4


def test_schedules_begin_after_difficulty_was_measured(train: Any) -> None:
    """64 samples for 16 items, then 16 a round: the rates are those of a budget without them."""
    course = {
        "queries_per_round": 4,
        "rollouts": 4,
        "lr_schedule": "linear",
        "warmup_fraction": 0.25,
        "budget.unit": "samples",
        "evaluation.points": 1,
    }
    plain = train(**course, **{"budget.amount": 128})
    curriculum = train(
        **course, **{"budget.amount": 192}, sample_policy="easy_to_hard", difficulty_samples=4
    )
    rates = [
        [at_step[metrics.LEARNING_RATE] for step, at_step in sorted(logged.items()) if step]
        for logged in (plain, curriculum)
    ]
    assert len(rates[0]) == 8
    assert rates[1] == pytest.approx(rates[0])


def test_a_budget_that_measuring_spends_is_refused(train: Any) -> None:
    with pytest.raises(UsageError, match="spends the whole budget; received 64 of 64"):
        train(
            sample_policy="easy_to_hard",
            difficulty_samples=4,
            **{"budget.unit": "samples", "budget.amount": 64},
        )


@pytest.mark.parametrize(("scale", "factor"), [("const", 1.0), ("sqrt", 0.5), ("linear", 0.25)])
def test_learning_rates_scale_with_the_rollouts_that_train(
    train: Any, scale: str, factor: float
) -> None:
    """16 of 64 rollouts are kept, 8 in each of two minibatches: a quarter of 32."""
    logged = train(
        **{**GROUP, "rollouts": 8},
        lr_scale=scale,
        downsample="random",
        downsample_to=2,
        minibatches=2,
        learning_rate=1e-3,
    )
    assert logged[1][metrics.TRAINED] == 16
    assert logged[1][metrics.LEARNING_RATE] == pytest.approx(1e-3 * factor)


def test_clipping_is_counted_over_all_tokens_of_the_update(train: Any) -> None:
    """A KL loss makes forward passes of rollouts without advantage, and changes no share."""
    cell = {**GROUP, "ratio_level": "token", "clip": "ppo", "clip_low": 1e-4, "epochs": 2}
    cell |= {"advantage": "none", "learning_rate": 1e-3}
    alone = train(**cell)[1]
    beside = train(**cell, kl_place="loss", kl_coefficient=1e-12)[1]
    for name in (metrics.CLIP_LOW, metrics.CLIP_HIGH):
        assert beside[name] == pytest.approx(alone[name], abs=2e-3)
    assert alone[metrics.CLIP_HIGH] > 0


def test_a_round_fits_into_the_items_there_are(make_settings: Any) -> None:
    queries = [Query(item=str(n), prompt=str(n), gold="0") for n in range(3)]
    for policy in ("epochs", "priority"):
        with pytest.raises(UsageError, match="queries_per_round: 4 of 3 items"):
            TrainSet.of(make_settings(sample_policy=policy), queries, lambda _: [1])
    assert len(TrainSet.of(make_settings(sample_policy="iid"), queries, lambda _: [1]).encoded) == 3


@dataclass(frozen=True)
class Unreliable:
    """A task whose verifier fails on every other completion."""

    task: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def judge(self, queries: Any, completions: Any) -> list[Judgement]:
        found = self.task.judge(queries, completions)
        return [
            one if place % 2 else replace(one, verdict=Verdict.ERROR)
            for place, one in enumerate(found)
        ]


@pytest.mark.parametrize(
    "cell",
    [
        *({"advantage": name} for name in levels_of("advantage")),
        {"advantage": "pos_only", "pos_only_of": "group_norm"},
        {"advantage": "reinforce_pp", "kl_place": "reward", "replay": "fifo"},
        {"advantage": "group_norm", "replay": "groups"},
        {"advantage": "group_norm", "group_filter": "band"},
        {"advantage": "batch_norm", "length_shaping": "pass_rate"},
    ],
    ids=str,
)
def test_a_verifier_that_fails_now_and_then_stops_no_run(
    train_toy: Any, make_context: Any, make_settings: Any, cell: dict[str, Any]
) -> None:
    settings = make_settings(rollouts=2, budget={"amount": 2}, **cell)
    context = make_context()
    result, _ = train_toy(settings, context, around=Unreliable)
    assert result.status == "finished"
    assert max(context.series(metrics.VERIFIER_ERRORS).values()) > 0
