"""Pass@1 of a base model on a task, by plain sampling: what the recipe steers by.

The trainer has a faster sampler and its own evaluation; this one is short enough to check by eye.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from ablatekit_rft.basemodels.tokenizer import CharTokenizer
from ablatekit_rft.tasks import Task
from ablatekit_rft.verdicts import Query, Verdict


def pass_at_1(
    model: PreTrainedModel, task: Task, queries: Sequence[Query], generator: torch.Generator | None
) -> float:
    """The share of queries answered correctly by one completion each.

    Sampled at temperature 1 from `generator`; greedy without one. A completion that does not end
    within the task's token limit is wrong.
    """
    texts = complete(model, [query.prompt for query in queries], task.max_new_tokens, generator)
    ended = [(query, text) for query, text in zip(queries, texts, strict=True) if text is not None]
    judged = task.judge([query for query, _ in ended], [text for _, text in ended])
    return sum(one.verdict is Verdict.CORRECT for one in judged) / len(queries)


@torch.no_grad()
def complete(
    model: PreTrainedModel,
    prompts: Sequence[str],
    max_new_tokens: int,
    generator: torch.Generator | None,
) -> list[str | None]:
    """One completion per prompt as text; None where no end of sequence came in time."""
    tokens, mask = _left_padded(prompts)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    drawn = []
    for _ in range(max_new_tokens):
        logits = model(
            input_ids=tokens, attention_mask=mask, position_ids=positions, past_key_values=cache
        ).logits[:, -1]
        tokens = _next_tokens(logits, generator)
        drawn.append(tokens)
        mask = torch.cat([mask, torch.ones_like(tokens)], dim=1)
        positions = positions[:, -1:] + 1
    return [_text(row) for row in torch.cat(drawn, dim=1).tolist()]


def _left_padded(prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, (prompts, longest) each."""
    tokenizer = CharTokenizer()
    rows = [tokenizer.encode(prompt) for prompt in prompts]
    tokens = torch.full((len(rows), max(map(len, rows))), tokenizer.pad_id)
    for target, row in zip(tokens, rows, strict=True):
        target[-len(row) :] = torch.tensor(row)
    return tokens, (tokens != tokenizer.pad_id).long()


def _next_tokens(logits: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """One token per row, (rows, 1)."""
    if generator is None:
        return logits.argmax(-1, keepdim=True)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)


def _text(tokens: list[int]) -> str | None:
    tokenizer = CharTokenizer()
    if tokenizer.eos_id not in tokens:
        return None
    return tokenizer.decode(tokens[: tokens.index(tokenizer.eos_id)])
