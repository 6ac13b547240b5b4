"""The check of a GPU in nine minutes: engine, weight sync, resuming, bfloat16, and TRL beside it.

Each part is a process of its own under a time limit, so that one that fails is a line of the table
and the others go on. All parts train one model of random weights on the same prompts; completions
have the full length, because random weights hardly ever draw an end of sequence.

`rounds`: rounds per second, and how far the engine's log-probabilities are from the trainer's after
every weight sync. `resume`: the same run, stopped at half and continued, against the whole one.
`bf16`: weights stored in bfloat16. `trl`: GRPO of TRL with vLLM in its process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from ablatekit_rft.engines.vllm_process import VllmProcess
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.peak_memory import peak_gib
from ablatekit_rft.policy.models import TransformersTokenizer
from ablatekit_rft.run.build import train_model
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import get_task
from trainer import wide_tokenizer

from ablatekit.errors import RunInterruptedError
from ablatekit.runs.seeds import Seeds

LIMITS = {"rounds": 130, "resume": 170, "bf16": 90, "trl": 130}
"""Seconds of each part; together less than nine minutes."""
LEARNING_RATE = 1e-5
SHOWN = 160


@dataclass
class Context:
    """A run's context that keeps what it says; it asks to stop after `stop_at` rounds."""

    checkpoint_dir: Path
    cache_dir: Path
    stop_at: int | None = None
    seeds: Seeds = field(default_factory=lambda: Seeds("quick", "quick"))
    logged: dict[int, dict[str, float]] = field(default_factory=dict)
    times: dict[int, float] = field(default_factory=dict)
    done: float = 0.0

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.logged.setdefault(step, {}).update(values)
        self.times[step] = time.perf_counter()

    def log_items(self, step: int, table: Mapping[str, Sequence[Any]]) -> None: ...

    def resumed_at(self, step: int) -> None: ...

    def progress(self, done: float, total: float) -> None:  # noqa: ARG002 (of the contract)
        self.done = done

    def should_stop(self) -> bool:
        return self.stop_at is not None and self.done >= self.stop_at

    @contextmanager
    def cache_lock(self, name: str) -> Iterator[Path]:
        folder = self.cache_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        yield folder

    def series(self, name: str) -> list[float]:
        return [values[name] for _, values in sorted(self.logged.items()) if name in values]

    def rounds_per_second(self) -> float:
        """Between the ends of the first and of the last round but one; neither is evaluated."""
        steps = sorted(step for step in self.times if step > 0)[:-1]
        return (steps[-1] - steps[0]) / (self.times[steps[-1]] - self.times[steps[0]])


def settings_of(arguments: argparse.Namespace, precision: str) -> RftSettings:
    """Every rollout is wrong and trains by -1, so that each round changes the weights."""
    return RftSettings.model_validate(
        {
            "engine": arguments.engine,
            "device": arguments.device,
            "precision": precision,
            "queries_per_round": arguments.queries,
            "rollouts": arguments.rollouts,
            "train_items": 256,
            "max_new_tokens": arguments.new_tokens,
            "reward_coding": "pm1",
            "learning_rate": LEARNING_RATE,
            "budget": {"unit": "rounds", "amount": arguments.rounds},
            "evaluation": {"points": 1, "probe_items": 16, "test_items": 16},
        }
    )


def one_run(
    arguments: argparse.Namespace, context: Context, precision: str
) -> tuple[Context, torch.Tensor]:
    """A run of random weights: what it logged, and the weights at its end as one vector."""
    from gpu_trainer import build

    device = torch.device(arguments.device)
    model = build(arguments.models[0], device, torch.float32)
    inner = wide_tokenizer(model.config.vocab_size)
    tokenizer = TransformersTokenizer(inner, (inner.eos_token_id,))
    settings = settings_of(arguments, precision)
    train_model(settings, context, model, tokenizer, get_task("letter-sort"))
    return context, torch.cat([part.detach().flatten().float() for part in model.parameters()])


def rounds(arguments: argparse.Namespace, folder: Path, precision: str) -> str:
    context, _ = one_run(arguments, Context(folder / "a", folder), precision)
    told = f"{context.rounds_per_second():.3f} rounds/s"
    for name in (metrics.TIME_GENERATE, metrics.TIME_SYNC, metrics.TIME_SCORE, metrics.TIME_TRAIN):
        seconds = context.series(name)[1:]
        if seconds:
            told += f", {name.removeprefix('time/')} {sum(seconds) / len(seconds):.3f} s"
    gaps, largest = context.series(metrics.ENGINE_MEAN), context.series(metrics.ENGINE_MAX)
    if gaps:
        told += f"; |dlogp| after a sync: mean at most {max(gaps):.2g}, largest {max(largest):.2g}"
    return f"{told}; peak memory {peak_gib(torch.device(arguments.device)):.1f} GiB"


