"""Ratio, clip, mismatch and entropy levels against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from ablatekit_rft.levels.mismatch import Rejection, accepted
from ablatekit_rft.levels.registry import get_level, levels_of
from ablatekit_rft.levels.token_views import (
    EngineView,
    EntropyView,
    Ratios,
    ReplayView,
    StepView,
    Surrogate,
    SurrogateView,
)
from ablatekit_rft.settings import RftSettings
from torch import Tensor

MASK = torch.tensor([[True, True], [True, False]])
OLD = torch.tensor([[-1.0, -2.0], [-0.5, 0.0]], dtype=torch.float64)
MOVED = torch.tensor([[0.5, -0.1], [1.0, 0.0]], dtype=torch.float64)


def ratios_of(name: str) -> Ratios | None:
    found = get_level("ratio_level", name).function(OLD + MOVED, OLD, MASK)
    assert found is None or isinstance(found, Ratios)
    return found


RATIOS = {
    "token": ([[0.5, -0.1], [1.0, 0.0]], [1.0, 1.0]),
    "sequence": ([[0.2, 0.2], [1.0, 0.0]], [1.0, 1.0]),
    "sequence_sum": ([[0.4, 0.4], [1.0, 0.0]], [0.5, 1.0]),
}


def test_every_ratio_level_has_golden_numbers() -> None:
    assert {*RATIOS, "none"} == set(levels_of("ratio_level"))
    assert ratios_of("none") is None


@pytest.mark.parametrize("name", RATIOS)
def test_ratio_level(name: str) -> None:
    found = ratios_of(name)
    assert found is not None
    log, share = RATIOS[name]
    torch.testing.assert_close(found.log, torch.tensor(log, dtype=torch.float64))
    assert found.share.flatten().tolist() == pytest.approx(share)


@pytest.mark.parametrize("name", RATIOS)
def test_an_impossible_ratio_stays_finite(name: str) -> None:
    far = get_level("ratio_level", name).function(OLD + 1000.0 * MASK, OLD, MASK)
    assert far.log.max() == 20.0
    assert far.log.exp().isfinite().all()


def surrogate(name: str, ratio: float, advantage: float, **settings: Any) -> tuple[Any, float]:
    """The level at one token of probability 1/2 before, and d loss / d log-probability."""
    old = torch.tensor([[math.log(0.5)]], dtype=torch.float64)
    logp = (old + math.log(ratio)).requires_grad_()
    view = SurrogateView(
        logp,
        old,
        Ratios(logp - old, torch.ones(1, 1)),
        torch.tensor([[advantage]], dtype=torch.float64),
        torch.ones(1, 1, dtype=torch.bool),
    )
    found = get_level("clip", name).bound(RftSettings(**settings))(view)
    assert isinstance(found, Surrogate)
    (gradient,) = torch.autograd.grad(found.loss.sum(), logp)
    return found, float(gradient)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def slope_of_gate(x: float) -> float:
    """The slope of 4 sigmoid, 1 at 0."""
    return 4 * sigmoid(x) * sigmoid(-x)


# Level, ratio, advantage, loss, gradient, where it binds.
CLIPS = [
    ("none", 1.5, 2.0, -3.0, -3.0, ""),
    ("none", 0.5, -2.0, 1.0, 1.0, ""),
    ("ppo", 1.1, 2.0, -2.2, -2.2, ""),
    ("ppo", 1.5, 2.0, -2.4, 0.0, "high"),
    ("ppo", 0.5, 2.0, -1.0, -1.0, ""),
    ("ppo", 0.5, -2.0, 1.6, 0.0, "low"),
    ("ppo", 1.5, -2.0, 3.0, 3.0, ""),
    ("clip_higher", 1.25, 2.0, -2.5, -2.5, ""),
    ("clip_higher", 1.5, 2.0, -2.56, 0.0, "high"),
    ("clip_higher", 0.5, -2.0, 1.6, 0.0, "low"),
    ("dual_clip", 1.9, -2.0, 3.8, 3.8, ""),
    ("dual_clip", 1.9, -2.0, 3.8, 3.8, ""),
    ("delta", 1.5, 2.0, -2.4, 0.0, "high"),
    ("delta", 1.9, -2.0, 3.8, 3.8, ""),
    ("gspo", 1.0002, 2.0, -2.0004, -2.0004, ""),
    ("gspo", 1.001, 2.0, -2.0008, 0.0, "high"),
    ("gspo", 0.999, -2.0, 1.9994, 0.0, "low"),
    ("gmpo", 1.2, 2.0, -2.4, -2.4, ""),
    ("gmpo", 1.9, 2.0, -2 * math.exp(0.4), 0.0, "high"),
    ("gmpo", 0.5, -2.0, 2 * math.exp(-0.4), 0.0, "low"),
    ("gmpo", 1.9, -2.0, 3.8, 3.8, ""),
    ("cispo", 1.5, 2.0, -3 * math.log(0.75), -3.0, ""),
    ("dppo_tv", 1.2, 2.0, -2.4, -2.4, ""),
    ("dppo_tv", 1.5, 2.0, 0.0, 0.0, "high"),
    ("dppo_tv", 0.5, -2.0, 0.0, 0.0, "low"),
    ("dppo_tv", 0.5, 2.0, -1.0, -1.0, ""),
    # From 0.5 to 0.6: 0.5 log(0.5 / 0.6) + 0.5 log(0.5 / 0.4) = 0.0204; to 0.75: 0.1438.
    ("dppo_kl", 1.2, 2.0, -2.4, -2.4, ""),
    ("dppo_kl", 1.5, 2.0, 0.0, 0.0, "high"),
    ("dppo_kl", 0.5, -2.0, 0.0, 0.0, "low"),
    ("dppo_kl", 0.5, 2.0, -1.0, -1.0, ""),
    ("ipo", 1.15, 2.0, -2.3, -2.3, ""),
    ("ipo", 1.25, 2.0, 0.0, 0.0, "high"),
    ("ipo", 1.25, -2.0, 0.0, 0.0, "high"),
    ("ipo", 0.75, 2.0, 0.0, 0.0, "low"),
    ("icepop", 1.9, -2.0, 3.8, 3.8, ""),
    ("icepop", 0.4, 2.0, 0.0, 0.0, "low"),
    ("icepop", 0.4, -2.0, 0.0, 0.0, "low"),
    ("sapo", 1.5, 2.0, -8 * sigmoid(0.5), -3 * slope_of_gate(0.5), ""),
    ("sapo", 1.5, -2.0, 8 / 1.05 * sigmoid(0.525), 3 * slope_of_gate(0.525), ""),
    ("vespo", 1.5, 2.0, -2 * math.log(0.75) * 2.25 * math.exp(-1.5), -4.5 * math.exp(-1.5), ""),
    ("vespo", 1.5, -2.0, 2 * math.log(0.75) * 3.375 * math.exp(-1), 6.75 * math.exp(-1), ""),
]


def test_every_clip_has_golden_numbers() -> None:
    assert {case[0] for case in CLIPS} == set(levels_of("clip"))


@pytest.mark.parametrize(("name", "ratio", "advantage", "loss", "gradient", "binds"), CLIPS)
def test_clip(
    name: str, ratio: float, advantage: float, loss: float, gradient: float, binds: str
) -> None:
    found, slope = surrogate(name, ratio, advantage)
    assert found.loss.item() == pytest.approx(loss, abs=1e-9)
    assert slope == pytest.approx(gradient, abs=1e-9)
    for side in ("low", "high", "dual"):
        flag = getattr(found, side)
        assert (flag is not None and bool(flag)) == (side == binds)


def test_second_bounds_of_bad_completions() -> None:
    found, slope = surrogate("dual_clip", 1.9, -2.0, clip_bound=1.5)
    assert (found.loss.item(), slope, bool(found.dual)) == (pytest.approx(3.0), 0.0, True)
    found, slope = surrogate("delta", 1.9, -2.0, clip_bound=1.5)
    assert (found.loss.item(), slope, bool(found.dual)) == (pytest.approx(3.0), 0.0, True)


def test_cispo_bounds_its_weight_and_keeps_the_gradient() -> None:
    found, slope = surrogate("cispo", 1.5, 2.0, clip_high=0.2)
    assert slope == pytest.approx(-2 * 1.2)
    assert bool(found.high)
    _, slope = surrogate("cispo", 0.5, 2.0, clip_low=0.2)
    assert slope == pytest.approx(-2 * 0.8)


def test_icepop_drops_a_ratio_above_its_bound_in_both_directions() -> None:
    for advantage in (2.0, -2.0):
        found, slope = surrogate("icepop", 1.9, advantage, clip_high=0.5)
        assert (found.loss.item(), slope, bool(found.high)) == (0.0, 0.0, True)


def test_sapo_has_a_temperature_for_each_sign() -> None:
    assert surrogate("sapo", 1.5, 1.0, sapo_positive=4.0)[1] == pytest.approx(
        -1.5 * slope_of_gate(2.0)
    )
    assert surrogate("sapo", 1.5, -1.0, sapo_negative=4.0)[1] == pytest.approx(
        1.5 * slope_of_gate(2.0)
    )


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_vespos_weight_is_largest_at_its_power_over_its_decay(advantage: float) -> None:
    sign = "positive" if advantage > 0 else "negative"
    shape = {f"vespo_{sign}_power": 2.0, f"vespo_{sign}_decay": 1.6}
    slopes = [abs(surrogate("vespo", ratio, advantage, **shape)[1]) for ratio in (1.2, 1.25, 1.3)]
    assert max(slopes) == slopes[1]
    assert surrogate("vespo", 1.9, advantage, **shape)[1] == pytest.approx(
        -advantage * 1.9**2 * math.exp(1.6 - 1.6 * 1.9)
    )


@pytest.mark.parametrize(("name", "bound"), [("ppo", "clip_low"), ("clip_higher", "clip_high")])
def test_bounds_are_settings(name: str, bound: str) -> None:
    assert surrogate(name, 1.4, 1.0)[1] == 0
    assert surrogate(name, 1.4, 1.0, **{bound: 0.5})[1] == pytest.approx(-1.4)


@pytest.mark.parametrize("name", sorted(levels_of("clip")))
@pytest.mark.parametrize("advantage", [1.5, -0.5])
def test_at_a_ratio_of_one_no_clip_binds(name: str, advantage: float) -> None:
    found, slope = surrogate(name, 1.0, advantage)
    assert slope == pytest.approx(-advantage, abs=1e-12)
    flags = [getattr(found, side) for side in ("low", "high", "dual")]
    assert not any(bool(flag) for flag in flags if flag is not None)


# The weights of cispo and vespo have no gradient by definition: the cases above hold theirs.
@pytest.mark.parametrize("name", sorted({*levels_of("clip")} - {"cispo", "vespo"}))
def test_clip_gradients_are_those_of_finite_differences(name: str) -> None:
    for ratio in (0.7, 0.9, 1.1, 1.5):
        for advantage in (1.0, -1.0):
            step = 1e-6
            up = surrogate(name, ratio * math.exp(step), advantage)[0].loss.item()
            down = surrogate(name, ratio * math.exp(-step), advantage)[0].loss.item()
            slope = surrogate(name, ratio, advantage)[1]
            assert slope == pytest.approx((up - down) / (2 * step), abs=1e-6)


ENGINE = torch.tensor([[-1.0, -2.0], [-0.5, 0.0]], dtype=torch.float64)
GAP = torch.tensor([[1.0, -1.0], [2.0, 0.0]], dtype=torch.float64)
E = math.e
CORRECTIONS = {
    "off": [1, 1, 1],
    "bypass": [1, 1, 1],
    "tis_token": [2, 1 / E, 2],
    "mis_token": [E, 0, 0],
    "tis_seq": [1, 1, 3],
    "mis_seq": [1, 1, 0],
    "geo_rs": [1, 1, 0],
}


def test_every_correction_has_golden_numbers() -> None:
    assert set(CORRECTIONS) == set(levels_of("mismatch"))


def correction(name: str, **settings: Any) -> Tensor:
    view = EngineView(ENGINE + GAP, ENGINE, MASK)
    weights = get_level("mismatch", name).bound(RftSettings(**settings))(view)
    assert isinstance(weights, Tensor)
    return weights[MASK]


@pytest.mark.parametrize("name", CORRECTIONS)
def test_correction(name: str) -> None:
    assert correction(name).tolist() == pytest.approx(CORRECTIONS[name])


def test_bounds_of_corrections_are_settings() -> None:
    assert correction("tis_token", mismatch_high=1.5).tolist() == pytest.approx([1.5, 1 / E, 1.5])
    kept = correction("mis_token", mismatch_low=0.1, mismatch_high=10).tolist()
    assert kept == pytest.approx([E, 1 / E, E**2])
    assert correction("mis_seq", mismatch_high=8).tolist() == pytest.approx([1, 1, E**2])
    assert correction("geo_rs", mismatch_high=8).tolist() == [1, 1, 1]


# Gaps of 1 and -1, and of 2; probabilities of e^-1 then 1, e^-2 then e^-3, e^-0.5 then e^1.5.
REJECTED: list[tuple[Rejection, float, list[bool]]] = [
    ("token_k1", 3.0, [True, True, False]),
    ("token_k1", 2.0, [False, False, False]),
    ("token_k2", 0.6, [True, True, False]),
    ("token_k3", 0.5, [False, True, False]),  # e - 2 = 0.72, 1 / e = 0.37
    ("seq_sum_k1", 1.5, [True, True, False]),
    ("seq_mean_k1", 7.4, [True, True, True]),
    ("seq_sum_k2", 0.9, [False, False, False]),
    ("seq_mean_k2", 0.9, [True, True, False]),
    ("seq_sum_k3", 1.0, [False, False, False]),
    ("seq_mean_k3", 0.6, [True, True, False]),  # 0.543
    ("seq_max_k2", 0.4, [False, False, False]),
    ("seq_max_k3", 0.75, [True, True, False]),
]


@pytest.mark.parametrize(("by", "bound", "kept"), REJECTED)
def test_rejection(by: Rejection, bound: float, kept: list[bool]) -> None:
    view = EngineView(ENGINE + GAP, ENGINE, MASK)
    assert accepted(view, by, bound)[MASK].tolist() == kept


@pytest.mark.parametrize("scope", ["token", "seq_mean"])
def test_rejection_by_probabilities(scope: str) -> None:
    """From 0.5 to 0.6 and from 0.2 to 0.4, 0.1 and 0.2 apart."""
    engine, trainer = torch.tensor([[0.5, 0.2]]).log(), torch.tensor([[0.6, 0.4]]).log()
    view = EngineView(trainer, engine, torch.ones(1, 2, dtype=torch.bool))
    kl = [
        p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
        for p, q in ((0.5, 0.6), (0.2, 0.4))
    ]
    for name, values in (("tv", [0.1, 0.2]), ("binary_kl", kl)):
        mean = sum(values) / 2
        stated = [mean, mean] if scope == "seq_mean" else values
        by: Any = f"{scope}_{name}"
        for bound in (0.9 * min(values), 0.99 * mean, 1.01 * mean, 1.1 * max(values)):
            expected = [value <= bound for value in stated]
            assert accepted(view, by, bound).tolist() == [expected]


def test_every_rejection_has_golden_numbers() -> None:
    tried = {case[0] for case in REJECTED} | {"none"}
    tried |= {f"{scope}_{name}" for scope in ("token", "seq_mean") for name in ("tv", "binary_kl")}
    assert tried == set(get_args(Rejection))


ENTROPY = torch.tensor([[0.1, 0.9], [0.5, 7.0]])
# Means over the three tokens: advantage 1, log-probability -2; covariances 0, 2 and 4.
LOGP, ADVANTAGE = torch.tensor([[-2.0, 0.0], [-4.0, 9.0]]), torch.tensor([[2.0], [-1.0]])


def entropy_term(name: str, coefficient: float = 0.0, **settings: Any) -> Any:
    view = EntropyView(ENTROPY, MASK, coefficient, LOGP, ADVANTAGE, np.random.default_rng(0))
    return get_level("entropy", name).bound(RftSettings(**settings))(view)


def test_entropy_bonus_is_its_coefficient() -> None:
    assert entropy_term("none").weight == 0
    assert entropy_term("bonus", entropy_coefficient=0.3).weight == 0.3


def test_adaptive_entropy_follows_its_target() -> None:
    low = {"entropy_target": 0.6, "entropy_step": 0.1}
    high = {"entropy_target": 0.4, "entropy_step": 0.1}
    assert entropy_term("adaptive", 0.25, **low).weight == 0.25
    assert entropy_term("adaptive", 0.25, **low).following == pytest.approx(0.35)
    assert entropy_term("adaptive", 0.25, **high).weight == 0
    assert entropy_term("adaptive", 0.25, **high).following == pytest.approx(0.15)
    assert entropy_term("adaptive", 0.05, **high).following == 0


def test_top_tokens_are_the_most_uncertain_ones_that_count() -> None:
    taught = entropy_term("top_tokens", entropy_share=1 / 3).taught
    assert taught.tolist() == [[False, True], [False, False]]
    taught = entropy_term("top_tokens", entropy_share=2 / 3).taught
    assert taught.tolist() == [[False, True], [True, False]]


def test_covariances_decide_which_tokens_are_not_taught() -> None:
    assert entropy_term("clip_cov", 0.25).following == 0.25
    low = entropy_term("clip_cov", covariance_low=1.0, covariance_high=3.0)
    assert low.taught.tolist() == [[True, False], [True, False]]
    high = entropy_term("clip_cov", covariance_low=3.0, covariance_high=5.0)
    assert high.taught.tolist() == [[True, True], [False, False]]
    narrow = entropy_term("clip_cov", covariance_low=2.5, covariance_high=3.5)
    assert torch.equal(narrow.taught, MASK)
    whole = {"covariance_low": 0.0, "covariance_high": 9.0, "covariance_share": 1.0}
    assert entropy_term("clip_cov", **whole).taught.sum() == 1  # a covariance of 0 is not above 0


def test_a_share_of_the_candidates_is_drawn_by_the_steps_own_chance() -> None:
    mask = torch.ones(1, 40, dtype=torch.bool)
    logp = torch.linspace(-1, 1, 40)[None, :]
    advantage = torch.linspace(-3, 3, 40)[None, :]
    level = get_level("entropy", "clip_cov").bound(
        RftSettings(covariance_low=0.1, covariance_share=0.1)
    )
    dropped = [
        level(EntropyView(logp, mask, 0.0, logp, advantage, np.random.default_rng(seed))).taught
        for seed in (0, 0, 1)
    ]
    assert all(int((~taught).sum()) == 4 for taught in dropped)
    assert torch.equal(dropped[0], dropped[1])
    assert not torch.equal(dropped[0], dropped[2])


def test_the_largest_covariances_are_held() -> None:
    term = entropy_term("kl_cov", covariance_penalty=0.5)
    assert term.taught is None
    assert (term.held.tolist(), term.penalty) == ([[False, False], [True, False]], 0.5)
    two = entropy_term("kl_cov", covariance_share=0.7).held
    assert two.tolist() == [[False, True], [True, False]]


def test_learning_rates_by_batch() -> None:
    scales = {name: level.function(4.0) for name, level in levels_of("lr_scale").items()}
    assert scales == {"const": 1.0, "sqrt": 2.0, "linear": 4.0}
    assert all(level.function(1.0) == 1.0 for level in levels_of("lr_scale").values())


FRESH = ReplayView(
    torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, 0, 0, 0]), torch.tensor([1.0, 1, 0, 0])
)
STORED = ReplayView(
    torch.tensor([0, 0, 1, 1, 2, 2]),
    torch.tensor([1.0, 0, 0, 0, 1, 1]),
    torch.tensor([2.0, 2, 0, 0, 0, 0]),
)


def choice(name: str, **settings: Any) -> tuple[list[int], list[int]]:
    level = get_level("replay", name)
    found = level.bound(RftSettings(**settings))(FRESH, STORED, np.random.default_rng(0))
    return found.fresh.tolist(), found.stored.tolist()


def test_replay_choices() -> None:
    everything = [0, 1, 2, 3]
    assert choice("none") == (everything, [])
    fresh, stored = choice("fifo", replay_share=0.5)
    assert fresh == everything
    assert len(set(stored)) == 2
    assert choice("fifo", replay_share=5.0) == (everything, [0, 1, 2, 3, 4, 5])
    assert choice("success") == (everything, [0, 4, 5])
    assert choice("groups") == ([0, 1], [0, 1])


def test_masked_completions_leave_every_denominator() -> None:
    lengths, query = torch.tensor([3, 0, 1, 0]), torch.tensor([0, 0, 1, 2])
    kept = torch.tensor([0, 2])
    for name, level in levels_of("aggregation").items():
        whole = level.function(StepView(lengths, query, 10))
        alone = level.function(StepView(lengths[kept], query[kept], 10))
        torch.testing.assert_close(whole[kept], alone, msg=name)


def test_the_length_limit_is_no_padded_width() -> None:
    view = StepView(torch.tensor([2, 2]), torch.tensor([0, 1]), 10)
    weights = get_level("aggregation", "const_len").function(view)
    assert weights.tolist() == pytest.approx([1 / 20, 1 / 20])
