"""Random streams by purpose (DESIGN 3.2, "Randomness").

Training streams are independent between runs; what all runs of a context share (data split, item
lists, evaluation draws) is keyed by the context alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


def _entropy(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest(), "big")


@dataclass(frozen=True, slots=True)
class Seeds:
    """Seeds of one run: `own` by run id, `common` by context id."""

    run_id: str
    context_id: str

    def own(self, purpose: str) -> np.random.SeedSequence:
        """A seed that no other run has, for training randomness."""
        return np.random.SeedSequence(_entropy("run", self.run_id, purpose))

    def common(self, purpose: str, *keys: str | int) -> np.random.SeedSequence:
        """A seed that every run of this context has; `keys` name an item, a sample, a step."""
        parts = (str(key) for key in keys)
        return np.random.SeedSequence(_entropy("context", self.context_id, purpose, *parts))

    def generator(self, purpose: str) -> np.random.Generator:
        """A numpy generator on the run's own stream for `purpose`."""
        return np.random.default_rng(self.own(purpose))

    def integer(self, purpose: str) -> int:
        """63 random bits of the run's own stream, for `torch.Generator.manual_seed`."""
        return seed_integer(self.own(purpose))


def seed_integer(seed: np.random.SeedSequence) -> int:
    """63 bits of a seed sequence as a non-negative integer."""
    return int(seed.generate_state(1, np.uint64)[0] >> np.uint64(1))
