"""Completions as text, and whether they are correct."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ablatekit_rft.models import Tokenizer
from ablatekit_rft.rollout import Rollouts
from ablatekit_rft.tasks import Query, Task, Verdict


def verify(
    task: Task, tokenizer: Tokenizer, queries: Sequence[Query], rollouts: Rollouts
) -> NDArray[np.float32]:
    """Outcomes (N,): 1 for a correct completion, 0 for a wrong, unjudged or truncated one.

    queries: the N queries of the N completions. The verifier sees the text before the first EOS.
    """
    rows = zip(
        queries,
        rollouts.tokens.tolist(),
        rollouts.lengths.tolist(),
        rollouts.truncated.tolist(),
        strict=True,
    )
    correct = [
        not truncated
        and task.verify(query, tokenizer.decode(tokens[: length - 1])) is Verdict.CORRECT
        for query, tokens, length, truncated in rows
    ]
    return np.array(correct, np.float32)
