"""Traits by the numbers: whether a level has one, whatever it claims, on made-up rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.levels.external import is_external, place_of
from ablatekit_rft.levels.stages import TRAITS, Trait
from ablatekit_rft.levels.token_views import EngineView, StepView
from ablatekit_rft.levels.types import Level, RewardView, Start
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.traits.examples import (
    ITEMS,
    ROLLOUTS,
    ROWS,
    entropy_view,
    log_probabilities,
    reward_parts,
    reward_view,
    sampler_view,
    surrogate_view,
    token_mask,
    variants,
)

Measure: TypeAlias = Callable[[Level, RftSettings, np.random.Generator], bool]

UNMEASURED: frozenset[Trait] = frozenset({"engine_is_old"})
"""What the trainer does on a level's behalf: its function does not show it."""
SEEDS = 3
START = 0.25
CLOSE = 2e-5


def measured_traits(
    level: Level, other_values: Mapping[str, tuple[Any, ...]] | None = None
) -> frozenset[Trait]:
    """The traits that a level has under all choices that it reads, in every round tried."""
    settings = variants(level, other_values)
    return frozenset(
        trait
        for trait, meaning in TRAITS.items()
        if level.stage in meaning.stages
        and trait not in UNMEASURED
        and all(_holds(trait, level, chosen) for chosen in settings)
    )


def check_claims(settings: RftSettings) -> None:
    """Refuse a user's or a package's level that does not do what its traits say.

    Plans merge cells and refuse combinations by traits. Measured under the run's own settings;
    raises UsageError with the place of the level.
    """
    for level in settings.chosen_levels().values():
        if not is_external(level):
            continue
        claimed = (trait for trait in sorted(level.traits - UNMEASURED))
        untrue = [trait for trait in claimed if not _holds(trait, level, settings)]
        if untrue:
            rule = f"a level of {level.stage} has the traits that it claims"
            remedy = "Remove the trait from @level(...), or mend the function"
            raise UsageError(Problem(rule, ", ".join(untrue), remedy, place_of(level)))


def _holds(trait: Trait, level: Level, settings: RftSettings) -> bool:
    measure = _MEASURES[trait]
    return all(measure(level, settings, np.random.default_rng(seed)) for seed in range(SEEDS))


def _rounds(level: Level, rng: np.random.Generator) -> list[RewardView]:
    return [reward_view(level, rng) for _ in range(3)]


def _advantages(
    level: Level, settings: RftSettings, views: Sequence[RewardView], start: float = START
) -> list[Tensor]:
    """(N,) of each round, the state passed on from round to round."""
    compare, state = level.bound(settings), level.initial_state(Start(ITEMS, start), settings)
    rounds = []
    for view in views:
        advantage, state = compare(view, state) if level.state else (compare(view), state)
        rounds.append(advantage)
    return rounds


