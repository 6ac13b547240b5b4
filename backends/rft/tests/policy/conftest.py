"""A tokenizer of characters, for models in directories."""

from __future__ import annotations

from typing import Any

import pytest

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 =>?:+-,.;()|"


def _tokenizer(template: str = "<s> $A </s>") -> Any:
    """A tokenizer of characters whose post-processor puts special tokens around a text."""
    from tokenizers import Regex, Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    names = ["<pad>", "<s>", "</s>", "<unk>", *CHARACTERS]
    vocabulary = {name: index for index, name in enumerate(names)}
    inner = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    special = [("<s>", 1), ("</s>", 2)]
    inner.post_processor = processors.TemplateProcessing(single=template, special_tokens=special)
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


@pytest.fixture(scope="session")
def fast_tokenizer() -> Any:
    """Makes one, with a template of the special tokens around a text."""
    return _tokenizer
