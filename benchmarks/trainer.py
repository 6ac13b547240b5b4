"""Rounds per second of the RFT trainer: against TRL's trainers, and of two workers at once.

    pip install trl          # into the environment that has ablatekit-rft[train]
    OMP_NUM_THREADS=1 python benchmarks/trainer.py
    OMP_NUM_THREADS=1 python benchmarks/trainer.py --parts trl --models smollm2-135m --rounds 3

Same model, prompts and reward, 8 prompts x 4 rollouts of equal length, no KL term, every rollout
trained on, one thread. After every step of TRL's trainer comes one round of ours, in the same
process, so that both meet the same machine. A ratio is TRL's time over ours, summed over a
repeat, on the process's CPU clock and on the wall clock; on a busy machine only the former counts.
`smollm2-135m` has the shape of SmolLM2-135M with random weights.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
from ablatekit_rft import basemodels
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.draws import rollout_purpose, round_uniforms
from ablatekit_rft.engines.sampler import sample
from ablatekit_rft.learning.updates import build_updater
from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.levels.sampling import round_queries
from ablatekit_rft.levels.types import RewardView
from ablatekit_rft.metrics.stopwatch import Stopwatch
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts
from ablatekit_rft.rollouts.experience import Experience
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import get_task

from ablatekit.runs.seeds import Seeds

QUERIES, ROLLOUTS, LEARNING_RATE = 8, 4, 1e-4
MODELS = ("tiny-llama", "tiny-qwen3", "tiny-neox")
SMOLLM2 = "smollm2-135m"
ADVANTAGES = {"GRPO": "group_norm", "RLOO": "rloo"}


@dataclass(frozen=True)
class Times:
    """Milliseconds per round."""

    cpu: float
    wall: float


class Clock:
    """Milliseconds since it was last read, on both clocks."""

    def __init__(self) -> None:
        self.lap()

    def lap(self) -> Times:
        now = (time.process_time(), time.perf_counter())
        last, self._last = getattr(self, "_last", now), now
        return Times(*(1000 * (end - start) for start, end in zip(last, now, strict=True)))


def mean(laps: Sequence[Times]) -> Times:
    return Times(*(statistics.mean(part) for part in zip(*map(astuple, laps), strict=True)))


def reward(text: str) -> float:
    """Differs between most rollouts, so that nearly every one has an advantage."""
    return sum(index * ord(letter) for index, letter in enumerate(text, 1)) % 101 / 100


def prompts() -> list[str]:
    return [query.prompt for query in get_task("letter-sort").items("train", 256)]


def load(name: str) -> tuple[Any, Any]:
    """A model and its tokenizer of transformers."""
    if name != SMOLLM2:
        model, tokenizer = basemodels.load(name)
        return model, tokenizer.to_transformers()
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        intermediate_size=1536,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config).eval(), wide_tokenizer(config.vocab_size)


def wide_tokenizer(size: int) -> Any:
    """The characters of the tiny models, and words for all other ids."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    small = basemodels.load(MODELS[0])[1].to_transformers()
    state = json.loads(small.backend_tokenizer.to_str())
    known = state["model"]["vocab"]
    state["model"]["vocab"] = {**known, **{f"w{i}": i for i in range(len(known), size)}}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        pad_token=small.pad_token,
        bos_token=small.bos_token,
        eos_token=small.eos_token,
        padding_side="left",
    )


class Ours:
    """Rounds of the trainer's own parts with the reward above."""

    def __init__(self, name: str, steps: int, advantage: str = "group_norm") -> None:
        model, self.tokenizer = load(name)
        settings = RftSettings(
            rollouts=ROLLOUTS,
            queries_per_round=QUERIES,
            advantage=advantage,
            aggregation="token_mean",
            learning_rate=LEARNING_RATE,
        )
        self.policy, self.steps = Policy(model, self.tokenizer.pad_token_id), steps
        self.settings, self.advantage = settings, get_level("advantage", settings.advantage)
        self.encoded = [self.tokenizer(text).input_ids for text in prompts()]
        self.seeds, self.index = Seeds("benchmark", "benchmark"), 0
        self.updater = build_updater(settings, self.seeds, self.policy, steps)

    def round(self) -> None:
        chosen = round_queries(self.seeds, len(self.encoded), QUERIES, self.index)
        encoded = [self.encoded[i] for i in chosen]
        batch = Prompts.pad(encoded, self.policy.pad_id, self.policy.device)
        uniforms = round_uniforms(
            self.seeds, rollout_purpose(self.index), QUERIES * ROLLOUTS, self.steps
        )
        decoding = Decoding(self.steps, 1.0, ())
        rollouts = sample(self.policy, batch, ROLLOUTS, uniforms, decoding)
        texts = self.tokenizer.batch_decode(rollouts.tokens, skip_special_tokens=True)
        rewards = torch.tensor([reward(text) for text in texts])
        view = RewardView(rewards, rollouts.query, rollouts.lengths)
        experience = Experience(
            rollouts=rollouts,
            advantage=self.advantage.bound(self.settings)(view),
            counted=rollouts.mask,
            correct=rewards,
            score=rewards,
            version=torch.full_like(rollouts.query, self.index),
        )
        self.updater.train(experience, self.index, LEARNING_RATE, Stopwatch(self.policy.device))
        self.index += 1


