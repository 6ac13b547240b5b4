"""Make the shipped base models again: `python -m ablatekit_rft.pretrain`."""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import DynamicCache, PreTrainedModel

from ablatekit.errors import AblatekitError
from ablatekit_rft.basemodels.architectures import as_stored, fresh, to_folder
from ablatekit_rft.basemodels.catalogue import FAMILIES, RECORD_FILE, content_of, data_folder
from ablatekit_rft.basemodels.tokenizer import CharTokenizer
from ablatekit_rft.tasks import Task, get_task
from ablatekit_rft.tasks.query import Query, Verdict


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
    return sum(judgement.verdict is Verdict.CORRECT for judgement in judged) / len(queries)


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


LOG = logging.getLogger("ablatekit_rft.pretrain")
IGNORED_LABEL = -100
PRETRAINED_ON = ("letter-sort", "letter-count")
"""The tasks whose worked examples the tiny models are trained on."""


class PretrainingError(AblatekitError):
    """Pass@1 did not settle inside the band within the allowed steps."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the stored weights. Lengths in steps, sizes in items."""

    seed: int = 0
    batch_size: int = 64
    learning_rate: float = 3e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    warmup: int = 20
    max_grad_norm: float = 1.0
    max_steps: int = 1500
    pool: int = 50_000
    check_every: int = 10
    check_items: int = 512
    reported_items: int = 2048
    band: tuple[float, float] = (0.22, 0.32)
    least_weight: float = 0.1


@dataclass(slots=True)
class Corpus:
    """Items of one task: some to train on, others to check Pass@1 on, none of them RFT's."""

    task: Task
    check: tuple[Query, ...]
    pool: tuple[Query, ...]
    weight: float = 1.0


@dataclass(slots=True)
class Pretrained:
    """A model after the recipe, the steps it took, and its Pass@1 per task at the last check."""

    model: PreTrainedModel
    steps: int
    pass_at_1: Mapping[str, float] = field(default_factory=dict)


def pretrain(name: str, recipe: Recipe, corpora: Sequence[Corpus]) -> Pretrained:
    """Train a fresh model until every task's Pass@1 lies in the band.

    Raises `PretrainingError` after `max_steps`. Changes the corpora's weights.
    """
    model = fresh(name, seed=recipe.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=recipe.betas, weight_decay=recipe.weight_decay
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    for step in range(1, recipe.max_steps + 1):
        rate = recipe.learning_rate * min(1.0, step / recipe.warmup)
        train_step(model, optimizer, draw_batch(corpora, recipe, generator), rate, recipe)
        if step % recipe.check_every == 0:
            scores = check(as_stored(model), corpora, recipe)
            LOG.info("%s step %d: %s", name, step, scores)
            if all(recipe.band[0] <= score <= recipe.band[1] for score in scores.values()):
                return Pretrained(model, step, scores)
            favour_the_laggards(corpora, scores, recipe)
    raise PretrainingError(f"{name} did not reach {recipe.band} in {recipe.max_steps} steps")


def build_corpora(recipe: Recipe) -> list[Corpus]:
    """The pre-training items of every task; the first of them are kept for checks."""
    corpora = []
    for name in PRETRAINED_ON:
        items = get_task(name).items("pretrain", recipe.check_items + recipe.pool)
        check, pool = items[: recipe.check_items], items[recipe.check_items :]
        corpora.append(Corpus(get_task(name), check, pool))
    return corpora


def draw_batch(
    corpora: Sequence[Corpus], recipe: Recipe, generator: torch.Generator
) -> list[Query]:
    """Items drawn with replacement, each from a corpus drawn by weight."""
    weights = torch.tensor([corpus.weight for corpus in corpora])
    which = torch.multinomial(weights, recipe.batch_size, replacement=True, generator=generator)
    where = torch.randint(recipe.pool, (recipe.batch_size,), generator=generator)
    pairs = zip(which.tolist(), where.tolist(), strict=True)
    return [corpora[corpus].pool[index] for corpus, index in pairs]


def train_step(
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    batch: Sequence[Query],
    rate: float,
    recipe: Recipe,
) -> None:
    """One optimizer step on the mean cross-entropy of the answers' tokens."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    tokens, mask, labels = encode(batch)
    logits = model(input_ids=tokens, attention_mask=mask).logits
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED_LABEL
    )
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
    optimizer.step()


def encode(batch: Sequence[Query]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, attention mask and labels of prompts with their answers, padded on the right.

    (items, longest) each; only the answer and its end of sequence carry labels.
    """
    tokenizer = CharTokenizer()
    parts = [(tokenizer.encode(q.prompt), tokenizer.encode_answer(q.gold)) for q in batch]
    longest = max(len(prompt) + len(answer) for prompt, answer in parts)
    tokens = torch.full((len(parts), longest), tokenizer.pad_id)
    labels = torch.full_like(tokens, IGNORED_LABEL)
    for row, (prompt, answer) in enumerate(parts):
        end = len(prompt) + len(answer)
        tokens[row, :end] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : end] = torch.tensor(answer)
    return tokens, (tokens != tokenizer.pad_id).long(), labels


def check(model: PreTrainedModel, corpora: Sequence[Corpus], recipe: Recipe) -> dict[str, float]:
    """Sampled Pass@1 per task on the check items, with the same draws at every check."""
    draws = torch.Generator()
    return {
        corpus.task.name: pass_at_1(
            model, corpus.task, corpus.check, draws.manual_seed(recipe.seed + 1)
        )
        for corpus in corpora
    }


def favour_the_laggards(
    corpora: Sequence[Corpus], scores: Mapping[str, float], recipe: Recipe
) -> None:
    """Draw each task the more often the further it is below the band's upper end."""
    top = recipe.band[1]
    for corpus in corpora:
        missing = 1 - scores[corpus.task.name] / top
        corpus.weight = max(recipe.least_weight, missing)


def make(name: str, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Pre-train and store one model; what to record about it."""
    made = pretrain(name, recipe, build_corpora(recipe))
    to_folder(made.model, folder / name)
    return {
        "family": FAMILIES[name],
        "content": content_of(folder / name),
        "parameters": made.model.num_parameters(),
        "steps": made.steps,
        "test_pass_at_1": scores_on_test(as_stored(made.model), recipe),
    }


def scores_on_test(model: PreTrainedModel, recipe: Recipe) -> dict[str, dict[str, float]]:
    """Sampled (temperature 1) and greedy Pass@1 on the first test items of every task."""
    scores = {}
    for task in map(get_task, PRETRAINED_ON):
        queries = task.items("test", recipe.reported_items)
        sampled = pass_at_1(model, task, queries, torch.Generator().manual_seed(0))
        greedy = pass_at_1(model, task, queries, None)
        scores[task.name] = {"sampled": round(sampled, 4), "greedy": round(greedy, 4)}
    return scores


def made_with() -> dict[str, str]:
    """Whatever may change the last bit of a weight."""
    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Make all models again, by default in place of the stored ones."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--output", type=Path, default=data_folder(), help="folder to write to")
    output: Path = parser.parse_args(arguments).output
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    recipe, models = Recipe(), {}
    for name in FAMILIES:
        start = time.process_time()
        models[name] = make(name, recipe, output)
        LOG.info("%s took %.0f s of processor time", name, time.process_time() - start)
    record = {"made_with": made_with(), "models": models}
    (output / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
