"""What may be drawn, and where completions end."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ablatekit_rft.engines.decoding import Decoding, Stop, ends
from ablatekit_rft.engines.sampler import sample
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts
from ablatekit_rft.rollouts.verify import verify
from ablatekit_rft.tasks import Judgement, Query, Verdict

PROBABILITIES = torch.tensor([[0.05, 0.4, 0.0, 0.25, 0.2, 0.1]])


def kept(**limits: float) -> list[int]:
    decoding = Decoding(1, 1.0, (), **limits)  # type: ignore[arg-type]
    return decoding.drawable(PROBABILITIES)[0].nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [0, 1, 3, 4, 5]),
        ({"top_k": 1}, [1]),
        ({"top_k": 3}, [1, 3, 4]),
        ({"top_k": 6}, [0, 1, 3, 4, 5]),
        ({"top_k": 99}, [0, 1, 3, 4, 5]),
        ({"top_p": 0.3}, [1]),
        ({"top_p": 0.64}, [1, 3]),
        ({"top_p": 0.86}, [1, 3, 4, 5]),
        ({"min_p": 0.3}, [1, 3, 4]),
        # 0.64 of what top_k left: (0.4 + 0.25) / 0.85 reaches it, 0.4 / 0.85 does not.
        ({"top_k": 3, "top_p": 0.64}, [1, 3]),
        ({"min_p": 0.3, "top_p": 0.9}, [1, 3, 4]),
    ],
    ids=str,
)
def test_drawable_tokens(limits: dict[str, float], expected: list[int]) -> None:
    assert kept(**limits) == expected


def test_what_may_be_drawn_keeps_its_relative_probabilities() -> None:
    left = Decoding(1, 1.0, (), top_p=0.8).drawable(PROBABILITIES)
    assert torch.equal(left[left > 0], torch.tensor([0.4, 0.25, 0.2]))


@pytest.mark.parametrize(
    "limits", [{"top_p": 0.7}, {"top_k": 3}, {"min_p": 0.2}, {"min_p": 0.01, "top_k": 5}], ids=str
)
def test_the_sampler_draws_what_transformers_leaves(causal_lm: Any, limits: dict[str, Any]) -> None:
    from transformers.generation import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    warpers = {
        "min_p": MinPLogitsWarper,
        "top_k": TopKLogitsWarper,
        "top_p": TopPLogitsWarper,
    }
    policy = Policy(causal_lm("llama"), pad_id=0)
    prompts = Prompts.pad([[1, 5, 9]], 0, policy.device)
    uniforms = torch.rand(20_000, 1, generator=torch.Generator().manual_seed(0))
    drawn = sample(policy, prompts, 20_000, uniforms, Decoding(1, 0.9, (), **limits))
    logits = policy.model(input_ids=torch.tensor([[1, 5, 9]])).logits[:, -1].detach() / 0.9
    left = logits
    for name, warper in warpers.items():
        if name in limits:
            left = warper(limits[name])(None, left)
    expected = left.softmax(dim=-1)[0]
    counts = torch.bincount(drawn.tokens[:, 0], minlength=16).double()
    assert counts[expected == 0].sum() == 0
    seen = expected > 0
    assert 1 < int(seen.sum()) < 16
    error = (counts[seen] / 20_000 - expected[seen]).abs()
    assert bool((error < 5 * (expected[seen] / 20_000).sqrt()).all())
    # Log-probabilities stay those of the policy that is trained: the full softmax.
    full = logits.log_softmax(dim=-1)[0]
    torch.testing.assert_close(drawn.logp[:, 0], full[drawn.tokens[:, 0]], atol=1e-5, rtol=0)


def letters(ids: Any) -> str:
    return "".join(chr(ord("a") + token - 3) for token in ids if token >= 3)


@pytest.mark.parametrize(
    ("text", "stops", "length"),
    [
        ("abcde", ("cd",), 4),
        ("abcde", ("d", "cd"), 4),
        ("abcde", ("bcd", "c"), 3),
        ("abcde", ("a",), 1),
        ("abcde", ("ed",), None),
        ("aaab", ("ab",), 4),
    ],
)
def test_a_stop_text_ends_with_the_token_that_completes_it(
    text: str, stops: tuple[str, ...], length: int | None
) -> None:
    tokens = [ord(letter) - ord("a") + 3 for letter in text]
    stop = Stop(stops, letters)
    assert stop.length(tokens) == length
    reached = [end for end in range(1, len(tokens) + 1) if stop.in_tail(tokens[:end])]
    assert (reached[0] if reached else None) == length


def test_ends_take_the_first_of_eos_and_stop_text() -> None:
    tokens = torch.tensor([[3, 4, 2, 5, 6], [3, 5, 6, 2, 3], [3, 3, 3, 3, 3], [2, 5, 6, 3, 3]])
    lengths, truncated = ends(tokens, Decoding(5, 1.0, (2,), stop=Stop(("cd",), letters)))
    assert lengths.tolist() == [3, 3, 5, 1]
    assert truncated.tolist() == [False, False, True, False]


def test_text_before_the_first_stop() -> None:
    ids = [3, 4, 5, 6]
    assert Stop(("d", "b"), letters).read(ids) == "a"
    assert Stop(("x",), letters).read(ids) == "abcd"


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_stopped_rollouts_are_the_beginning_of_unstopped_ones(causal_lm: Any, family: str) -> None:
    policy = Policy(causal_lm(family), pad_id=0)
    prompts = Prompts.pad([[1, 5, 9], [1, 4]], 0, policy.device)
    uniforms = torch.rand(40, 9, generator=torch.Generator().manual_seed(3))
    free = sample(policy, prompts, 20, uniforms, Decoding(9, 1.0, (2,)))
    stop = Stop(("d", "ae", "h"), letters)
    stopped = sample(policy, prompts, 20, uniforms, Decoding(9, 1.0, (2,), stop=stop))
    cut = 0
    for row in range(40):
        length = int(stopped.lengths[row])
        cut += length < int(free.lengths[row])
        assert torch.equal(stopped.tokens[row, :length], free.tokens[row, :length])
        assert not set(stopped.tokens[row, length:].tolist()) - {0}
        ids = stopped.tokens[row, :length].tolist()
        assert bool(stopped.truncated[row]) == (stop.length(ids) is None and ids[-1] != 2)
    assert cut > 5


class Letters:
    pad_id, eos_ids, size = 0, (2,), 16

    def encode(self, text: str) -> list[int]:
        return [1, *(ord(letter) - ord("a") + 3 for letter in text)]

    def decode(self, ids: Any) -> str:
        return letters(ids)


class Exact:
    name, version, max_new_tokens, answers = "exact", 1, 9, "text"

    def items(self, split: str, n: int) -> tuple[Query, ...]:
        return tuple(Query(f"{split} {index}", "", "") for index in range(n))

    def judge(self, queries: Any, completions: Any) -> list[Judgement]:
        pairs = zip(queries, completions, strict=True)
        right = [query.gold == completion for query, completion in pairs]
        return [
            Judgement(Verdict.CORRECT if one else Verdict.WRONG, format_ok=True) for one in right
        ]


def test_the_verifier_sees_the_text_before_the_stop(causal_lm: Any) -> None:
    policy = Policy(causal_lm("llama"), pad_id=0)
    prompts = Prompts.pad([[1, 5]], 0, policy.device)
    uniforms = torch.rand(30, 9, generator=torch.Generator().manual_seed(1))
    stop = Stop(("e", "h"), letters)
    drawn = sample(policy, prompts, 30, uniforms, Decoding(9, 1.0, (2,), stop=stop))
    rows = zip(drawn.tokens.tolist(), drawn.lengths.tolist(), strict=True)
    texts = [letters(tokens[:length]) for tokens, length in rows]
    ended_by_stop = [any(text.endswith(one) for one in stop.texts) for text in texts]
    queries = [
        Query(str(i), "", text[:-1] if ended else text)
        for i, (text, ended) in enumerate(zip(texts, ended_by_stop, strict=True))
    ]
    verified = verify(Exact(), Letters(), queries, drawn, Decoding(9, 1.0, (2,), stop=stop))
    assert verified.correct.tolist() == (~drawn.truncated).float().tolist()
    assert 3 < sum(ended_by_stop) < 30


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_models_own_generation_settings_change_nothing(causal_lm: Any, family: str) -> None:
    def drawn(**own: Any) -> torch.Tensor:
        model = causal_lm(family)
        model.generation_config.update(**own)
        policy = Policy(model, pad_id=0)
        prompts = Prompts.pad([[1, 5, 9]], 0, policy.device)
        uniforms = torch.rand(20, 9, generator=torch.Generator().manual_seed(3))
        return sample(policy, prompts, 20, uniforms, Decoding(9, 1.0, (2,))).tokens

    hostile = {"do_sample": True, "temperature": 0.01, "top_k": 1, "repetition_penalty": 9.0}
    assert torch.equal(drawn(), drawn(**hostile))
