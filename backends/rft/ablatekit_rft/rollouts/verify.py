"""Completions as text, and what the task's verifier says about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.policy.models import Tokenizer
from ablatekit_rft.policy.rollout import Rollouts
from ablatekit_rft.tasks import Task
from ablatekit_rft.tasks.query import Judgement, Query, Verdict

_CUT_OFF = Judgement(Verdict.WRONG, format_ok=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """What the verifier found about N completions; none of it is a shaped reward.

    correct (N,) float32: 1 for a correct completion, 0 for a wrong, unjudged or truncated one.
    format_ok (N,) bool: it has the form that the task asks for and ended by itself. error (N,)
    bool: the verifier could not judge it (a timeout, an answer key that it cannot read). why (N,):
    what kept the verifier from a verdict, empty where nothing did.
    """

    correct: NDArray[np.float32]
    format_ok: NDArray[np.bool_]
    error: NDArray[np.bool_]
    why: tuple[str, ...] = ()


def verify(
    task: Task,
    tokenizer: Tokenizer,
    queries: Sequence[Query],
    rollouts: Rollouts,
    decoding: Decoding,
) -> Verified:
    """Judge N completions drawn as `decoding` says; `queries` are theirs.

    The verifier sees the text before the first end of sequence and before the first of the stop
    texts, of completions that were not cut off.
    """
    tokens, lengths = rollouts.tokens.tolist(), rollouts.lengths.tolist()
    judgements = [_CUT_OFF] * len(queries)
    ended = [row for row, truncated in enumerate(rollouts.truncated.tolist()) if not truncated]
    texts = [completion_text(tokenizer, tokens[row][: lengths[row]], decoding) for row in ended]
    judged = task.judge([queries[row] for row in ended], texts)
    for row, judgement in zip(ended, judged, strict=True):
        judgements[row] = judgement
    verdicts = [judgement.verdict for judgement in judgements]
    return Verified(
        correct=np.array([verdict is Verdict.CORRECT for verdict in verdicts], np.float32),
        format_ok=np.array([judgement.format_ok for judgement in judgements], np.bool_),
        error=np.array([verdict is Verdict.ERROR for verdict in verdicts], np.bool_),
        why=tuple(judgement.why for judgement in judgements),
    )


def completion_text(tokenizer: Tokenizer, tokens: list[int], decoding: Decoding) -> str:
    """What a verifier reads of a completion."""
    said = tokens[:-1] if tokens[-1] in tokenizer.eos_ids else tokens
    return tokenizer.decode(said) if decoding.stop is None else decoding.stop.read(said)
