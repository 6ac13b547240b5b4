"""A run from its specification: model, task, trainer and evaluator, handed to the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ablatekit.backend import RunContext
from ablatekit.errors import Problem, UsageError
from ablatekit.runs.records import RunResult, RunSpec
from ablatekit_rft.basemodels import smollm2
from ablatekit_rft.content import check_sources
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.select import build_engine, draw_kind
from ablatekit_rft.engines.trial import check_behaviour, check_tokens, trial_prompts
from ablatekit_rft.evaluation.evaluate import build_evaluator
from ablatekit_rft.learning.updates import build_updater
from ablatekit_rft.metrics.peak_memory import forget_peak
from ablatekit_rft.planning.examine import ready_task, refuse_wrong_examples
from ablatekit_rft.policy.families import is_lean
from ablatekit_rft.policy.lengths import check_length
from ablatekit_rft.policy.models import Tokenizer, load_model, parameterised
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.threads import steady_threads
from ablatekit_rft.rollouts.collect import TrainSet
from ablatekit_rft.rollouts.prompts import build_prompting
from ablatekit_rft.run.allocator import keep_freed_memory
from ablatekit_rft.run.loop import Loop
from ablatekit_rft.run.rounds import Trainer
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Task
from ablatekit_rft.traits.measures import check_claims


def train(run: RunSpec, context: RunContext) -> RunResult:
    """Execute one run: train and evaluate until the budget is spent.

    Resumes from the latest checkpoint in `context.checkpoint_dir`. Raises RunInterruptedError, with
    a checkpoint written, once `context.should_stop()`.
    """
    settings = RftSettings.from_dotted({**run.settings, **run.execution})
    keep_freed_memory()
    check_sources(settings, run.content)
    check_claims(settings)
    torch.set_num_threads(settings.threads)
    device = _device(settings.device)
    forget_peak(device)
    name, content = settings.model, run.content.get("model", "")
    if name == smollm2.NAME:
        name = str(smollm2.directory(context.cache_lock))
    model, tokenizer = load_model(name, device, content)
    task = ready_task(settings, run.content, context.cache_lock)
    return train_model(settings, context, model, tokenizer, task)


def train_model(
    settings: RftSettings, context: RunContext, model: Any, tokenizer: Tokenizer, task: Task
) -> RunResult:
    """`train` with the model and the task at hand; the model is changed in place."""
    steps = settings.max_new_tokens or task.max_new_tokens
    queries = task.items("train", settings.train_items)
    prompting = build_prompting(settings, task, tokenizer, queries)
    refuse_wrong_examples(prompting.prompts, task)
    train_set = TrainSet.of(settings, queries, prompting.encode)
    evaluator = build_evaluator(
        settings.evaluation,
        task,
        tokenizer,
        context.seeds,
        encode=prompting.encode,
        max_new_tokens=settings.evaluation.max_new_tokens or steps,
        reference_budget=settings.micro_batch_tokens,
        draws=draw_kind(settings),
        template=settings.template,
    )
    decoding = Decoding.of_training(settings, steps, tokenizer)
    longest = max(_longest(train_set.encoded) + steps, evaluator.longest)
    check_length(model.config, longest)
    check_tokens(model, (*train_set.encoded, *evaluator.scopes["all"].encoded))
    check_model(settings, model, train_set.encoded, longest, tokenizer.pad_id)
    policy = Policy(
        parameterised(model, settings, context.seeds),
        tokenizer.pad_id,
        vocabulary=tokenizer.size,
        autocast=settings.precision == "bf16_autocast",
    )
    trainer = Trainer(
        settings=settings,
        task=task,
        tokenizer=tokenizer,
        seeds=context.seeds,
        train_set=train_set,
        policy=policy,
        engine=build_engine(settings, policy, decoding, train_set.encoded, longest, context.seeds),
        decoding=decoding,
        reference=policy.frozen_copy(),
        updater=build_updater(settings, context.seeds, policy, steps),
    )
    with steady_threads(policy.parameters.weights):
        return Loop(trainer, evaluator, context).execute()


def check_model(
    settings: RftSettings, model: Any, encoded: Sequence[list[int]], longest: int, pad_id: int
) -> None:
    """Raise UsageError for a model that a run would train wrongly.

    Tried is what runs through the module itself: the lean decoder has tests of its own.
    """
    uses_module = settings.lora_rank is not None or settings.precision == "bf16_autocast"
    if uses_module or not is_lean(model):
        prompts = trial_prompts(encoded, longest, pad_id, model.device)
        drawn = settings.drawing_engine == "policy"
        check_behaviour(model, settings.model, prompts, drawn=drawn)


def _longest(encoded: Sequence[list[int]]) -> int:
    return max(len(prompt) for prompt in encoded)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        rule, remedy = "no CUDA device is available to torch", "Set device: auto or cpu"
        raise UsageError(Problem(rule, f"device: {name}", remedy))
    return torch.device(name)
