"""A run from its specification: rft's model, task and evaluation around TRL's trainer."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from ablatekit_rft.basemodels import smollm2
from ablatekit_rft.content import check_sources
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.policy import PolicyEngine
from ablatekit_rft.engines.trial import check_tokens
from ablatekit_rft.evaluation.evaluate import build_evaluator
from ablatekit_rft.levels.sampling import round_queries
from ablatekit_rft.metrics.peak_memory import forget_peak
from ablatekit_rft.planning.examine import ready_task, refuse_wrong_examples
from ablatekit_rft.policy.lengths import check_length
from ablatekit_rft.policy.models import (
    CharacterTokenizer,
    Tokenizer,
    TransformersTokenizer,
    load_model,
    parameterised,
)
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.threads import steady_threads
from ablatekit_rft.rollouts.prompts import Prompting, build_prompting
from ablatekit_rft.run.loop import COLLAPSED
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Task
from ablatekit_rft.tasks.query import Query

from ablatekit.backend import RunContext
from ablatekit.errors import Problem, RunInterruptedError, UsageError
from ablatekit.runs.records import RunResult, RunSpec
from ablatekit.runs.seeds import Seeds
from ablatekit_trl.arguments import config_arguments
from ablatekit_trl.run.rewards import Rewards
from ablatekit_trl.run.rounds import Rounds, Scoring
from ablatekit_trl.run.state import latest_checkpoint
from ablatekit_trl.settings import TrlSettings

NOT_FINITE = "probability tensor contains either"
"""What torch.multinomial says of a policy whose weights are not finite."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is made of, before a trainer is built of it."""

    settings: TrlSettings
    rft: RftSettings
    task: Task
    model: Any
    tokenizer: Tokenizer
    prompting: Prompting
    queries: tuple[Query, ...]

    @property
    def max_new_tokens(self) -> int:
        """Longest completion in training."""
        return self.settings.max_new_tokens or self.task.max_new_tokens


def train(run: RunSpec, context: RunContext) -> RunResult:
    """Execute one run: TRL's trainer until the budget is spent, evaluated between its rounds.

    Resumes from the latest checkpoint in `context.checkpoint_dir`. Raises RunInterruptedError, with
    a checkpoint written, once `context.should_stop()`.
    """
    with _quiet():
        return _train(run, context)


def _train(run: RunSpec, context: RunContext) -> RunResult:
    settings = TrlSettings.from_dotted({**run.settings, **run.execution})
    rft = settings.as_rft()
    check_sources(rft, run.content)
    torch.set_num_threads(settings.threads)
    device = _device(settings.device)
    forget_peak(device)
    parts = _parts(settings, rft, run, context, device)
    folder = context.checkpoint_dir / "trl"
    folder.mkdir(parents=True, exist_ok=True)
    scoring = _scoring(parts, context.seeds)
    decoding = Decoding.of_training(rft, parts.max_new_tokens, parts.tokenizer)
    rewards = Rewards(rft, parts.task, parts.tokenizer, parts.queries, decoding)
    rounds = Rounds(settings, context, scoring, rewards, folder)
    with steady_threads(scoring.policy.parameters.weights):
        return _execute(parts, rounds, rewards, folder, context.seeds)


def _parts(
    settings: TrlSettings,
    rft: RftSettings,
    run: RunSpec,
    context: RunContext,
    device: torch.device,
) -> Parts:
    name = settings.model
    if name == smollm2.NAME:
        name = str(smollm2.directory(context.cache_lock))
    model, tokenizer = load_model(name, device, run.content.get("model", ""))
    task = ready_task(rft, run.content, context.cache_lock)
    queries = tuple(task.items("train", settings.train_items))
    prompting = build_prompting(rft, task, tokenizer, queries)
    refuse_wrong_examples(prompting.prompts, task)
    trained = parameterised(model, rft, context.seeds)
    return Parts(settings, rft, task, trained, tokenizer, prompting, queries)


def _scoring(parts: Parts, seeds: Seeds) -> Scoring:
    settings = parts.settings
    evaluator = build_evaluator(
        settings.evaluation,
        parts.task,
        parts.tokenizer,
        seeds,
        encode=parts.prompting.encode,
        max_new_tokens=settings.evaluation.max_new_tokens or parts.max_new_tokens,
        reference_budget=parts.rft.micro_batch_tokens,
        draws=PolicyEngine.draws,
        template=settings.template,
    )
    encoded = [parts.prompting.encode(query) for query in parts.queries]
    longest = max(len(prompt) for prompt in encoded) + parts.max_new_tokens
    check_length(parts.model.config, max(longest, evaluator.longest))
    check_tokens(parts.model, (*encoded, *evaluator.scopes["all"].encoded))
    policy = Policy(
        copy.deepcopy(parts.model),
        parts.tokenizer.pad_id,
        vocabulary=parts.tokenizer.size,
        autocast=settings.precision == "bf16_autocast",
    )
    return Scoring(evaluator, policy, policy.frozen_copy(), settings.verifier)


