"""Rounds per second of the RFT trainer: against TRL's GRPOTrainer, and of two workers at once.

    pip install trl          # into the environment that has ablatekit-rft[train]
    OMP_NUM_THREADS=1 python benchmarks/trainer.py

Same tiny model, prompts and reward, 8 prompts x 4 rollouts, exactly 16 new tokens, no KL term,
every rollout trained on, one thread; the two alternate in one process. A ratio is TRL's time over
ours, on the process's CPU clock and on the wall clock; on a busy machine only the former counts.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from ablatekit_rft import basemodels
from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.objective import Objective
from ablatekit_rft.optimizer import FlatOptimizer, clip_gradient
from ablatekit_rft.policy import Policy
from ablatekit_rft.queries import round_queries, round_uniforms
from ablatekit_rft.rollout import Prompts
from ablatekit_rft.sampler import Decoding, sample
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import get_task

from ablatekit.seeds import Seeds

QUERIES, ROLLOUTS, STEPS, LEARNING_RATE = 8, 4, 16, 1e-4
MODELS = ("tiny-llama", "tiny-qwen3", "tiny-neox")


@dataclass(frozen=True)
class Times:
    """Milliseconds per round."""

    cpu: float
    wall: float


def reward(text: str) -> float:
    """Differs between most rollouts, so that nearly every one has an advantage."""
    return sum(index * ord(letter) for index, letter in enumerate(text, 1)) % 101 / 100


def prompts() -> list[str]:
    return [query.prompt for query in get_task("letter-sort").items("train", 256)]


class Ours:
    """Rounds of the trainer's own parts with the reward above."""

    def __init__(self, name: str) -> None:
        model, self.tokenizer = basemodels.load(name)
        settings = RftSettings(
            rollouts=ROLLOUTS,
            queries_per_round=QUERIES,
            advantage="group_norm",
            aggregation="token_mean",
            learning_rate=LEARNING_RATE,
        )
        self.policy = Policy(model, self.tokenizer.pad_id)
        spec = get_level("optimizer", settings.optimizer).function(settings)
        self.optimizer = FlatOptimizer(self.policy.arena, spec)
        self.objective = Objective(settings, STEPS)
        self.encoded = [self.tokenizer.encode(text) for text in prompts()]
        self.seeds, self.index = Seeds("benchmark", "benchmark"), 0

    def round(self) -> None:
        chosen = round_queries(self.seeds, len(self.encoded), QUERIES, self.index)
        batch = Prompts.pad([self.encoded[i] for i in chosen], 0, self.policy.device)
        uniforms = round_uniforms(self.seeds, self.index, QUERIES * ROLLOUTS, STEPS)
        rollouts = sample(self.policy, batch, ROLLOUTS, uniforms, Decoding(STEPS, 1.0, ()))
        texts = [self.tokenizer.decode(tokens) for tokens in rollouts.tokens.tolist()]
        rewards = torch.tensor([reward(text) for text in texts])
        signal = self.objective.signal(rewards, rollouts, None)
        self.policy.arena.zero_gradient()
        self.objective.accumulate(self.policy, rollouts, signal.advantage, None)
        clip_gradient(self.policy.arena.gradient, 1.0)
        self.optimizer.step(LEARNING_RATE)
        self.index += 1


def time_ours(name: str, rounds: int, warm_up: int) -> Times:
    ours = Ours(name)
    return _timed(ours.round, rounds, warm_up)


def _timed(step: Callable[[], None], rounds: int, warm_up: int) -> Times:
    for _ in range(warm_up):
        step()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(rounds):
        step()
    return Times(
        1000 * (time.process_time() - cpu) / rounds, 1000 * (time.perf_counter() - wall) / rounds
    )


