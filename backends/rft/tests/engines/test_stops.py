"""Stops that are special tokens, hold one, or are written by other tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from ablatekit_rft.basemodels.tokenizer import CharTokenizer
from ablatekit_rft.engines.decoding import Decoding, ends
from ablatekit_rft.engines.sampler import sample
from ablatekit_rft.policy.models import CharacterTokenizer, TransformersTokenizer
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts
from ablatekit_rft.rollouts.verify import completion_text
from ablatekit_rft.settings import RftSettings
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.errors import UsageError

CHARACTERS = "ab|<>\n"
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>", "<|end|>", "<|a|>", "<think>", "</think>")
PLAIN = ("ab", "<tool>")


def make_tokenizer(pad: str = "<pad>") -> TransformersTokenizer:
    """Tokens are characters, special tokens, and two added tokens that are not special."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {name: place for place, name in enumerate((*SPECIALS, *CHARACTERS))}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    inner.add_special_tokens([AddedToken(text, special=True) for text in SPECIALS])
    inner.add_tokens([AddedToken(text, special=False, normalized=False) for text in PLAIN])
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": pad}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **named)
    return TransformersTokenizer(tokenizer, (2,))


TOKENIZER = make_tokenizer()
SPELLED = {
    token: text
    for text, token in {
        **{text: place for place, text in enumerate((*SPECIALS, *CHARACTERS))},
        **{text: TOKENIZER.added[text] for text in PLAIN},
    }.items()
}
SHOWN = {"<think>", "</think>", *CHARACTERS, *PLAIN}
TOKENS = sorted(SPELLED)


def ids_of(*texts: str) -> list[int]:
    return [next(token for token, text in SPELLED.items() if text == one) for one in texts]


def decoding_of(*texts: str, tokenizer: Any = TOKENIZER) -> Decoding:
    settings = RftSettings(stop=texts)
    return Decoding.of_training(settings, 12, tokenizer)


def test_a_stop_that_is_a_token_ends_by_its_id_and_by_its_characters() -> None:
    decoding = decoding_of("<|a|>")
    assert decoding.eos_ids == (2, *ids_of("<|a|>"))
    by_token = ids_of("b", "<|a|>", "b", "b", "b", "b", "b")
    by_letters = ids_of("b", "<", "|", "a", "|", ">", "b")
    lengths, truncated = ends(torch.tensor([by_token, by_letters]), decoding)
    assert (lengths.tolist(), truncated.tolist()) == ([2, 6], [False, False])
    assert completion_text(TOKENIZER, by_token[:2], decoding) == "b"
    assert completion_text(TOKENIZER, by_letters[:6], decoding) == "b"


@pytest.mark.parametrize(
    ("stop", "tokens", "length", "text"),
    [
        ("<|end|>\n", ("a", "<|end|>", "\n", "b"), 3, "a"),
        ("<|end|>\n", ("a", "<|end|>", "b", "\n"), None, "ab\n"),
        ("b<|end|>", ("a", "b", "<|end|>"), 3, "a"),
        ("b<|end|>", ("a", "ab", "<|end|>"), 3, "aa"),
        ("ab", ("b", "a", "b"), 3, "b"),
        ("ab", ("b", "ab"), 2, "b"),
        ("ab", ("a", "<|a|>", "b"), 3, ""),
        ("a", ("<|a|>", "b", "a"), 3, "b"),
        ("</s>", ("a", "</s>"), 2, "a"),
        ("<pad>", ("a", "<pad>", "b"), 2, "a"),
        ("</think>", ("<think>", "a", "</think>", "b"), 3, "<think>a"),
        ("<tool>", ("a", "<tool>"), 2, "a"),
        (">", ("<|a|>", "b", ">"), 3, "b"),
    ],
)
def test_where_a_stop_ends_and_what_the_verifier_sees(
    stop: str, tokens: tuple[str, ...], length: int | None, text: str
) -> None:
    decoding = decoding_of(stop)
    ids = ids_of(*tokens)
    lengths, truncated = ends(torch.tensor([ids]), decoding)
    assert (int(lengths[0]), bool(truncated[0])) == (length or len(ids), length is None)
    assert completion_text(TOKENIZER, ids[: int(lengths[0])], decoding) == text


STOPS = (
    "<|end|>",
    "<|end|>\n",
    "b<|a|>",
    "</s>",
    "<pad>",
    "a",
    "ab",
    "\n",
    "</think>",
    "b|",
    "<s>a",
)


