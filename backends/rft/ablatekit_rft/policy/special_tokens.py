"""Tokens that a tokenizer keeps apart from text: which control a conversation, which are text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
BRACKETS = (("<", ">"), ("[", "]"))


@dataclass(frozen=True)
class SpecialTokens:
    """The added tokens of a transformers tokenizer; `eos_ids` are the ends of its model.

    A special token is text, and stays in what a verifier reads, if it is a tag with a closing one
    (`<think>` with `</think>`, `[THINK]` with `[/THINK]`) or is not written in brackets at all
    (`####`). Every other special token controls the model: it vanishes, wherever it stands.
    """

    inner: Any
    eos_ids: Sequence[int]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Every added token by what it spells, special or not."""
        return {token.content: id_ for id_, token in self.inner.added_tokens_decoder.items()}

    @cached_property
    def control(self) -> Mapping[int, str]:
        """The special tokens that are no text, with what they spell."""
        special = {
            id_: token.content
            for id_, token in self.inner.added_tokens_decoder.items()
            if token.special
        }
        roles = {getattr(self.inner, role, None) for role in ROLES}
        written = set(special.values()) - roles
        return {
            id_: content
            for id_, content in special.items()
            if content in roles or id_ in self.eos_ids or not is_text(content, written)
        }

    @cached_property
    def all_control(self) -> bool:
        """Whether no special token is text."""
        special = (id_ for id_, token in self.inner.added_tokens_decoder.items() if token.special)
        return all(id_ in self.control for id_ in special)

    def visible(self, ids: Sequence[int]) -> str:
        """The text of a completion without control tokens."""
        if self.all_control:
            return str(self.inner.decode(ids, skip_special_tokens=True))
        return self.spelled([id_ for id_ in ids if id_ not in self.control])

    def spelled(self, ids: Sequence[int]) -> str:
        """The text of a completion with every token that it has."""
        return str(self.inner.decode(ids, skip_special_tokens=False))


def is_text(content: str, others: set[str]) -> bool:
    """Whether a special token of no role is a part of what is said; `others`: all of them."""
    for opening, closing in BRACKETS:
        if content.startswith(opening) and content.endswith(closing):
            name = content[1:-1].removeprefix("/")
            return {f"{opening}{name}{closing}", f"{opening}/{name}{closing}"} <= others
    return True
