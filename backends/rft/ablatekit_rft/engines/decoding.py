"""How completions are drawn: temperature, what of the distribution may be drawn, and where to end.

Both engines read these numbers in one order: temperature, then `min_p`, `top_k`, `top_p`, each
among the tokens that the one before it left. Nothing is ever taken from a model's own generation
settings but its end-of-sequence tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Self, TypeAlias

import torch
from torch import Tensor

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.basemodels.tokenizer import UnknownCharacterError
from ablatekit_rft.policy.models import Tokenizer
from ablatekit_rft.policy.rollout import first_eos
from ablatekit_rft.settings import Evaluation, RftSettings
from ablatekit_rft.tasks.judged import closing_stop

EVALUATION_TEMPERATURE = 1.0

NEARLY = 0.8
"""Likeness, by `difflib`, from which on a stop text is taken for a misspelt token."""

Decode: TypeAlias = Callable[[Sequence[int]], str]


@dataclass(frozen=True, slots=True)
class Stop:
    """Texts that end a completion, whatever tokens write them.

    texts: looked for in what `decode` shows. marked: those that hold a control token, looked for in
    what `spell` writes. ids: the tokens that are one of the texts by themselves. closing: the one
    text that a verifier sees, too, because it closes what the verifier reads.
    """

    texts: tuple[str, ...]
    decode: Decode
    marked: tuple[str, ...] = ()
    spell: Decode = field(default=lambda _ids: "")
    ids: tuple[int, ...] = ()
    closing: str = ""

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: Tokenizer, template: str = "none") -> Self | None:
        """The stop of a setting under a prompt template; None without texts.

        Raises UsageError for a text that the tokenizer cannot write, and for a misspelt token.
        """
        if not texts:
            return None
        for text in texts:
            if text not in tokenizer.added:
                _refuse_misspelt(text, tokenizer)
                _refuse_unwritable(text, tokenizer)
        control = tokenizer.control.values()
        marked = tuple(text for text in texts if any(token in text for token in control))
        added = tokenizer.added
        return cls(
            tuple(text for text in texts if text not in marked),
            tokenizer.decode,
            marked,
            tokenizer.spell,
            tuple(added[text] for text in texts if text in added),
            closing_stop(template, texts),
        )

    def length(self, tokens: Sequence[int]) -> int | None:
        """Tokens up to and including the one that completes the first of the texts; None: none."""
        if not self._occurs(tokens):
            return None
        low, high = 1, len(tokens)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._occurs(tokens[:middle]) else (middle + 1, high)
        return low

    def in_tail(self, tokens: Sequence[int]) -> bool:
        """Whether the last token completes one of the texts: reads no more than it must."""
        widest = max(len(text.encode()) for text in (*self.texts, *self.marked))
        return self._occurs(tokens[-widest:]) and self._occurs(tokens)

    def read(self, tokens: Sequence[int]) -> str:
        """What a verifier reads: the text before the first of the texts, all of it without one."""
        spelled = self.spell(tokens) if self.marked else ""
        place = _first(self.marked, spelled)
        text = self.decode(tokens) if place is None else self._until(tokens, place)
        end = _first(self.texts, text)
        if end is not None:
            return text[:end] + (self.closing if text.startswith(self.closing, end) else "")
        closes = place is not None and spelled.startswith(self.closing, place)
        return text + (self.closing if closes else "")

    def _until(self, tokens: Sequence[int], place: int) -> str:
        """What is shown of the tokens that write the first `place` characters."""
        whole = len(tokens)
        while len(self.spell(tokens[:whole])) > place:
            whole -= 1
        rest = self.spell(tokens)[len(self.spell(tokens[:whole])) : place]
        return self.decode(tokens[:whole]) + rest

    def _occurs(self, tokens: Sequence[int]) -> bool:
        if self.texts and _first(self.texts, self.decode(tokens)) is not None:
            return True
        return bool(self.marked) and _first(self.marked, self.spell(tokens)) is not None


def _first(texts: Sequence[str], text: str) -> int | None:
    """Where the first of `texts` begins in a text."""
    places = (text.find(stop) for stop in texts)
    return min((place for place in places if place >= 0), default=None)


def _refuse_misspelt(text: str, tokenizer: Tokenizer) -> None:
    """Raise UsageError for a text in the form of a token that is nearly one of the tokenizer's.

    Further away it is a text like others: a model may write `<|im_end|>` by letters.
    """
    near = get_close_matches(text, list(tokenizer.added), n=1, cutoff=NEARLY)
    if near and text.startswith("<|") and text.endswith("|>"):
        rule = "a stop that looks like a special token is none that the model's tokenizer has"
        raise UsageError(Problem(rule, repr(text), f"Did you mean {near[0]!r}?"))


def _refuse_unwritable(text: str, tokenizer: Tokenizer) -> None:
    """Raise UsageError for a stop text that no tokens of the tokenizer spell."""
    # Some tokenizers strip what a text begins with: a letter in front keeps it.
    if any(_writes(tokenizer, text, front) for front in ("", "a")):
        return
    rule = "a stop text that the model's tokenizer cannot write would never stop"
    raise UsageError(Problem(rule, repr(text), "Leave it out of stop and evaluation.stop"))


def _writes(tokenizer: Tokenizer, text: str, front: str) -> bool:
    try:
        return text in tokenizer.spell(tokenizer.encode(front + text))
    except UnknownCharacterError:
        return False


@dataclass(frozen=True, slots=True)
class Decoding:
    """How completions are drawn; temperature 0 is greedy.

    eos_ids: the tokens that end a completion, those of `stop` among them. Without them and `stop`
    every completion has exactly `max_new_tokens` tokens. top_p: the
    smallest set of most probable tokens with at least this probability; top_k: the k most probable
    tokens, 0 for all; min_p: tokens at least this share of the most probable one's probability.
    """

    max_new_tokens: int
    temperature: float
    eos_ids: tuple[int, ...]
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop: Stop | None = None

    @classmethod
    def of_training(cls, settings: RftSettings, max_new_tokens: int, tokenizer: Tokenizer) -> Self:
        """How the settings draw training rollouts."""
        stop = Stop.of(settings.stop, tokenizer, settings.template)
        return cls(
            max_new_tokens,
            settings.temperature,
            _end_tokens(tokenizer, stop),
            settings.top_p,
            settings.top_k,
            settings.min_p,
            stop,
        )

    @classmethod
    def of_evaluation(
        cls,
        evaluation: Evaluation,
        max_new_tokens: int,
        tokenizer: Tokenizer,
        template: str = "none",
    ) -> Self:
        """How evaluation draws: from the policy itself, whatever the training temperature."""
        stop = Stop.of(evaluation.stop, tokenizer, template)
        return cls(max_new_tokens, EVALUATION_TEMPERATURE, _end_tokens(tokenizer, stop), stop=stop)

    @property
    def is_truncated(self) -> bool:
        """Whether some tokens of the distribution can never be drawn."""
        return self.top_p < 1 or self.top_k > 0 or self.min_p > 0

    def drawable(self, probabilities: Tensor) -> Tensor:
        """Probabilities (..., V), not renormalised, with 0 for what may not be drawn."""
        if not self.is_truncated:
            return probabilities
        kept = probabilities
        if self.min_p > 0:
            kept = _above(kept, self.min_p * kept.amax(dim=-1, keepdim=True))
        if 0 < self.top_k < kept.shape[-1]:
            kept = _above(kept, kept.topk(self.top_k, dim=-1).values[..., -1:])
        return kept if self.top_p == 1 else _nucleus(kept, self.top_p)


def _end_tokens(tokenizer: Tokenizer, stop: Stop | None) -> tuple[int, ...]:
    return tuple(dict.fromkeys((*tokenizer.eos_ids, *(stop.ids if stop else ()))))


def _above(probabilities: Tensor, threshold: Tensor) -> Tensor:
    return torch.where(probabilities >= threshold, probabilities, 0.0)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Zero the least probable tokens that together hold at most 1 - top_p; never the best."""
    rising, order = probabilities.sort(dim=-1)
    share = rising.cumsum(dim=-1) / rising.sum(dim=-1, keepdim=True)
    dropped = share <= 1 - top_p
    dropped[..., -1] = False
    return probabilities.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), 0.0)


def ends(tokens: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Where completions (N, T) end: lengths, and whether the limit cut them short. Both (N,).

    A completion ends with its first end of sequence, or with the token that completes a stop text.
    """
    lengths, truncated = first_eos(tokens, decoding.eos_ids)
    if decoding.stop is None:
        return lengths, truncated
    for row, ids in enumerate(tokens.tolist()):
        stopped = decoding.stop.length(ids[: int(lengths[row])])
        if stopped is not None:
            lengths[row], truncated[row] = stopped, False
    return lengths, truncated