def resume(arguments: argparse.Namespace, folder: Path) -> str:
    whole, expected = one_run(arguments, Context(folder / "a", folder), "bf16_autocast")
    half = Context(folder / "b", folder, stop_at=arguments.rounds // 2)
    try:
        one_run(arguments, half, "bf16_autocast")
    except RunInterruptedError as error:
        stopped = str(error)
    continued, found = one_run(arguments, Context(folder / "b", folder), "bf16_autocast")
    first = min(step for step in continued.logged)
    apart = (found - expected).norm() / expected.norm()
    lengths = (context.series(metrics.LENGTH_MEAN)[-1] for context in (whole, continued))
    entropy = (context.series(metrics.ENTROPY)[-1] for context in (whole, continued))
    return (
        f"{stopped}, continued with round {first}:"
        f" {'bit for bit' if torch.equal(found, expected) else 'not bit for bit'} the whole run;"
        f" weights {apart:.2g} of their norm apart; entropy of the last round"
        f" {' and '.join(f'{value:.4f}' for value in entropy)}, mean length"
        f" {' and '.join(f'{value:.1f}' for value in lengths)}"
    )


def trl_rounds(arguments: argparse.Namespace, folder: Path) -> str:
    """GRPO of TRL on the same prompts and lengths."""
    import trl
    from datasets import Dataset
    from gpu_trainer import build
    from transformers import TrainerCallback

    ends: list[float] = []

    class Laps(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _arguments: Any, _state: Any, _control: Any, **_: Any) -> None:
            ends.append(time.perf_counter())

    def reward(completions: Sequence[str], **_: Any) -> list[float]:
        return [sum(map(ord, text)) % 2 for text in completions]

    model = build(arguments.models[0], torch.device(arguments.device), torch.float32)
    tokenizer = wide_tokenizer(model.config.vocab_size)
    place = folder / "model"
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    in_process = arguments.engine == "vllm"
    config = trl.GRPOConfig(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=arguments.queries * arguments.rollouts,
        num_generations=arguments.rollouts,
        max_completion_length=arguments.new_tokens,
        use_vllm=in_process,
        **({"vllm_mode": "colocate"} if in_process else {}),
        generation_kwargs={} if in_process else {"min_new_tokens": arguments.new_tokens},
        beta=0.0,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        max_steps=arguments.rounds,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        use_cpu=arguments.device == "cpu",
        bf16=arguments.device == "cuda",
        gradient_checkpointing=False,
        disable_tqdm=True,
    )
    prompts = [query.prompt for query in get_task("letter-sort").items("train", 256)]
    trainer = trl.GRPOTrainer(
        model=str(place),
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_dict({"prompt": prompts}),
        processing_class=tokenizer,
        callbacks=[Laps()],
    )
    trainer.train()
    rate = (len(ends) - 1) / (ends[-1] - ends[0])
    peak = peak_gib(torch.device(arguments.device))
    return f"{rate:.3f} rounds/s with trl {trl.__version__}; peak memory {peak:.1f} GiB"


def part(name: str, arguments: argparse.Namespace) -> str:
    """The line of one part, computed in this process."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if name == "resume":
            told = resume(arguments, folder)
        elif name == "trl":
            told = trl_rounds(arguments, folder)
        else:
            told = rounds(arguments, folder, "bf16" if name == "bf16" else "bf16_autocast")
    VllmProcess.end()
    return told


def quick(arguments: argparse.Namespace) -> None:
    """Every part in turn; one that fails or takes too long says so in its line."""
    for name, limit in LIMITS.items():
        start = time.perf_counter()
        told = _in_process(name, limit, arguments)
        print(f"{name:<7} {told} [{time.perf_counter() - start:.0f} s]", flush=True)


def _in_process(name: str, limit: int, arguments: argparse.Namespace) -> str:
    script, options = Path(__file__).with_name("gpu_trainer.py"), json.dumps(vars(arguments))
    command = [sys.executable, str(script), "--part", name, "--worker", options]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {limit} s"
    lines = (ended.stdout if ended.returncode == 0 else ended.stderr).strip().splitlines()
    last = lines[-1] if lines else f"ended with {ended.returncode}"
    return last if ended.returncode == 0 else f"failed: {last[:SHOWN]}"
