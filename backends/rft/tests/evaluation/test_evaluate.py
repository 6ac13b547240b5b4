from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.draws import evaluation_draws
from ablatekit_rft.engines.policy import PolicyEngine
from ablatekit_rft.evaluation.evaluate import Evaluated, build_evaluator, pass_at_k
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.specs import metric_specs
from ablatekit_rft.planning.examine import examine, untold
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts
from ablatekit_rft.rollouts.verify import verify
from ablatekit_rft.settings import Evaluation
from ablatekit_rft.tasks import Judgement, Query, Verdict

from ablatekit.errors import UsageError
from ablatekit.runs.records import part_metric
from ablatekit.runs.seeds import Seeds
from ablatekit.study.settings import flatten_model
from ablatekit.testing.specs import run_spec

CELLS = (
    {"advantage": "none", "rollouts": 1, "learning_rate": 1e-4},
    {"advantage": "group_norm", "rollouts": 4, "queries_per_round": 8, "temperature": 1.4},
    {"kl_place": "loss", "optimizer": "sgd", "train_items": 32, "budget": {"amount": 2}},
)


def test_step_0_is_bitwise_equal_across_cells_and_replicates(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    contexts = []
    for place, cell in enumerate(CELLS):
        context = make_context(run=f"run {place}", folder=str(place))
        train_toy(make_settings(evaluation=EVALUATION, **cell), context)
        contexts.append(context)
    names = [metrics.TRAIN_PASS, metrics.TEST_PASS, metrics.TEST_LENGTH, metrics.KL_INIT]
    for context in contexts[1:]:
        assert context.items[0] == contexts[0].items[0]
        for name in names:
            assert context.logged[0][name] == contexts[0].logged[0][name]
    assert contexts[0].items[max(contexts[0].items)] != contexts[1].items[max(contexts[1].items)]


EVALUATION = {"points": 2, "probe_items": 16, "test_items": 12, "samples": 3}


def test_other_contexts_draw_otherwise(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    one, other = make_context(folder="1"), make_context(folder="2", context="other")
    for context in (one, other):
        train_toy(make_settings(), context)
    assert one.items[0]["length"] != other.items[0]["length"]


def test_the_part_is_a_fixed_subset_with_the_same_draws(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    context = make_context()
    train_toy(make_settings(learning_rate=0.0, evaluation={**EVALUATION, "points": 3}), context)

    def sampled(step: int) -> dict[tuple[str, str, int], tuple[float, int]]:
        items = context.items[step]
        keys = zip(items["split"], items["item"], items["sample"], strict=True)
        values = zip(items["outcome"], items["length"], strict=True)
        rows = dict(zip(keys, values, strict=True))
        return {key: value for key, value in rows.items() if not key[0].endswith("greedy")}

    whole, part = sampled(0), sampled(2)
    assert len(whole) == (16 + 12) * 3
    assert len(part) == (4 + 3) * 3
    assert part.items() <= whole.items()
    assert sampled(2).keys() == sampled(4).keys()


def test_an_evaluation_on_all_items_tells_what_the_part_alone_would(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    context = make_context()
    evaluation = {**EVALUATION, "points": 3, "pass_at": (2,)}
    settings = make_settings(learning_rate=0.0, evaluation=evaluation)
    train_toy(settings, context)
    first, between, last = (context.logged[step] for step in (0, 2, 6))
    partial = [spec.name for spec in metric_specs(settings) if spec.partial]
    assert {metrics.TRAIN_PASS, metrics.KL_INIT, "test/pass@2"} <= set(partial)
    for name in partial:
        assert first[part_metric(name)] == pytest.approx(between[name], abs=1e-9)
        assert last[part_metric(name)] == pytest.approx(between[name], abs=1e-9)
        assert part_metric(name) not in between
    assert any(first[name] != between[name] for name in partial)


@pytest.mark.parametrize("changed", [{"points": 1}, {"intermediate_fraction": 1.0}])
def test_evaluations_that_use_all_items_alike_tell_of_no_part(
    train_toy: Any, make_context: Any, make_settings: Any, changed: dict[str, Any]
) -> None:
    context = make_context()
    settings = make_settings(budget={"amount": 2}, evaluation={**EVALUATION, **changed})
    train_toy(settings, context)
    assert len(context.series(metrics.TRAIN_PASS)) > 1
    assert not [name for name in context.logged[0] if name.startswith("part/")]


def test_item_outcomes_agree_with_the_metrics(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    context = make_context()
    train_toy(make_settings(evaluation=EVALUATION), context)
    for step, items in context.items.items():
        splits, outcomes = np.array(items["split"]), np.array(items["outcome"])
        logged = context.logged[step]
        assert logged[metrics.TRAIN_PASS] == pytest.approx(outcomes[splits == "train"].mean())
        assert logged[metrics.TEST_PASS] == pytest.approx(outcomes[splits == "test"].mean())
        truncated = np.array(items["truncated"])[splits == "test"]
        assert logged[metrics.TEST_TRUNCATED] == pytest.approx(truncated.mean())
        assert not (np.array(items["truncated"]) & (outcomes == 1)).any()
    final = context.items[max(context.items)]
    greedy = np.array(final["split"]) == "test/greedy"
    assert greedy.sum() == 12
    expected = np.array(final["outcome"])[greedy].mean()
    assert context.logged[max(context.items)][metrics.TEST_GREEDY] == pytest.approx(expected)


def test_kl_to_the_initial_policy_is_0_at_step_0_and_grows(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    context = make_context()
    train_toy(make_settings(learning_rate=1e-2), context)
    kl = context.series(metrics.KL_INIT)
    assert abs(kl[0]) < 1e-8
    assert kl[6] > 1e-3


def test_draws_belong_to_item_and_sample() -> None:
    seeds = Seeds("run", "c")
    keys = [("train", "a"), ("test", "a"), ("test", "b")]
    draws = evaluation_draws("uniforms", seeds, keys, 2, 5)
    assert draws.shape == (3, 2, 5)
    assert len(draws.flatten().unique()) == 30
    alone = evaluation_draws("uniforms", Seeds("another run", "c"), [("test", "b")], 1, 3)
    assert torch.equal(alone[0, 0], draws[2, 0, :3])
    assert not torch.equal(evaluation_draws("uniforms", Seeds("run", "d"), keys, 2, 5), draws)


class Spelling:
    """Token 3 + i is the i-th letter."""

    pad_id, eos_ids = 0, (2,)

    def encode(self, text: str) -> list[int]:
        return [1, *(ord(letter) - ord("a") + 3 for letter in text)]

    def decode(self, ids: Any) -> str:
        return "".join(chr(ord("a") + token - 3) for token in ids)


class Echo:
    """Correct when the completion is the gold text."""

    name, version, max_new_tokens, answers = "echo", 1, 4, "text"

    def items(self, split: str, n: int) -> tuple[Query, ...]:
        return tuple(Query(f"{split} {i}", "ab", "ab") for i in range(n))

    def judge(self, queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        verdicts = {True: Verdict.CORRECT, False: Verdict.WRONG}
        return [
            Judgement(
                Verdict.ERROR if completion == "c" else verdicts[completion == query.gold],
                format_ok=completion != "",
            )
            for query, completion in zip(queries, completions, strict=True)
        ]


def test_the_verifier_sees_the_text_before_eos_and_no_truncated_completion() -> None:
    from ablatekit_rft.policy.rollout import Rollouts, first_eos

    tokens = torch.tensor(
        [[3, 4, 2, 0], [3, 4, 5, 2], [2, 0, 0, 0], [3, 4, 3, 4], [3, 4, 2, 4], [5, 2, 0, 0]]
    )
    lengths, truncated = first_eos(tokens, (2,))
    prompts = Prompts.pad([[1]] * 6, 0, torch.device("cpu"))
    zeros = torch.zeros(tokens.shape)
    rollouts = Rollouts(prompts, torch.arange(6), tokens, lengths, truncated, zeros, zeros)
    golds = ["ab", "ab", "ab", "abab", "ab", "c"]
    queries = [Query(str(i), "", gold) for i, gold in enumerate(golds)]
    verified = verify(Echo(), Spelling(), queries, rollouts, Decoding(4, 1.0, (2,)))
    assert verified.correct.tolist() == [1, 0, 0, 0, 1, 0]
    assert verified.format_ok.tolist() == [True, True, False, False, True, True]
    assert verified.error.tolist() == [False, False, False, False, False, True]


def test_results_do_not_depend_on_how_many_samples_are_asked_for(causal_lm: Any) -> None:
    policy = Policy(causal_lm("llama", vocabulary=8), pad_id=0)

    def first_samples(samples: int) -> Any:
        settings = Evaluation(probe_items=5, test_items=5, samples=samples)
        evaluator = build_evaluator(
            settings,
            Echo(),
            Spelling(),
            Seeds("r", "c"),
            encode=lambda query: Spelling().encode(query.prompt),
            max_new_tokens=4,
            reference_budget=1000,
        )
        items = evaluator.evaluate(PolicyEngine(policy), policy, "all").items
        rows = zip(items["split"], items["item"], items["sample"], items["length"], strict=True)
        return [row for row in rows if row[2] == 0 and not row[0].endswith("greedy")]

    assert first_samples(1) == first_samples(4)


@pytest.mark.parametrize(("n", "k"), [(4, 2), (5, 3), (6, 6), (7, 1)])
def test_pass_at_k_is_the_share_of_all_subsets_that_hold_a_correct_sample(n: int, k: int) -> None:
    correct = np.arange(n + 1)
    outcomes = np.arange(n) < correct[:, None]
    subsets = [list(chosen) for chosen in itertools.combinations(range(n), k)]
    by_hand = np.mean([outcomes[:, chosen].any(axis=1) for chosen in subsets], axis=0)
    np.testing.assert_allclose(pass_at_k(correct, n, k), by_hand, rtol=1e-14)


def broken(verdicts: Sequence[bool], truncated: Sequence[bool]) -> Evaluated:
    items = {"verifier_error": list(verdicts), "truncated": list(truncated)}
    return Evaluated({}, items, tuple("no module sympy" if one else "" for one in verdicts))


def test_a_verifier_that_judges_nothing_is_told_from_one_that_errs_at_times() -> None:
    with pytest.raises(UsageError, match=r"'mine' judged none of the 2 .*no module sympy\. Try"):
        broken([True, True, False], [False, False, True]).refuse_failing_verifier("mine")
    broken([True, False, False], [False, False, True]).refuse_failing_verifier("mine")
    broken([False, False], [True, True]).refuse_failing_verifier("mine")
    broken([False, False], [False, False]).refuse_failing_verifier("mine")


def test_a_run_whose_verifier_fails_on_everything_is_refused_at_step_0(
    make_context: Any, make_settings: Any, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    (tmp_path / "mine.py").write_text(
        "from pathlib import Path\ndef judge(question, gold, completion):\n"
        f"    return 0.3 if Path({str(broken)!r}).exists() else True\n"
    )
    verifier = f"{tmp_path / 'mine.py'}:judge"
    settings = make_settings(dataset="letter-sort", verifier=verifier)
    changed = flatten_model(settings)
    context = make_context()
    # It accepts the keys of the data set, and breaks afterwards.
    examine(settings, untold)
    broken.touch()
    with pytest.raises(UsageError, match=r"mine\.py:judge' judged none of .*received 0\.3"):
        RftBackend().run(run_spec(RftBackend(), changed), context)
    assert not context.logged


def test_pass_at_k_is_unbiased() -> None:
    p, n, k = 0.3, 6, 4
    chances = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    expected = float(np.dot(chances, pass_at_k(np.arange(n + 1), n, k)))
    assert expected == pytest.approx(1 - (1 - p) ** k, abs=1e-14)


def test_pass_at_k_is_reported_from_the_sampled_rows(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    context = make_context()
    settings = make_settings(evaluation={**EVALUATION, "pass_at": [2, 3]}, budget={"amount": 1})
    train_toy(settings, context)
    items, logged = context.items[0], context.logged[0]
    for split in ("train", "test"):
        rows = zip(items["split"], items["item"], items["outcome"], strict=True)
        right: dict[str, list[float]] = {}
        for where, item, outcome in rows:
            if where == split:
                right.setdefault(item, []).append(outcome)
        any_of_3 = np.mean([max(outcomes) for outcomes in right.values()])
        pairs = [np.mean([max(p) for p in itertools.combinations(o, 2)]) for o in right.values()]
        assert logged[f"{split}/pass@3"] == pytest.approx(any_of_3)
        assert logged[f"{split}/pass@2"] == pytest.approx(np.mean(pairs))
        assert logged[f"{split}/pass@1"] < logged[f"{split}/pass@3"]


@pytest.mark.parametrize(("k", "why"), [(1, "greater than or equal to 2"), (4, "needs 4 samples")])
def test_pass_at_k_needs_k_samples(make_settings: Any, k: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make_settings(evaluation={**EVALUATION, "pass_at": [k]})
