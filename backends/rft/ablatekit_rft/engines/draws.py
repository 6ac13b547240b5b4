"""The random numbers of rollouts, as functions of seeds and counts alone.

No generator has a state that a checkpoint would have to keep.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablatekit.runs.seeds import Seeds

DrawKind: TypeAlias = Literal["uniforms", "seeds"]
"""What decides a completion: a uniform number in [0, 1) per step, or one seed."""


def rollout_purpose(round_index: int, batch: int = 0) -> str:
    """The name of the random numbers of a round's rollouts, or of its refills' (batch > 0)."""
    return f"rollouts/{round_index}/{batch}" if batch else f"rollouts/{round_index}"


def round_uniforms(seeds: Seeds, purpose: str, rows: int, steps: int) -> Tensor:
    """Uniform numbers in [0, 1), (rows, steps) float32."""
    generator = np.random.default_rng(seeds.own(purpose))
    return torch.from_numpy(generator.random((rows, steps), dtype=np.float32))


def round_draws(kind: DrawKind, seeds: Seeds, purpose: str, rows: int, steps: int) -> Tensor:
    """What decides training rollouts: uniforms (rows, steps), or seeds (rows, 1) int64."""
    if kind == "uniforms":
        return round_uniforms(seeds, purpose, rows, steps)
    words = seeds.own(purpose).generate_state(rows, np.uint64)
    return torch.from_numpy(_as_seeds(words)).unsqueeze(1)


def evaluation_draws(
    kind: DrawKind, seeds: Seeds, keys: list[tuple[str, str]], samples: int, steps: int
) -> Tensor:
    """The same for evaluation, (items, samples, steps or 1), common to all runs of a context.

    keys: (split, item); each (split, item, sample) has draws of its own, whatever else is
    evaluated with it.
    """
    return _evaluation_draws(kind, Seeds("", seeds.context_id), tuple(keys), samples, steps)


@lru_cache(maxsize=32)  # a worker executes many runs of few contexts
def _evaluation_draws(
    kind: DrawKind, seeds: Seeds, keys: tuple[tuple[str, str], ...], samples: int, steps: int
) -> Tensor:
    row = _evaluation_uniforms if kind == "uniforms" else _evaluation_seed
    drawn = [
        [row(seeds.common("evaluation", split, item, sample), steps) for sample in range(samples)]
        for split, item in keys
    ]
    return torch.from_numpy(np.array(drawn))


def _evaluation_uniforms(seed: np.random.SeedSequence, steps: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(steps, dtype=np.float32)


def _evaluation_seed(seed: np.random.SeedSequence, _steps: int) -> NDArray[np.int64]:
    return _as_seeds(seed.generate_state(1, np.uint64))


def _as_seeds(words: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """63 bits of each word: a seed that fits a signed integer."""
    return (words >> np.uint64(1)).astype(np.int64)
