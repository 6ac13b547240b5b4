"""Evaluation on fixed items under fixed decoding: temperature 1 with common draws, and greedy.

The items, their order, the draws and how they are cut into batches depend on the context and the
evaluation settings alone, so that equal policies give bitwise equal results in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablatekit.errors import Problem, UsageError
from ablatekit.legible import legible
from ablatekit.runs.records import part_metric
from ablatekit.runs.seeds import Seeds
from ablatekit_rft.engines.base import Engine
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.draws import DrawKind, evaluation_draws
from ablatekit_rft.levels.kl import k3
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.policy.models import Tokenizer
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.rollouts.verify import Verified, verify
from ablatekit_rft.settings import Evaluation
from ablatekit_rft.tasks import Task
from ablatekit_rft.tasks.query import Query

Scope: TypeAlias = Literal["all", "part"]
"""All items with greedy decoding besides (first and last evaluation), or the fixed part."""

SHOWN = 2000
"""Characters of a question and of a completion that a log shows."""

GREEDY = "/greedy"
"""Suffix of the split of greedy outcomes in the item table."""

SPLIT_METRICS = {
    "train": (
        metrics.TRAIN_PASS,
        metrics.TRAIN_GREEDY,
        metrics.TRAIN_LENGTH,
        metrics.TRAIN_TRUNCATED,
        metrics.TRAIN_FORMAT,
        metrics.TRAIN_ERRORS,
    ),
    "test": (
        metrics.TEST_PASS,
        metrics.TEST_GREEDY,
        metrics.TEST_LENGTH,
        metrics.TEST_TRUNCATED,
        metrics.TEST_FORMAT,
        metrics.TEST_ERRORS,
    ),
}


@dataclass(frozen=True, slots=True)
class EvaluationItems:
    """Items of one scope: queries with their splits, tokenised, with their draws (I, S, ...)."""

    queries: tuple[Query, ...]
    splits: tuple[str, ...]
    encoded: tuple[list[int], ...]
    draws: Tensor
    with_greedy: bool


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One evaluation: metrics by name, and item outcomes by column.

    failures: by row, what kept the verifier from a verdict, empty where nothing did. part: of an
    evaluation on all items, the metrics of the part that the others use, by their own names.
    example: the first completion with its question and verdict, for people to read.
    """

    metrics: Mapping[str, float]
    items: Mapping[str, Sequence[Any]]
    failures: tuple[str, ...] = ()
    part: Mapping[str, float] = field(default_factory=dict)
    example: str = ""

    def refuse_failing_verifier(self, name: str) -> None:
        """Raise UsageError where the verifier has judged none of the completions that ended."""
        asked = len(self.items["truncated"]) - sum(self.items["truncated"])
        if not asked or sum(self.items["verifier_error"]) < asked:
            return
        rule = f"the verifier {name!r} judged none of the {asked} completions of step 0"
        last = next((why for why in reversed(self.failures) if why), "no reason given")
        raise UsageError(Problem(rule, last, "Try it on an item of the data set, or set another"))


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates what an engine draws; built once per run for engines of one kind of draws.

    `in_part` (I,): which items of the scope `all` are those of the scope `part`; None where no
    evaluation uses a part.
    """

    dataset: str
    task: Task
    tokenizer: Tokenizer
    decoding: Decoding
    scopes: Mapping[Scope, EvaluationItems]
    reference_budget: int
    pass_at: tuple[int, ...] = ()
    in_part: NDArray[np.bool_] | None = None

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt and completion."""
        encoded = self.scopes["all"].encoded
        return max(len(prompt) for prompt in encoded) + self.decoding.max_new_tokens

    def evaluate(self, engine: Engine, reference: Policy, scope: Scope) -> Evaluated:
        """Draw the items of a scope and score them; KL is estimated against `reference`.

        The engine holds the policy that is evaluated.
        """
        items = self.scopes[scope]
        batches = _batches(len(items.splits), engine.batch_items)
        drawn = [self._outcomes(engine, reference, items, at) for at in batches]
        parts = [part for part, _ in drawn]
        table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        summary = self._metrics(table, items.draws.shape[1])
        part = self._metrics_of_part(table, items) if scope == "all" else {}
        summary[metrics.EVALUATED] = len(items.splits) / len(self.scopes["all"].splits)
        del table["kl"]
        failures = tuple(table.pop("why").tolist())
        columns = {name: column.tolist() for name, column in table.items()}
        return Evaluated(summary, columns, failures, part, drawn[0][1])

    def _metrics(self, table: Mapping[str, NDArray[Any]], samples: int) -> dict[str, float]:
        return _summary(table) | _pass_at(table, samples, self.pass_at)

    def _metrics_of_part(
        self, table: Mapping[str, NDArray[Any]], items: EvaluationItems
    ) -> dict[str, float]:
        """What an evaluation on the part alone would have said, from the rows of all items."""
        if self.in_part is None:
            return {}
        samples = items.draws.shape[1]
        rows = np.repeat(self.in_part, samples + items.with_greedy) & (table["sample"] < samples)
        part = self._metrics({name: column[rows] for name, column in table.items()}, samples)
        return {part_metric(name): value for name, value in part.items()}

    def _outcomes(
        self, engine: Engine, reference: Policy, items: EvaluationItems, at: slice
    ) -> tuple[dict[str, NDArray[Any]], str]:
        """Rows (item x sample, the greedy one last) of one batch of items, by column.

        Gives the first of them in words, too.
        """
        policy = engine.policy
        prompts = Prompts.pad(items.encoded[at], policy.pad_id, policy.device)
        rollouts, greedy = self._draw(engine, prompts, items, at)
        queries, splits = items.queries[at], items.splits[at]
        query = rollouts.query.tolist()
        sampled_per_item = items.draws.shape[1]
        per_item = sampled_per_item + items.with_greedy
        asked = [queries[index] for index in query]
        verified = verify(self.task, self.tokenizer, asked, rollouts, self.decoding)
        columns = {
            "split": _split_names(splits, query, greedy),
            "dataset": np.full(len(query), self.dataset, object),
            "item": np.array([queries[index].item for index in query], object),
            "sample": np.arange(len(query)) % per_item,
            "outcome": verified.correct,
            "format_ok": verified.format_ok,
            "verifier_error": verified.error,
            "why": np.array(verified.why, object),
            "length": rollouts.lengths.cpu().numpy(),
            "truncated": rollouts.truncated.cpu().numpy(),
            "kl": self._kl(engine, reference, rollouts, splits, greedy),
        }
        return columns, self._example(queries[0], rollouts, verified)

    def _example(self, query: Query, rollouts: Rollouts, verified: Verified) -> str:
        """The first of the rollouts, an answer to `query`, as a log shows it."""
        length, cut = int(rollouts.lengths[0]), bool(rollouts.truncated[0])
        text = self.tokenizer.decode(rollouts.tokens[0, :length].tolist())
        verdict = "correct" if verified.correct[0] else "error" if verified.error[0] else "wrong"
        parts = {
            "question": query.prompt,
            f"completion of {length} tokens{', cut off at the limit' if cut else ''}": text,
            "answer key": query.gold,
            "verdict": f"{verdict} {verified.why[0]}".strip(),
        }
        return "".join(f"{name}: {shown(part)}\n" for name, part in parts.items())

    def _draw(
        self, engine: Engine, prompts: Prompts, items: EvaluationItems, at: slice
    ) -> tuple[Rollouts, Tensor]:
        """Completions of a batch, and which of them are greedy (N,)."""
        draws = items.draws[at]
        greedy = torch.zeros(draws.shape[:2], dtype=torch.bool)
        if items.with_greedy:
            draws = torch.cat((draws, torch.zeros_like(draws[:, :1])), dim=1)
            greedy = torch.cat((greedy, torch.ones_like(greedy[:, :1])), dim=1)
        flags = greedy.flatten().to(engine.policy.device)
        rollouts = engine.generate(
            prompts, draws.shape[1], draws.flatten(0, 1), self.decoding, flags
        )
        return rollouts, flags

    def _kl(
        self,
        engine: Engine,
        reference: Policy,
        rollouts: Rollouts,
        splits: Sequence[str],
        greedy: Tensor,
    ) -> NDArray[np.float64]:
        """(N,) k3 summed over each sampled train completion; NaN for the others."""
        on_train = torch.tensor([split == "train" for split in splits], device=greedy.device)
        rows = (on_train[rollouts.query] & ~greedy).nonzero().squeeze(1)
        kl = np.full(len(greedy), np.nan)
        if len(rows):
            chosen = rollouts.select(rows)
            chosen, _ = engine.reconcile(chosen, self.decoding, self.reference_budget)
            scored = reference.logp_without_gradient(
                chosen, self.decoding.temperature, self.reference_budget
            )
            estimate = k3.function(chosen.own_logp, scored)
            kl[rows.cpu().numpy()] = (estimate * chosen.mask).sum(dim=1).cpu().numpy()
        return kl


