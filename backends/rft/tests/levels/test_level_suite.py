"""Our own levels pass the suite that those of others must pass, and the suite can fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, get_args

import pytest
import torch
from ablatekit_rft.levels.registry import LEVELS, get_level
from ablatekit_rft.levels.stages import TRAITS, Stage, Trait
from ablatekit_rft.levels.token_views import Surrogate, SurrogateView
from ablatekit_rft.levels.types import Level, RewardParts, RewardView, level
from ablatekit_rft.testing.level_suite import LevelSuite
from ablatekit_rft.traits.measures import UNMEASURED, measured_traits
from torch import Tensor


class TestOurLevels(LevelSuite):
    levels = tuple(one for stage in LEVELS.values() for one in stage)
    other_values: ClassVar = {"truncation_reward": (0.5, -0.5), "truncation_scale": (0.5,)}


HAD_BY_ALL = {
    "neutral_at_reference_batch",
    "off_at_zero_weight",
    "on_policy_neutral",
    "shift_equivariant",
}
"""Of our levels; see the counterexamples below."""


def made(function: Callable[..., object], traits: tuple[Trait, ...] = ()) -> Level:
    return level("advantage", "made", formula="A", source="here", traits=traits)(function)


def test_every_trait_is_explained_and_had_by_some_level_but_not_by_all() -> None:
    assert set(TRAITS) == set(get_args(Trait))
    for trait, meaning in TRAITS.items():
        levels = [one for stage in meaning.stages for one in LEVELS[stage]]
        assert any(trait in one.traits for one in levels), trait
        if trait not in HAD_BY_ALL:
            assert any(trait not in one.traits for one in levels), trait


def test_what_all_our_levels_have_is_not_had_by_every_level() -> None:
    def twice(batch: float) -> float:
        """Twice the rate."""
        return 2 * batch

    def harder(view: SurrogateView) -> Surrogate:
        """Twice the loss."""
        return Surrogate(-2 * view.ratios.log.exp() * view.advantage * view.ratios.share)

    def shorter(parts: RewardParts) -> Tensor:
        """A reward per token."""
        return parts.rewards / parts.lengths

    stages: tuple[tuple[Stage, Callable[..., object]], ...] = (
        ("lr_scale", twice),
        ("clip", harder),
        ("length_shaping", shorter),
    )
    for stage, function in stages:
        other = level(stage, "made", formula="A", source="here")(function)
        assert not measured_traits(other) & HAD_BY_ALL


def test_a_trait_that_is_claimed_and_not_had_fails_and_one_that_is_had_and_not_claimed() -> None:
    def raw(view: RewardView) -> Tensor:
        """Rewards as they are."""
        return view.rewards.clone()

    suite = LevelSuite()
    suite.test_its_traits_are_what_it_does(made(raw, tuple(measured_traits(made(raw)))))
    for claimed in (("scale_equivariant",), ("shift_invariant", *measured_traits(made(raw)))):
        with pytest.raises(AssertionError):
            suite.test_its_traits_are_what_it_does(made(raw, claimed))


def test_a_level_that_writes_to_its_view_or_gives_another_shape_fails() -> None:
    def doubled(view: RewardView) -> Tensor:
        """Twice the reward, in place."""
        return view.rewards.mul_(2)

    def first(view: RewardView) -> Tensor:
        """One reward."""
        return view.rewards[:1]

    def chance(view: RewardView) -> Tensor:
        """Noise."""
        return torch.rand(len(view.rewards))

    suite = LevelSuite()
    with pytest.raises(AssertionError):
        suite.test_it_changes_nothing_that_it_is_given(made(doubled))
    with pytest.raises(AssertionError):
        suite.test_what_it_gives_has_the_shape_of_its_stage(made(first))
    with pytest.raises(AssertionError):
        suite.test_it_gives_the_same_for_the_same(made(chance))


def test_the_old_signature_fails() -> None:
    def old(view: RewardView, settings: object) -> Tensor:  # noqa: ARG001 (what it tests)
        """As before."""
        return view.rewards

    with pytest.raises(AssertionError, match="takes its settings by keyword"):
        LevelSuite().test_it_takes_views_by_position_and_settings_by_name(made(old))


def test_what_is_not_measured_is_what_the_trainer_does() -> None:
    assert {"engine_is_old"} == UNMEASURED
    assert "engine_is_old" in get_level("mismatch", "bypass").traits