def alternate(
    trainer: str, name: str, steps: int, rounds: int, warm_up: int
) -> tuple[list[Times], list[Times]]:
    """Laps of TRL's trainer and of ours, one after the other, after `warm_up` of each."""
    import trl
    from datasets import Dataset
    from transformers import TrainerCallback

    ours, clock = Ours(name, steps, ADVANTAGES[trainer]), Clock()
    laps: tuple[list[Times], list[Times]] = ([], [])

    class Alternate(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _arguments: Any, _state: Any, _control: Any, **_: Any) -> None:
            laps[0].append(clock.lap())
            ours.round()
            laps[1].append(clock.lap())

    def rewards(completions: Sequence[str], **_: Any) -> list[float]:
        return [reward(text) for text in completions]

    model, tokenizer = load(name)
    with tempfile.TemporaryDirectory() as folder:
        arguments = getattr(trl, f"{trainer}Config")(
            output_dir=folder,
            per_device_train_batch_size=QUERIES * ROLLOUTS,
            num_generations=ROLLOUTS,
            max_completion_length=steps,
            generation_kwargs={"min_new_tokens": steps},
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
        )
        theirs = getattr(trl, f"{trainer}Trainer")(
            model=model,
            reward_funcs=rewards,
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": prompts()}),
            processing_class=tokenizer,
            callbacks=[Alternate()],
        )
        with contextlib.redirect_stdout(io.StringIO()):
            theirs.train()
    return laps[0][warm_up:], laps[1][warm_up:]


def against_trl(arguments: argparse.Namespace) -> None:
    rounds, repeats, steps = arguments.rounds, arguments.repeats, arguments.tokens
    print(
        f"\nAgainst TRL: ms per round, {repeats} repeats of {rounds} alternating rounds,"
        f" {steps} new tokens"
    )
    print("model         trainer   CPU: TRL    ours   ratio   wall: TRL    ours   ratio")
    for name in arguments.models:
        for trainer in arguments.trainers:
            ratios = []
            for _ in range(repeats):
                laps = alternate(trainer, name, steps, rounds, min(5, rounds))
                theirs, ours = (mean(part) for part in laps)
                ratios.append(theirs.cpu / ours.cpu)
                print(
                    f"{name:<14}{trainer:<8}{theirs.cpu:10.1f}{ours.cpu:8.1f}{ratios[-1]:8.2f}"
                    f"{theirs.wall:12.1f}{ours.wall:8.1f}{theirs.wall / ours.wall:8.2f}",
                    flush=True,
                )
            print(
                f"{name:<14}{trainer:<8}CPU ratio: lowest {min(ratios):.2f}, median"
                f" {statistics.median(ratios):.2f}, highest {max(ratios):.2f};"
                f" load average {os.getloadavg()[0]:.1f}",
                flush=True,
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
    ours = Ours(name, 16)
    for _ in range(5):
        ours.round()
    print("ready", flush=True)
    sys.stdin.readline()
    clock = Clock()
    for _ in range(rounds):
        ours.round()
    total = clock.lap()
    print(total.cpu / rounds, total.wall / rounds, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--trainers", nargs="+", choices=list(ADVANTAGES), default=list(ADVANTAGES))
    parser.add_argument("--tokens", type=int, default=16)
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
        against_trl(arguments)
    if "parallel" in arguments.parts:
        parallel_efficiency(arguments.models[0], 5 * arguments.rounds, arguments.repeats)


if __name__ == "__main__":
    main()