def build_evaluator(
    settings: Evaluation,
    task: Task,
    tokenizer: Tokenizer,
    seeds: Seeds,
    *,
    encode: Callable[[Query], list[int]],
    max_new_tokens: int,
    reference_budget: int,
    draws: DrawKind = "uniforms",
    template: str = "none",
) -> Evaluator:
    """The evaluator of a run: probe (the first train items) and test items, whole and in part."""
    by_split = {
        "train": task.items("train", settings.probe_items),
        "test": task.items("test", settings.test_items),
    }
    drawn = partial(evaluation_draws, draws, seeds, samples=settings.samples, steps=max_new_tokens)
    whole = _items(by_split, encode, drawn, greedy=True)
    share = settings.intermediate_fraction
    some = {split: queries[: _share(len(queries), share)] for split, queries in by_split.items()}
    in_part = [np.arange(len(by_split[split])) < len(some[split]) for split in by_split]
    part = _items(some, encode, drawn, greedy=False)
    return Evaluator(
        dataset=task.name,
        task=task,
        tokenizer=tokenizer,
        decoding=Decoding.of_evaluation(settings, max_new_tokens, tokenizer, template),
        scopes={"all": whole, "part": part},
        reference_budget=reference_budget,
        pass_at=settings.pass_at,
        in_part=np.concatenate(in_part) if settings.uses_part else None,
    )


