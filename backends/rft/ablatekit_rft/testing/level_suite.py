"""What every level must fulfil, as tests that a plugin's own test suite inherits.

    class TestMyLevels(LevelSuite):
        levels = (halved, median_baseline)

pytest collects the subclass and runs every test on every level. A trait is measured on made-up
rounds whether the level claims it or not, so that rules know all there is to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ablatekit_rft.levels.external import level_problem
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.levels.types import Level, OptimizerSpec, Start
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.traits.examples import Arguments, equal, examples, leaves, variants
from ablatekit_rft.traits.measures import UNMEASURED, measured_traits

if TYPE_CHECKING:
    import pytest

START = Start(items=6, reward=0.25)
SEEDS = range(3)


class LevelSuite:
    """Tests of `levels`.

    other_values: for a setting that is a number, values to try beside its default where traits
    would hold at the default by chance.
    """

    levels: ClassVar[tuple[Level, ...]] = ()
    other_values: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every test once per level."""
        if "level" in metafunc.fixturenames:
            names = [f"{level.stage}-{level.name}" for level in self.levels]
            metafunc.parametrize("level", self.levels, ids=names)

    def test_it_says_what_it_is(self, level: Level) -> None:
        """Formula, source and meaning are what documentation shows of a level."""
        assert all((level.name, level.formula, level.source, level.doc))
        assert level.min_group >= (2 if "groups" in level.needs else 1)

    def test_it_takes_views_by_position_and_settings_by_name(self, level: Level) -> None:
        """Rules and the trainer know by the signature what a level reads."""
        problem = level_problem(level)
        assert problem is None, str(problem)
        unknown = [name for name in level.reads if name not in RftSettings.model_fields]
        assert not unknown, f"no such setting: {unknown}"

    def test_what_it_gives_has_the_shape_of_its_stage(self, level: Level) -> None:
        """Under every choice that it reads, and finite."""
        for seed in SEEDS:
            for settings in variants(level, self.other_values):
                arguments = examples(level, seed)
                _CHECKS[level.stage](arguments, _called(level, settings, arguments))

    def test_it_changes_nothing_that_it_is_given(self, level: Level) -> None:
        """Others read the same views, and a state is replaced, not written to."""
        for settings in variants(level, self.other_values):
            arguments, untouched = examples(level, 0), examples(level, 0)
            state = level.initial_state(START, settings)
            before = leaves(dict(state))
            level.bound(settings)(*arguments, *((state,) if level.state else ()))
            assert equal(arguments, untouched)
            assert equal(tuple(before), tuple(leaves(dict(state))))

    def test_it_gives_the_same_for_the_same(self, level: Level) -> None:
        """Chance comes from the generator or the seeds that it is given, and from nowhere else."""
        for settings in variants(level, self.other_values):
            first, second = (_called(level, settings, examples(level, 1)) for _ in range(2))
            assert equal(first, second)

    def test_what_it_remembers_keeps_its_form(self, level: Level) -> None:
        """A checkpoint holds the state: tensors by name, of one shape from round to round."""
        for settings in variants(level, self.other_values):
            state = level.initial_state(START, settings)
            assert all(isinstance(part, Tensor) for part in state.values())
            for seed in SEEDS if level.state else ():
                _, after = level.bound(settings)(*examples(level, seed), state)
                assert {name: part.shape for name, part in after.items()} == {
                    name: part.shape for name, part in state.items()
                }
                state = after

    def test_its_traits_are_what_it_does(self, level: Level) -> None:
        """Claimed or not: a level that has a trait says so, because rules go by it."""
        claimed, had = level.traits - UNMEASURED, measured_traits(level, self.other_values)
        lacking = f"claimed and not had: {', '.join(sorted(claimed - had)) or 'none'}"
        missing = f"had and not claimed: {', '.join(sorted(had - claimed)) or 'none'}"
        assert claimed == had, f"traits={{...}} of {level.name}; {lacking}; {missing}"


