"""Which special tokens a verifier reads: tags and words, never what controls the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from ablatekit_rft.engines.decoding import Decoding, ends
from ablatekit_rft.policy.models import TransformersTokenizer
from ablatekit_rft.policy.special_tokens import is_text
from ablatekit_rft.rollouts.verify import completion_text
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks.judged import TAGGED

R1 = "1 + 1 is 2 </think> <answer> 2 </answer>"


def make_tokenizer(special: Sequence[str], plain: Sequence[str] = ()) -> TransformersTokenizer:
    """A byte-level tokenizer with these added tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: place for place, letter in enumerate(alphabet)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(text, special=True) for text in special])
    inner.add_tokens([AddedToken(text, special=False, normalized=False) for text in plain])
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<|pad|>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **named)
    return TransformersTokenizer(tokenizer, (tokenizer.eos_token_id,))


def read(tokenizer: Any, text: str) -> str:
    return str(tokenizer.decode(tokenizer.inner(text, add_special_tokens=False)["input_ids"]))


@pytest.mark.parametrize("special", [(), ("<think>", "</think>", "<answer>", "</answer>")])
@pytest.mark.parametrize("plain", [(), ("<think>", "</think>", "<answer>", "</answer>")])
def test_the_tags_of_the_r1_template_reach_the_verifier(
    special: Sequence[str], plain: Sequence[str]
) -> None:
    tokenizer = make_tokenizer(special, plain)
    decoding = Decoding.of_training(RftSettings(), 99, tokenizer)
    ids = tokenizer.inner(R1, add_special_tokens=False)["input_ids"]
    text = completion_text(tokenizer, [*ids, *tokenizer.eos_ids], decoding)
    assert text == R1
    found = TAGGED.fullmatch(text)
    assert found is not None
    assert found["answer"].strip() == "2"


@pytest.mark.parametrize("special", [(), ("<answer>", "</answer>")])
@pytest.mark.parametrize("setting", ["stop", "evaluation"])
def test_under_r1_a_stop_at_the_closing_tag_leaves_the_answer_in_its_tags(
    special: Sequence[str], setting: str
) -> None:
    tokenizer = make_tokenizer(special)
    chosen = {"stop": ["</answer>", "User"]}
    settings = RftSettings.model_validate(
        {"template": "r1", **(chosen if setting == "stop" else {"evaluation": chosen})}
    )
    decoding = (
        Decoding.of_training(settings, 99, tokenizer)
        if setting == "stop"
        else Decoding.of_evaluation(settings.evaluation, 99, tokenizer, settings.template)
    )
    ids = tokenizer.inner(f"{R1} User: and", add_special_tokens=False)["input_ids"]
    length = int(ends(torch.tensor([ids]), decoding)[0][0])
    assert completion_text(tokenizer, ids[:length], decoding) == R1
    other = tokenizer.inner("a User </answer>", add_special_tokens=False)["input_ids"]
    length = int(ends(torch.tensor([other]), decoding)[0][0])
    assert completion_text(tokenizer, other[:length], decoding) == "a "
    plain = Decoding.of_training(RftSettings(stop=("</answer>",)), 99, tokenizer)
    assert completion_text(tokenizer, ids, plain) == R1.removesuffix("</answer>")


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("<|im_end|>", ""),
        ("<unused7>", ""),
        ("<|reserved_special_token_5|>", ""),
        ("[control_8]", ""),
        ("<start_of_turn>", ""),
        ("</s>", ""),
        ("<s>", ""),
        ("<|pad|>", ""),
        ("####", "####"),
        ("<think>", "<think>"),
        ("[/THINK]", "[/THINK]"),
        ("</lonely>", ""),
    ],
)
def test_what_controls_the_model_vanishes_and_the_rest_is_text(token: str, shown: str) -> None:
    special = {token, "<think>", "</think>", "[THINK]", "[/THINK]"}
    tokenizer = make_tokenizer(sorted(special))
    assert read(tokenizer, f"é 4 {token}2") == f"é 4 {shown}2"
    assert tokenizer.spell(tokenizer.inner(f"4{token}", add_special_tokens=False)["input_ids"]) == (
        f"4{token}"
    )


def test_without_special_text_decoding_is_that_of_the_tokenizer() -> None:
    tokenizer = make_tokenizer(["<|im_end|>"], ["</think>"])
    ids = tokenizer.inner("a<|im_end|></think></s>b", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == tokenizer.inner.decode(ids, skip_special_tokens=True)


def test_a_tag_needs_both_of_its_halves() -> None:
    assert is_text("<a>", {"<a>", "</a>"})
    assert is_text("</a>", {"<a>", "</a>"})
    assert not is_text("</a>", {"</a>"})
    assert not is_text("<a>", {"<a>", "[/a]"})