def shown(text: str) -> str:
    """A text for a log: nothing in it acts, and it is not endless."""
    said = legible(text)
    return said if len(said) <= SHOWN else f"{said[:SHOWN]} ... ({len(said):,} characters)"


def _share(count: int, share: float) -> int:
    return max(1, round(count * share))


def _items(
    by_split: Mapping[str, Sequence[Query]],
    encode: Callable[[Query], list[int]],
    drawn: Callable[[list[tuple[str, str]]], Tensor],
    *,
    greedy: bool,
) -> EvaluationItems:
    pairs = [(split, query) for split, queries in by_split.items() for query in queries]
    keys = [(split, query.item) for split, query in pairs]
    return EvaluationItems(
        queries=tuple(query for _, query in pairs),
        splits=tuple(split for split, _ in pairs),
        encoded=tuple(encode(query) for _, query in pairs),
        draws=drawn(keys),
        with_greedy=greedy,
    )


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _split_names(splits: Sequence[str], query: Sequence[int], greedy: Tensor) -> NDArray[Any]:
    """Split of every row; greedy rows have splits of their own: they are another measurement."""
    flags = greedy.tolist()
    names = [
        f"{splits[index]}{GREEDY}" if flag else splits[index]
        for index, flag in zip(query, flags, strict=True)
    ]
    return np.array(names, object)


def _summary(table: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Means by split: over sampled rows, and of outcomes over greedy ones where there are any."""
    summary = {metrics.KL_INIT: float(np.nanmean(table["kl"]))}
    columns = ("outcome", "length", "truncated", "format_ok", "verifier_error")
    for split, (passed, greedy_passed, *others) in SPLIT_METRICS.items():
        sampled = table["split"] == split
        for metric, column in zip((passed, *others), columns, strict=True):
            summary[metric] = float(table[column][sampled].mean())
        decoded = table["split"] == f"{split}{GREEDY}"
        if decoded.any():
            summary[greedy_passed] = float(table["outcome"][decoded].mean())
    return summary


def _pass_at(
    table: Mapping[str, NDArray[Any]], samples: int, ks: Sequence[int]
) -> dict[str, float]:
    """Pass@k by split, over sampled rows: `samples` of each item in turn."""
    summary = {}
    for split in SPLIT_METRICS:
        correct = table["outcome"][table["split"] == split].reshape(-1, samples).sum(axis=1)
        for k in ks:
            summary[metrics.pass_at(split, k)] = float(pass_at_k(correct, samples, k).mean())
    return summary


def pass_at_k(correct: NDArray[Any], n: int, k: int) -> NDArray[np.float64]:
    """(I,) The chance that k of an item's n samples, drawn without replacement, hold a correct one.

    Unbiased for 1 - (1 - p)^k, as 1 - (1 - c/n)^k is not: 1 - C(n - c, k) / C(n, k) for c of n
    correct (Chen et al. 2021, arXiv:2107.03374, equation 1), as a product that cannot overflow.
    """
    place = np.arange(k)
    wrong = (n - np.asarray(correct)[:, None] - place).clip(min=0) / (n - place)
    return np.asarray(1 - wrong.prod(axis=1), np.float64)
