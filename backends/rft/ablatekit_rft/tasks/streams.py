"""Deterministic item streams: every item follows from a hash, on any machine, for ever."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator

from ablatekit_rft.tasks.base import SplitName

SPLIT_SHARES: tuple[SplitName, ...] = ("train", "test", "pretrain", "pretrain")
"""A prompt's hash picks one of these: a quarter train, a quarter test, half pre-training."""


class Draws:
    """Independent uniform draws from the 256 bits of one hash.

    A hash, rather than a random generator, because no library then owns the stream: the items
    stay the same under every version of Python and numpy. `k` draws below `n` must use at most
    about 200 bits in all; the bias is then below 2**-50.
    """

    def __init__(self, *key: str | int) -> None:
        text = "/".join(str(part) for part in key)
        self._bits = int.from_bytes(_digest(text), "big")

    def below(self, n: int) -> int:
        """A uniform integer in 0, ..., n - 1."""
        self._bits, drawn = divmod(self._bits, n)
        return drawn

    def between(self, low: int, high: int) -> int:
        """A uniform integer in low, ..., high."""
        return low + self.below(high - low + 1)

    def text(self, alphabet: str, length: int) -> str:
        """`length` independent characters of `alphabet`, with replacement."""
        bits, n = self._bits, len(alphabet)
        letters = []
        for _ in range(length):
            bits, drawn = divmod(bits, n)
            letters.append(alphabet[drawn])
        self._bits = bits
        return "".join(letters)


def split_of(prompt: str) -> SplitName:
    """The only split that may contain a prompt.

    It depends on nothing but the prompt, so that no later version of a task can move a prompt
    that a stored base model was pre-trained on into a train or test set.
    """
    return SPLIT_SHARES[_digest(f"split/{prompt}")[0] % len(SPLIT_SHARES)]


def prompts(key: str, split: SplitName, draw: Callable[[Draws], str]) -> Iterator[str]:
    """The endless sequence of a split's prompts, each once, drawn under the stream `key`."""
    seen: set[str] = set()
    for index in itertools.count():
        prompt = draw(Draws(key, index))
        if prompt not in seen and split_of(prompt) == split:
            seen.add(prompt)
            yield prompt


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