def _alike(left: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    return all(
        torch.allclose(one, other, rtol=CLOSE, atol=CLOSE)
        for one, other in zip(left, right, strict=True)
    )


def _mapped(views: Sequence[RewardView], scale: float, shift: float) -> list[RewardView]:
    return [replace(view, rewards=scale * view.rewards + shift) for view in views]


def _shift_invariant(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    views = _rounds(level, rng)
    plain = _advantages(level, settings, views)
    return all(
        _alike(plain, _advantages(level, settings, _mapped(views, 1, shift), START + shift))
        for shift in (-1.0, 0.5)
    )


def _scales_by(power: int) -> Measure:
    """Whether rewards times s give advantages times s^power."""

    def measure(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
        views = _rounds(level, rng)
        plain = _advantages(level, settings, views)
        return all(
            _alike(
                [scale**power * advantage for advantage in plain],
                _advantages(level, settings, _mapped(views, scale, 0), START * scale),
            )
            for scale in (2.0, 0.5)
        )

    return measure


def _centred(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    first, second, _ = _rounds(level, rng)
    uniform = replace(second, rewards=torch.full_like(second.rewards, 0.75))
    return not bool(_advantages(level, settings, [first, uniform])[1].any())


def _leaves_others_alone(
    level: Level,
    settings: RftSettings,
    views: Sequence[RewardView],
    changed: Sequence[Tensor],
) -> bool:
    """Whether other rewards of the `changed` rollouts (N,) move no other rollout's advantage."""
    other = [
        replace(view, rewards=view.rewards + 0.25 * (1 + torch.arange(len(rows)) % 2) * rows)
        for view, rows in zip(views, changed, strict=True)
    ]
    before, after = (_advantages(level, settings, rounds) for rounds in (views, other))
    return all(
        torch.equal(one[~rows], two[~rows])
        for one, two, rows in zip(before, after, changed, strict=True)
    )


def _within_query(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    views = _rounds(level, rng)
    return all(
        _leaves_others_alone(level, settings, views, [_items(view) == item for view in views])
        for item in range(ITEMS)
    )


def _items(view: RewardView) -> Tensor:
    assert view.item is not None
    return view.item


def _within_rollout(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    views = _rounds(level, rng)
    return all(
        _leaves_others_alone(
            level, settings, views, [torch.arange(len(view.rewards)) == row for view in views]
        )
        for row in range(ROWS)
    )


def _item_memory(level: Level, settings: RftSettings, _rng: np.random.Generator) -> bool:
    few, more = (
        {name: part.shape for name, part in level.initial_state(start, settings).items()}
        for start in (Start(ITEMS, START), Start(ITEMS + 1, START))
    )
    return few != more


def _reports_baseline(level: Level, settings: RftSettings, _rng: np.random.Generator) -> bool:
    return "baseline" in level.initial_state(Start(ITEMS, START), settings)


def _without_replacement(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    view = sampler_view(rng, 24)
    return len(np.unique(level.bound(settings)(view))) == view.count


def _graded(level: Level, settings: RftSettings, outcomes: Tensor) -> Tensor:
    """Grades of every outcome, of the right form and of another."""
    form = torch.tensor([0.0, 1.0]).repeat_interleave(len(outcomes))
    grades: Tensor = level.bound(settings)(outcomes.repeat(2), form)
    return grades


def _binary(level: Level, settings: RftSettings, _rng: np.random.Generator) -> bool:
    grades = _graded(level, settings, torch.tensor([0.0, 1.0]))
    return bool(((grades == 0) | (grades == 1)).all())


def _bounded(level: Level, settings: RftSettings, _rng: np.random.Generator) -> bool:
    grades = _graded(level, settings, torch.linspace(0, 1, 9))
    return bool(((grades >= 0) & (grades <= 1)).all())


def _nonnegative(level: Level, settings: RftSettings, _rng: np.random.Generator) -> bool:
    return bool((level.bound(settings)(torch.linspace(0, 1, 9)) >= 0).all())


def _shift_equivariant(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    parts, shape = reward_parts(rng), level.bound(settings)
    moved = shape(replace(parts, rewards=parts.rewards - 1))
    return torch.allclose(moved, shape(parts) - 1, atol=CLOSE)


def _never_raises(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    parts = reward_parts(rng)
    return bool((level.bound(settings)(parts) <= parts.rewards + CLOSE).all())


def _off_at_zero_weight(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    parts, off = reward_parts(rng), settings.model_copy(update={"length_weight": 0.0})
    return torch.equal(level.bound(off)(parts), parts.rewards)


def _keeps_rewards(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    parts = reward_parts(rng)
    return torch.equal(level.bound(settings)(parts)[0], parts.rewards)


def _keeps_sign(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    parts = reward_parts(rng)
    signs = level.bound(settings)(parts)[0].sign()
    return bool(((signs == parts.rewards.sign()) | (signs == 0)).all())


def _keeps_all(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    if level.stage == "truncation":
        return bool(level.bound(settings)(reward_parts(rng))[1].all())
    outcome = (rng.permutation(8) % 2).astype(float)
    return len(level.bound(settings)(rng.random(8), outcome, rng)) == 8


def _on_policy_neutral(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    """Per completion: under `sequence` the tokens of one share its gradient."""
    mask = token_mask(rng)
    old = log_probabilities(rng, mask)
    logp = old.clone().requires_grad_()
    view = surrogate_view(logp, old, mask)
    if level.stage == "clip":
        loss = level.bound(settings)(view).loss
    else:
        ratios = level.bound(settings)(logp, old, mask)
        surrogate = logp if ratios is None else ratios.log.exp() * ratios.share
        loss = -view.advantage * surrogate
    (gradient,) = torch.autograd.grad((loss * mask).sum(), logp)
    return torch.allclose(gradient, -view.advantage * mask, atol=CLOSE)


def _length_blind(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    if level.stage == "aggregation":
        query = torch.arange(ROWS) // ROLLOUTS * (torch.arange(ROWS) % 3 > 0)
        weights = level.bound(settings)(StepView(torch.ones(ROWS, dtype=torch.int64), query, 1))
        return torch.allclose(weights, torch.full_like(weights, 1 / ROWS))
    mask = torch.ones(ROWS, 1, dtype=torch.bool)
    logp, old = log_probabilities(rng, mask), log_probabilities(rng, mask)
    ratios = level.bound(settings)(logp, old, mask)
    if ratios is None:
        return False
    return torch.allclose(ratios.log, logp - old) and bool((ratios.share == 1).all())


def _reports(part: str) -> Measure:
    """Whether a clip says where a bound binds, in this part of what it gives."""

    def measure(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
        mask = token_mask(rng)
        view = surrogate_view(log_probabilities(rng, mask), log_probabilities(rng, mask), mask)
        return getattr(level.bound(settings)(view), part) is not None

    return measure


def _unweighted(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    mask = token_mask(rng)
    view = EngineView(log_probabilities(rng, mask), log_probabilities(rng, mask), mask)
    return bool((level.bound(settings)(view) == 1).all())


def _flat_at_reference(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    reference = log_probabilities(rng, token_mask(rng))
    logp = reference.clone().requires_grad_()
    values = level.bound(settings)(logp, reference)
    (gradient,) = torch.autograd.grad(values.sum(), logp)
    return not bool(values.any()) and not bool(gradient.any())


def _adapts(level: Level, settings: RftSettings, rng: np.random.Generator) -> bool:
    view = entropy_view(rng)
    return bool(level.bound(settings)(view).following != view.coefficient)


def _neutral_at_batch(level: Level, settings: RftSettings, _rng: np.random.Generator) -> bool:
    return bool(level.bound(settings)(1.0) == 1)


_MEASURES: Mapping[Trait, Measure] = {
    "shift_invariant": _shift_invariant,
    "scale_invariant": _scales_by(0),
    "scale_equivariant": _scales_by(1),
    "centred": _centred,
    "within_query": _within_query,
    "within_rollout": _within_rollout,
    "item_memory": _item_memory,
    "reports_baseline": _reports_baseline,
    "without_replacement": _without_replacement,
    "binary": _binary,
    "bounded": _bounded,
    "nonnegative": _nonnegative,
    "shift_equivariant": _shift_equivariant,
    "never_raises": _never_raises,
    "off_at_zero_weight": _off_at_zero_weight,
    "keeps_rewards": _keeps_rewards,
    "keeps_sign": _keeps_sign,
    "keeps_all": _keeps_all,
    "on_policy_neutral": _on_policy_neutral,
    "length_blind": _length_blind,
    "reports_bounds": _reports("low"),
    "second_bound": _reports("dual"),
    "unweighted": _unweighted,
    "flat_at_reference": _flat_at_reference,
    "adapts": _adapts,
    "neutral_at_reference_batch": _neutral_at_batch,
}
