"""A trial of a model before training: drawing, scoring and plain reading agree, or it is refused.

Every trainer trusts that a row of a padded batch, the cache of keys and values with its rows
repeated and dropped, and a plain forward pass over one whole text compute one function. Classes of
transformers that break this train towards something else without any error; two short prompts with
two completions each tell them apart, whatever the class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.engines.sampler import ModuleCache
from ablatekit_rft.policy.policy import padded_logits
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.sources.checkpoints import (
    NO_KEYS_AND_VALUES,
    TRANSFORMERS,
    without_keys_and_values,
)

TRIAL_TOKENS = 1024
"""Longest text of a trial: beyond the sliding windows of most small models."""

LENGTHS = (4, 2, 4, 3)
"""Tokens of the completions; the second row ends first, then the fourth."""

SHORT_PROMPT = 2
"""Tokens of the shorter prompt."""

ROUNDING = 3e-5
"""Largest difference of log-probabilities in float32, as a share of the largest of them."""

GRADIENT_TOKENS = 32
"""Longest prompt of which a gradient is taken: its activations stay in memory."""

GRADIENT_ROUNDING = 1e-3
"""Largest relative difference of two gradients in float32."""

# What a foreign module raises for arguments that it does not know or cannot use.
MODULE_ERRORS = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
)


def check_behaviour(model: Any, name: str, prompts: Prompts, *, drawn: bool) -> None:
    """Raise UsageError for a float32 model that computes other probabilities in batches than alone.

    `prompts`: those of `trial_prompts`. `drawn`: whether the policy draws its own rollouts, with
    the module's cache; otherwise only its scores are tried.
    """
    model.eval()
    kind = model.config.model_type
    if drawn and (getattr(model, "_is_stateful", False) or kind in NO_KEYS_AND_VALUES):
        raise without_keys_and_values(kind, name)
    with torch.no_grad():
        _check_probabilities(model, name, _rollouts(prompts), drawn=drawn)
    _check_gradient(model, name, _rollouts(_shortened(prompts)))


def _check_probabilities(model: Any, name: str, rollouts: Rollouts, *, drawn: bool) -> None:
    alone = _tried(lambda: _alone(model, rollouts), _no_text, model, name)
    if not all(_same(alone[row][0], alone[row + 1][0]) for row in (0, 2)):
        rule = "a causal language model gives a token a probability that no later token changes"
        raise _refused(rule, "later tokens change its probabilities", model, name)
    scored = _tried(lambda: padded_logits(model, rollouts), _no_padding, model, name)
    rows = zip(scored, LENGTHS, alone, strict=True)
    if not all(_same(_log(logits[:length]), expected) for logits, length, expected in rows):
        raise _no_padding(model, name, "padding changes its probabilities")
    if drawn and not _tried(lambda: _drawn_alike(model, rollouts, alone), _no_cache, model, name):
        rule = "a model draws and scores a token with one probability"
        raise _refused(rule, "its cache changes its probabilities", model, name)


def _check_gradient(model: Any, name: str, rollouts: Rollouts) -> None:
    """Padding may change a gradient alone: the root of a variance of zeros has none."""
    expected, ours = _tried(lambda: _gradients(model, rollouts), _no_padding, model, name)
    if not bool((ours - expected).norm() <= GRADIENT_ROUNDING * expected.norm()):
        raise _no_padding(model, name, "padding changes its gradient")


def _gradients(model: Any, rollouts: Rollouts) -> tuple[Tensor, Tensor]:
    """Gradients of one function to the embeddings, from texts alone and from a padded batch."""
    weight = model.get_input_embeddings().weight.requires_grad_(True)
    with torch.enable_grad():
        padded = _log(padded_logits(model, rollouts))
        scored = torch.cat([row[:length] for row, length in zip(padded, LENGTHS, strict=True)])
        alone = torch.cat(_alone(model, rollouts))
        # A coefficient of its own for every probability: sums would hide what cancels out.
        places = torch.arange(alone.numel(), device=alone.device)
        coefficients = places.sin().reshape(alone.shape)
        (expected,), (ours,) = (
            torch.autograd.grad((coefficients * logp).sum(), weight) for logp in (alone, scored)
        )
    return expected, ours


def _shortened(prompts: Prompts) -> Prompts:
    tokens = [row[:GRADIENT_TOKENS] for row in prompts.lists()]
    return Prompts.pad(tokens, int(prompts.tokens[1, 0]), prompts.tokens.device)


def check_tokens(model: Any, encoded: Sequence[list[int]]) -> None:
    """Raise UsageError when a prompt has a token that the model has no embedding for."""
    rows, largest = len(model.get_input_embeddings().weight), max(map(max, encoded))
    if largest >= rows:
        rule = f"the model has embeddings for {rows} tokens, and its tokenizer writes others"
        remedy = "Use the tokenizer that the model was trained with, or resize its embeddings"
        raise UsageError(Problem(rule, f"token {largest} in a prompt", remedy))


def trial_prompts(
    encoded: Sequence[list[int]], longest: int, pad_id: int, device: torch.device
) -> Prompts:
    """A run's longest prompt, repeated up to `longest` tokens with a completion, and its begin."""
    prompt = max(encoded, key=len)
    tokens = max(SHORT_PROMPT + 1, min(longest, TRIAL_TOKENS) - max(LENGTHS))
    filled = list(islice(cycle(prompt), tokens))
    return Prompts.pad([filled, filled[:SHORT_PROMPT]], pad_id, device)


