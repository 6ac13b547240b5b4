"""The character tokenizer of the shipped base models; only its export needs transformers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ablatekit.errors import Problem, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789+-*=,;:>|() "
SPECIALS = ("<pad>", "<bos>", "<eos>")


class UnknownCharacterError(UsageError):
    """A text holds a character that the vocabulary lacks."""


class CharTokenizer:
    """One token per character, after three special tokens: 51 in all."""

    pad_id = 0
    bos_id = 1
    eos_id = 2
    vocab_size = len(SPECIALS) + len(CHARACTERS)

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, after the beginning-of-sequence token."""
        return [self.bos_id, *map(self._id, text)]

    def encode_answer(self, text: str) -> list[int]:
        """The token ids of a completion: no beginning of sequence, but its end."""
        return [*map(self._id, text), self.eos_id]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; special tokens vanish, wherever they stand."""
        first = len(SPECIALS)
        return "".join(CHARACTERS[token - first] for token in ids if token >= first)

    def vocabulary(self) -> dict[str, int]:
        """Every token with its id."""
        return {token: i for i, token in enumerate((*SPECIALS, *CHARACTERS))}

    def to_transformers(self) -> PreTrainedTokenizerFast:
        """The same tokenizer for transformers, TRL and vLLM: same ids, left padding."""
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        pad, bos, eos = SPECIALS
        inner = Tokenizer(models.WordLevel(self.vocabulary(), unk_token=pad))
        inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        inner.decoder = decoders.Fuse()
        inner.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, self.bos_id)]
        )
        return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=inner,
            pad_token=pad,
            bos_token=bos,
            eos_token=eos,
            padding_side="left",
            clean_up_tokenization_spaces=False,
        )

    def _id(self, character: str) -> int:
        index = CHARACTERS.find(character)
        if index < 0:
            raise UnknownCharacterError(
                Problem(
                    "the tiny base models know only the characters of their vocabulary",
                    repr(character),
                    f"Use {CHARACTERS!r}",
                )
            )
        return len(SPECIALS) + index