def _called(level: Level, settings: RftSettings, arguments: Arguments) -> Any:
    function = level.bound(settings)
    if level.state is None:
        return function(*arguments)
    return function(*arguments, level.initial_state(START, settings))[0]


def _per_row(arguments: Arguments, given: Any) -> None:
    _check_tensor(given, arguments[0].shape)


def _check_tensor(given: Any, shape: tuple[int, ...]) -> None:
    assert isinstance(given, Tensor)
    assert tuple(given.shape) == tuple(shape)
    assert bool(given.isfinite().all())


def _check_advantage(arguments: Arguments, given: Any) -> None:
    _check_tensor(given, arguments[0].rewards.shape)


def _check_items(arguments: Arguments, given: Any) -> None:
    view = arguments[0]
    assert given.shape == (view.count,)
    assert given.dtype.kind == "i"
    assert ((given >= 0) & (given < view.items)).all()


def _check_kept(arguments: Arguments, given: Any) -> None:
    assert given.shape == arguments[0].shape
    assert given.dtype.kind == "b"


def _check_rows(arguments: Arguments, given: Any) -> None:
    assert given.dtype.kind == "i"
    assert len(set(given.tolist())) == len(given)
    assert set(given.tolist()) <= set(range(len(arguments[0])))


def _check_shaped(arguments: Arguments, given: Any) -> None:
    _check_tensor(given, arguments[0].rewards.shape)


def _check_truncated(arguments: Arguments, given: Any) -> None:
    rewards, trains = given
    _check_tensor(rewards, arguments[0].rewards.shape)
    _check_tensor(trains, arguments[0].rewards.shape)
    assert trains.dtype == torch.bool


def _check_replay(arguments: Arguments, given: Any) -> None:
    for chosen, view in ((given.fresh, arguments[0]), (given.stored, arguments[1])):
        assert chosen.dtype == torch.int64
        assert set(chosen.tolist()) <= set(range(len(view.group)))


def _check_ratios(arguments: Arguments, given: Any) -> None:
    logp, _, mask = arguments
    if given is None:
        return
    _check_tensor(given.log, logp.shape)
    _check_tensor(given.share, (len(logp), 1))
    assert not bool(given.log[~mask].any())


def _check_surrogate(arguments: Arguments, given: Any) -> None:
    shape = arguments[0].logp.shape
    _check_tensor(given.loss, shape)
    for bound in (given.low, given.high, given.dual):
        if bound is not None:
            _check_tensor(bound, shape)
            assert bound.dtype == torch.bool


def _check_correction(arguments: Arguments, given: Any) -> None:
    _check_tensor(given, arguments[0].old_logp.shape)
    assert bool((given >= 0).all())


def _check_weights(arguments: Arguments, given: Any) -> None:
    _check_tensor(given, arguments[0].lengths.shape)
    assert bool((given > 0).all())


def _check_entropy(arguments: Arguments, given: Any) -> None:
    assert given.following >= 0
    assert given.weight >= 0
    if given.taught is not None:
        _check_tensor(given.taught, arguments[0].mask.shape)
        assert not bool(given.taught[~arguments[0].mask].any())


def _check_factor(_arguments: Arguments, given: Any) -> None:
    assert given > 0


def _check_optimizer(_arguments: Arguments, given: Any) -> None:
    assert isinstance(given, OptimizerSpec)


_CHECKS: Mapping[Stage, Callable[[Arguments, Any], None]] = {
    "sample_policy": _check_items,
    "group_filter": _check_kept,
    "reward_noise": _per_row,
    "format_reward": _per_row,
    "reward_coding": _per_row,
    "length_shaping": _check_shaped,
    "truncation": _check_truncated,
    "downsample": _check_rows,
    "advantage": _check_advantage,
    "replay": _check_replay,
    "ratio_level": _check_ratios,
    "clip": _check_surrogate,
    "mismatch": _check_correction,
    "aggregation": _check_weights,
    "kl_estimator": _per_row,
    "entropy": _check_entropy,
    "lr_scale": _check_factor,
    "optimizer": _check_optimizer,
}