def _rollouts(prompts: Prompts) -> Rollouts:
    """Two completions of each prompt, of tokens that the prompts have."""
    device, steps = prompts.tokens.device, max(LENGTHS)
    ids = sorted(set(prompts.lists()[0]))
    # Neighbouring rows begin with different tokens, so that a look ahead shows.
    rows = [[ids[(row + step * (row + 1)) % len(ids)] for step in range(steps)] for row in range(4)]
    lengths = torch.tensor(LENGTHS, device=device)
    tokens = torch.tensor(rows, device=device)
    zeros = torch.zeros(tokens.shape, device=device)
    query = torch.tensor([0, 0, 1, 1], device=device)
    return Rollouts(prompts, query, tokens, lengths, lengths == steps, zeros, zeros)


def _alone(model: Any, rollouts: Rollouts) -> list[Tensor]:
    """Log-probabilities (T, V) of each rollout's tokens from its whole text, unpadded, uncached."""
    prompts, found = rollouts.prompts.lists(), []
    for query, tokens, length in zip(
        rollouts.query.tolist(), rollouts.tokens.tolist(), LENGTHS, strict=True
    ):
        text = torch.tensor([prompts[query] + tokens[:length]], device=rollouts.tokens.device)
        # All logits of a long text and a large vocabulary would take a gibibyte.
        logits = model(input_ids=text, logits_to_keep=length + 1).logits
        found.append(_log(logits[0, -length - 1 : -1]))
    return found


def _drawn_alike(model: Any, rollouts: Rollouts, alone: list[Tensor]) -> bool:
    """Whether the cache gives what reading whole texts gives, while finished rows are dropped."""
    cache = ModuleCache(model, rollouts.prompts, 2)
    logits, rows = cache.first_logits, list(range(len(LENGTHS)))
    for step in range(max(LENGTHS)):
        running = [place for place, row in enumerate(rows) if step < LENGTHS[row]]
        if len(running) < len(rows):
            places = torch.tensor(running, device=logits.device)
            cache.keep(places)
            logits, rows = logits[places], [rows[place] for place in running]
        expected = torch.stack([alone[row][step] for row in rows])
        if not _same(_log(logits), expected):
            return False
        if step + 1 < max(LENGTHS):
            logits = cache.step(rollouts.tokens[rows, step])
    return True


def _log(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits.float(), dim=-1)


def _same(ours: Tensor, expected: Tensor) -> bool:
    difference = (ours - expected).abs().max()
    return bool(difference <= ROUNDING * expected.abs().max())


Refusal = Callable[[Any, str, str], UsageError]


def _tried(attempt: Callable[[], Any], refusal: Refusal, model: Any, name: str) -> Any:
    """What an attempt gives, or the refusal of a model whose module cannot do it."""
    try:
        return attempt()
    except torch.OutOfMemoryError:
        raise
    except MODULE_ERRORS as error:
        raise refusal(model, name, f"{type(error).__name__}: {error}") from error


def _no_text(model: Any, name: str, why: str) -> UsageError:
    return _refused("a causal language model reads a text alone", why, model, name)


def _no_padding(model: Any, name: str, why: str) -> UsageError:
    return _refused("a model reads a padded row as it reads the row alone", why, model, name)


def _no_cache(model: Any, name: str, _why: str) -> UsageError:
    return without_keys_and_values(model.config.model_type, name)


def _refused(rule: str, why: str, model: Any, name: str) -> UsageError:
    return UsageError(
        Problem(rule, f"{name!r} of type {model.config.model_type}: {why}", TRANSFORMERS)
    )