def time_trl(name: str, rounds: int, warm_up: int) -> Times:
    """The marginal cost of `rounds` steps after `warm_up` ones."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    marks: dict[int, tuple[float, float]] = {}

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _arguments: Any, state: Any, _control: Any, **_: Any) -> None:
            marks[state.global_step] = (time.process_time(), time.perf_counter())

    def rewards(completions: Sequence[str], **_: Any) -> list[float]:
        return [reward(text) for text in completions]

    model, tokenizer = basemodels.load(name)
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=rewards,
            args=GRPOConfig(
                output_dir=folder,
                per_device_train_batch_size=QUERIES * ROLLOUTS,
                num_generations=ROLLOUTS,
                max_completion_length=STEPS,
                generation_kwargs={"min_new_tokens": STEPS},
                beta=0.0,
                learning_rate=LEARNING_RATE,
                lr_scheduler_type="constant",
                max_steps=rounds + warm_up,
                logging_strategy="no",
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict({"prompt": prompts()}),
            processing_class=tokenizer.to_transformers(),
            callbacks=[Clock()],
        )
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train()
    (cpu, wall), (cpu_end, wall_end) = marks[warm_up], marks[warm_up + rounds]
    return Times(1000 * (cpu_end - cpu) / rounds, 1000 * (wall_end - wall) / rounds)


def against_trl(names: Sequence[str], rounds: int, repeats: int) -> None:
    print(f"\nAgainst TRL: ms per round, {repeats} alternating repeats of {rounds} rounds")
    print("model         CPU: TRL    ours   ratio   wall: TRL    ours   ratio")
    for name in names:
        ratios = []
        for _ in range(repeats):
            theirs, ours = time_trl(name, rounds, 5), time_ours(name, rounds, 5)
            ratios.append(theirs.cpu / ours.cpu)
            print(
                f"{name:<12}{theirs.cpu:10.1f}{ours.cpu:8.1f}{theirs.cpu / ours.cpu:8.2f}"
                f"{theirs.wall:12.1f}{ours.wall:8.1f}{theirs.wall / ours.wall:8.2f}",
                flush=True,
            )
        print(
            f"{name:<12}CPU ratio: lowest {min(ratios):.2f}, median"
            f" {statistics.median(ratios):.2f}, highest {max(ratios):.2f};"
            f" load average {os.getloadavg()[0]:.1f}"
        )


def parallel_efficiency(name: str, rounds: int, repeats: int) -> None:
    """Two one-thread processes at once against one alone: 2 is perfect."""
    print(f"\nTwo workers against one: {name}, {repeats} alternating repeats of {rounds} rounds")
    print("ms per round  wall: alone   paired   efficiency   CPU: alone   paired   efficiency")
    for _ in range(repeats):
        alone, pair = _workers(name, rounds, 1), _workers(name, rounds, 2)
        wall = [statistics.mean(times.wall for times in group) for group in (alone, pair)]
        cpu = [statistics.mean(times.cpu for times in group) for group in (alone, pair)]
        print(
            f"{wall[0]:25.1f}{wall[1]:9.1f}{2 * wall[0] / wall[1]:13.2f}"
            f"{cpu[0]:13.1f}{cpu[1]:9.1f}{2 * cpu[0] / cpu[1]:13.2f}"
            f"   load average {os.getloadavg()[0]:.1f}",
            flush=True,
        )


def _workers(name: str, rounds: int, count: int) -> list[Times]:
    command = [sys.executable, __file__, "--worker", "--models", name, "--rounds", str(rounds)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    outputs = []
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        outputs.append(process.communicate()[0].split())
    return [Times(float(cpu), float(wall)) for cpu, wall in outputs]


def worker(name: str, rounds: int) -> None:
    ours = Ours(name)
    for _ in range(5):
        ours.round()
    print("ready", flush=True)
    sys.stdin.readline()
    times = _timed(ours.round, rounds, 0)
    print(times.cpu, times.wall, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", nargs="+", default=["trl", "parallel"])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if arguments.worker:
        worker(arguments.models[0], arguments.rounds)
        return
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}", end="")
    if "trl" in arguments.parts:
        import trl

        print(f", trl {trl.__version__}")
        against_trl(arguments.models, arguments.rounds, arguments.repeats)
    if "parallel" in arguments.parts:
        parallel_efficiency(arguments.models[0], 5 * arguments.rounds, arguments.repeats)


if __name__ == "__main__":
    main()
