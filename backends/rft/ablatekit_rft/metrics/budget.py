"""The budget: what has been spent, when to evaluate, and the course of the learning rate.

Everything follows the budget's own unit, so that two cells with equal budgets are scheduled
alike, however many rounds they need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from ablatekit_rft.settings import Budget, RftSettings


@dataclass(frozen=True, slots=True)
class Costs:
    """What a run has spent so far: rounds, optimizer steps (`updates`), training rollouts.

    `generated_tokens` counts training tokens, EOS included. `measured_samples` and
    `measured_tokens` are those of them that measured the items' difficulty before the first round.
    """

    rounds: int = 0
    updates: int = 0
    samples: int = 0
    generated_tokens: int = 0
    seconds: float = 0.0
    measured_samples: int = 0
    measured_tokens: int = 0

    def after_round(self, samples: int, generated_tokens: int, updates: int) -> Costs:
        """These costs and one more round's."""
        return replace(
            self,
            rounds=self.rounds + 1,
            updates=self.updates + updates,
            samples=self.samples + samples,
            generated_tokens=self.generated_tokens + generated_tokens,
        )


@dataclass(frozen=True, slots=True)
class BudgetMeter:
    """Reads costs in the unit of a budget, and as shares of it."""

    budget: Budget

    def spent(self, costs: Costs) -> int:
        """Costs in the budget's unit."""
        by_unit = {
            "rounds": costs.rounds,
            "samples": costs.samples,
            "generated_tokens": costs.generated_tokens,
        }
        return by_unit[self.budget.unit]

    def trained_fraction(self, costs: Costs) -> float:
        """The spent share of what the budget holds for rounds, from 0 to 1."""
        by_unit = {
            "rounds": 0,
            "samples": costs.measured_samples,
            "generated_tokens": costs.measured_tokens,
        }
        measured = by_unit[self.budget.unit]
        return min(1.0, (self.spent(costs) - measured) / (self.budget.amount - measured))

    def is_spent(self, costs: Costs) -> bool:
        """Whether the run is over. A round is never cut, so the amount may be exceeded."""
        return self.spent(costs) >= self.budget.amount


@dataclass(frozen=True, slots=True)
class EvaluationPoints:
    """`points` equally spaced shares of the budget; the last is its end."""

    meter: BudgetMeter
    points: int

    def reached(self, before: Costs, after: Costs) -> Literal["none", "intermediate", "end"]:
        """Which kind of point lies between these costs; several in one round are one."""
        if self.meter.is_spent(after):
            return "end"
        passed_before, passed_after = self._passed(before), self._passed(after)
        return "intermediate" if passed_after > passed_before else "none"

    def _passed(self, costs: Costs) -> int:
        return self.meter.spent(costs) * self.points // self.meter.budget.amount


def needs_difficulty(settings: RftSettings) -> bool:
    """Whether the base model's pass rates are measured before the first round."""
    if settings.sample_policy == "subset" and settings.subset_by == "first":
        return False
    return "difficulty" in settings.level("sample_policy").needs


def expected_samples(settings: RftSettings) -> int | None:
    """Training rollouts that a run will have drawn; None where what it draws decides that."""
    advantage, budget = settings.level("advantage"), settings.budget
    refills = "refill" in settings.level("group_filter").needs
    if refills or needs_difficulty(settings) or budget.unit == "generated_tokens":
        return None
    extra = settings.extra_rollouts if "extra" in advantage.needs else 0
    per_query = settings.rollouts + extra + ("greedy" in advantage.needs)
    per_round = settings.queries_per_round * per_query
    rounds = budget.amount if budget.unit == "rounds" else math.ceil(budget.amount / per_round)
    return rounds * per_round


def learning_rate(settings: RftSettings, before: float, after: float) -> float:
    """The learning rate of the updates between two spent fractions of the budget.

    Warm-up takes the fraction after the update and decay the one before it, so that neither the
    first nor the last update is one of size 0.
    """
    warmup = settings.warmup_fraction
    if after < warmup:
        return settings.learning_rate * after / warmup
    if settings.lr_schedule == "inverse_sqrt":
        return settings.learning_rate * math.sqrt(warmup / max(before, warmup))
    course = max(0.0, before - warmup) / (1 - warmup)
    share = settings.lr_decay_share
    course = max(0.0, course - (1 - share)) / share
    decay = {
        "constant": 1.0,
        "linear": 1 - course,
        "cosine": (1 + math.cos(math.pi * course)) / 2,
    }[settings.lr_schedule]
    floor = settings.lr_floor
    return settings.learning_rate * (floor + (1 - floor) * decay)