def seen_before(ids: Sequence[int], stops: Sequence[str]) -> str:
    """What is shown of a completion before its stop, character by character."""
    parts = [(letter, SPELLED[token]) for token in ids for letter in SPELLED[token]]
    spelled = "".join(letter for letter, _ in parts)
    control = [text for text in SPECIALS if text not in SHOWN]
    marked = [stop for stop in stops if any(token in stop for token in control)]
    cuts = [spelled.find(stop) for stop in marked if stop in spelled]
    kept = parts[: min(cuts)] if cuts else parts
    shown = "".join(letter for letter, token in kept if token in SHOWN)
    plain = [shown.find(stop) for stop in stops if stop not in marked and stop in shown]
    return shown[: min(plain)] if plain else shown


@given(
    st.lists(st.sampled_from(TOKENS), min_size=1, max_size=12),
    st.lists(st.sampled_from(STOPS), min_size=1, max_size=3, unique=True),
)
def test_ends_are_those_of_reading_token_by_token(ids: list[int], stops: list[str]) -> None:
    decoding = decoding_of(*stops)
    control = [text for text in SPECIALS if text not in SHOWN]
    marked = [stop for stop in stops if any(token in stop for token in control)]

    def is_over(read: Sequence[int]) -> bool:
        shown = "".join(SPELLED[token] for token in read if SPELLED[token] in SHOWN)
        spelled = "".join(SPELLED[token] for token in read)
        plain = (stop in shown for stop in stops if stop not in marked)
        return read[-1] in decoding.eos_ids or any(plain) or any(s in spelled for s in marked)

    expected = next((end for end in range(1, len(ids) + 1) if is_over(ids[:end])), None)
    lengths, truncated = ends(torch.tensor([ids]), decoding)
    assert (int(lengths[0]), bool(truncated[0])) == (expected or len(ids), expected is None)
    completion = ids[: int(lengths[0])]
    said = completion[:-1] if completion[-1] in decoding.eos_ids else completion
    assert completion_text(TOKENIZER, completion, decoding) == seen_before(said, stops)


@pytest.mark.parametrize("pad", ["<pad>", "<|end|>", "</s>"])
def test_stopped_rollouts_begin_as_free_ones_and_keep_their_probabilities(
    causal_lm: Any, pad: str
) -> None:
    tokenizer = make_tokenizer(pad)
    policy = Policy(causal_lm("llama"), tokenizer.pad_id, vocabulary=tokenizer.size)
    prompts = Prompts.pad([[1, 8, 9], [1, 9]], tokenizer.pad_id, policy.device)
    uniforms = torch.rand(60, 12, generator=torch.Generator().manual_seed(5))
    decoding = decoding_of("<|end|>", "b<|a|>", "a\n", tokenizer=tokenizer)
    free = sample(policy, prompts, 30, uniforms, Decoding(12, 1.0, ()))
    stopped = sample(policy, prompts, 30, uniforms, decoding)
    lengths, truncated = ends(free.tokens, decoding)
    assert torch.equal(stopped.lengths, lengths)
    assert torch.equal(stopped.truncated, truncated)
    assert 20 < int((~truncated).sum()) < 60
    mask = stopped.mask
    assert torch.equal(stopped.tokens[mask], free.tokens[mask])
    assert torch.allclose(stopped.logp[mask], free.logp[mask], atol=1e-6)
    assert not stopped.logp[~mask].any()


def test_a_stop_that_the_tokenizer_cannot_write_is_refused() -> None:
    with pytest.raises(UsageError, match=r"would never stop; received 'x'"):
        decoding_of("x")
    shipped = CharacterTokenizer(CharTokenizer())
    with pytest.raises(UsageError, match=r"would never stop; received '\\n'"):
        decoding_of("\n", tokenizer=shipped)
    assert decoding_of("<eos>", "ab", tokenizer=shipped).eos_ids == (2,)
    assert shipped.spell([3, 2, 4]) == "a<eos>b"


def test_a_misspelt_token_is_refused_and_another_one_is_a_text() -> None:
    with pytest.raises(UsageError, match=r"received '<\|aa\|>'. Did you mean '<\|a\|>'\?"):
        decoding_of("<|aa|>")
    decoding = decoding_of("<|bbb|>")
    assert decoding.eos_ids == (2,)
    ids = ids_of("<", "|", "b", "b", "b", "|", ">")
    assert ends(torch.tensor([[*ids, 3]]), decoding)[0].tolist() == [len(ids)]


def test_evaluation_has_stops_of_its_own() -> None:
    settings = RftSettings.model_validate({"evaluation": {"stop": ["<|end|>"]}})
    assert decoding_of().eos_ids == (2,)
    decoding = Decoding.of_evaluation(settings.evaluation, 12, TOKENIZER)
    assert decoding.eos_ids == (2, *ids_of("<|end|>"))
    assert decoding.temperature == 1.0