def _execute(
    parts: Parts, rounds: Rounds, rewards: Rewards, folder: Path, seeds: Seeds
) -> RunResult:
    trainer = _trainer(parts, rounds, rewards, folder, seeds)
    checkpoint = latest_checkpoint(folder)
    try:
        if checkpoint is None:
            rounds.begin()
        else:
            rounds.resume(checkpoint[1])
        trainer.train(resume_from_checkpoint=str(checkpoint[0]) if checkpoint else None)
    except FloatingPointError as error:
        return _diverged(rounds, trainer.model, str(error))
    except RuntimeError as error:
        if NOT_FINITE not in str(error):
            raise
        return _diverged(rounds, trainer.model, "probabilities are not finite")
    if rounds.collapsed:
        return _diverged(rounds, trainer.model, COLLAPSED)
    if rounds.stopped:
        raise RunInterruptedError(f"stopped after round {rounds.state.costs.rounds}")
    return RunResult(status="finished", metrics=dict(rounds.state.last))


def _diverged(rounds: Rounds, model: Any, why: str) -> RunResult:
    last, further = rounds.last_metrics(model)
    message = f"after round {rounds.state.costs.rounds}: {why}{further}"
    return RunResult(status="diverged", metrics=last, message=message)


def _trainer(parts: Parts, rounds: Rounds, rewards: Rewards, folder: Path, seeds: Seeds) -> Any:
    import trl

    kind = "RLOO" if parts.settings.uses_rloo else "GRPO"
    arguments = config_arguments(
        parts.settings,
        parts.max_new_tokens,
        seeds.integer("trl") % 2**32,
        folder,
        on_cpu=next(parts.model.parameters()).device.type == "cpu",
    )
    _name_reference(parts, folder)
    trainer = getattr(trl, f"{kind}Trainer")(
        model=parts.model,
        reward_funcs=rewards,
        args=getattr(trl, f"{kind}Config")(**arguments),
        train_dataset=_data(parts, seeds),
        processing_class=_processing(parts.tokenizer),
        callbacks=[rounds],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def _name_reference(parts: Parts, folder: Path) -> None:
    """TRL loads its reference policy by the model's name: give it the run's own copy.

    A model with adapters is its own reference, without them.
    """
    settings = parts.settings
    if settings.kl_place == "none" or settings.lora_rank is not None:
        return
    reference = folder / "reference"
    if not reference.exists():
        unfinished = folder / "unfinished-reference"
        parts.model.save_pretrained(unfinished)
        unfinished.rename(reference)
    parts.model.config._name_or_path = str(reference)


def _data(parts: Parts, seeds: Seeds) -> Any:
    """The queries of all rounds in rft's order, as the one epoch that TRL goes through."""
    from datasets import Dataset

    settings, count = parts.settings, len(parts.queries)
    prompts = _prompts(parts)
    order = [
        int(index)
        for number in range(settings.rounds)
        for index in round_queries(seeds, count, settings.queries_per_round, number)
    ]
    return Dataset.from_dict({"prompt": [prompts[index] for index in order], "query": order})


def _prompts(parts: Parts) -> Sequence[Any]:
    """Prompts as TRL takes them: text, or conversations under the template `chat`.

    Raises UsageError where TRL would read other tokens than rft's evaluation does.
    """
    asks, inner = parts.prompting, _processing(parts.tokenizer)
    if parts.settings.template == "chat":
        prompts: list[Any] = [list(asks.prompts.messages(query)) for query in parts.queries]
        ids = inner.apply_chat_template(prompts, add_generation_prompt=True, return_dict=True)
    else:
        prompts = [asks.text(query) for query in parts.queries]
        ids = inner(text=prompts)
    for query, tokens in zip(parts.queries, ids["input_ids"], strict=True):
        if list(tokens) != asks.encode(query):
            rule = "TRL would read another prompt than the evaluation"
            received = f"item {query.item}: {list(tokens)[-8:]} at the end of the prompt"
            remedy = "Set another template, or backend.name: rft"
            raise UsageError(Problem(rule, received, remedy))
    return prompts


def _processing(tokenizer: Tokenizer) -> Any:
    """The tokenizer as TRL takes it."""
    if isinstance(tokenizer, CharacterTokenizer):
        return tokenizer.inner.to_transformers()
    assert isinstance(tokenizer, TransformersTokenizer)
    return tokenizer.inner


def _device(name: str) -> torch.device:
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        rule, remedy = "no CUDA device is available to torch", "Set device: auto or cpu"
        raise UsageError(Problem(rule, f"device: {name}", remedy))
    return torch.device("cuda")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """While open, TRL tells no server that it trains, and its warnings stop nothing."""
    import huggingface_hub.constants as hub

    before, hub.HF_HUB_DISABLE_TELEMETRY = hub.HF_HUB_DISABLE_TELEMETRY, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            # transformers deprecates names that TRL itself uses: nothing that a user could change.
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        hub.HF_HUB_DISABLE_TELEMETRY = before
