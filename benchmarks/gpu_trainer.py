"""The RFT trainer on models of real shapes with random weights: speed, memory, share of ceilings.

    python benchmarks/gpu_trainer.py                                   # on a GPU
    python benchmarks/gpu_trainer.py --device cpu --models small --queries 4 --prompt-tokens 16 \\
        --new-tokens 16 --concurrent 1 2                               # the same, small, on a CPU
    python benchmarks/gpu_trainer.py --quick                           # the check of gpu_quick.py
    python benchmarks/gpu_trainer.py --quick --device cpu --engine policy --models small \\
        --queries 4 --new-tokens 8

Rounds of the policy engine on random prompts, every rollout trained on, no KL term. By phase:
seconds, tokens per second, and the share of what the device reaches in a large matrix product
(training: three times the forward pass's multiplications) and in a large copy (decoding: the
weights read once a step). Several runs at once are processes of their own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.sampler import sample
from ablatekit_rft.learning.updates import build_updater
from ablatekit_rft.metrics.peak_memory import peak_gib
from ablatekit_rft.metrics.stopwatch import Stopwatch
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts
from ablatekit_rft.rollouts.experience import Experience
from ablatekit_rft.settings import RftSettings

from ablatekit.runs.seeds import Seeds

PHASES = ("generate", "train")


@dataclass(frozen=True)
class Load:
    """What a round does: prompts x rollouts of fixed lengths."""

    queries: int
    rollouts: int
    prompt_tokens: int
    new_tokens: int

    @property
    def rows(self) -> int:
        return self.queries * self.rollouts


def configuration(name: str) -> Any:
    """The published shape of a model (its config.json on the hub), or a small one for a CPU."""
    from transformers import LlamaConfig, Qwen2Config

    if name == "qwen2.5-0.5b":
        return Qwen2Config(
            vocab_size=151936,
            hidden_size=896,
            num_hidden_layers=24,
            num_attention_heads=14,
            num_key_value_heads=2,
            intermediate_size=4864,
            tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
    if name == "llama-3.2-1b":
        return LlamaConfig(
            vocab_size=128256,
            hidden_size=2048,
            num_hidden_layers=16,
            num_attention_heads=32,
            num_key_value_heads=8,
            head_dim=64,
            intermediate_size=8192,
            tie_word_embeddings=True,
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 5e5,
                "factor": 32.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
        )
    shape = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4}
    return LlamaConfig(vocab_size=4096, num_attention_heads=4, num_key_value_heads=2, **shape)


def build(name: str, device: torch.device, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        configuration(name), dtype=dtype, attn_implementation="sdpa"
    )
    return model.to(device)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def best_seconds(work: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    seconds = []
    for _ in range(repeats + 2):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[2:])


def ceilings(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Multiply-adds x 2 per second of a large matrix product, bytes per second of a large copy."""
    size = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    flops = 2 * size**3 / best_seconds(lambda: left @ right, device)
    source = torch.empty(2**28 if device.type == "cuda" else 2**24, device=device)
    target = torch.empty_like(source)
    moved = 2 * source.numel() * source.element_size()
    return flops, moved / best_seconds(lambda: target.copy_(source), device)


class Run:
    """Rounds on one model; seconds by phase."""

    def __init__(self, name: str, load: Load, device: torch.device, dtype: torch.dtype) -> None:
        self.load, self.device = load, device
        self.policy = Policy(build(name, device, dtype), 0)
        self.settings = RftSettings(
            rollouts=load.rollouts, queries_per_round=load.queries, advantage="none"
        )
        self.updater = build_updater(
            self.settings, Seeds("benchmark", "benchmark"), self.policy, load.new_tokens
        )
        self.index, self.generator = 0, torch.Generator().manual_seed(0)

    def round(self) -> dict[str, float]:
        load, marks = self.load, [self._now()]
        ids = torch.randint(1, 1000, (load.queries, load.prompt_tokens), generator=self.generator)
        uniforms = torch.rand(load.rows, load.new_tokens, generator=self.generator)
        prompts = Prompts.pad(ids.tolist(), 0, self.device)
        decoding = Decoding(load.new_tokens, 1.0, ())
        rollouts = sample(self.policy, prompts, load.rollouts, uniforms.to(self.device), decoding)
        marks.append(self._now())
        advantage = torch.linspace(-1, 1, load.rows + 1, device=self.device)[1:]
        correct = (advantage > 0).to(advantage.dtype)
        experience = Experience(
            rollouts=rollouts,
            advantage=advantage,
            counted=rollouts.mask,
            correct=correct,
            score=correct,
            version=torch.full_like(rollouts.query, self.index),
        )
        self.updater.train(experience, self.index, 1e-6, Stopwatch(self.device))
        self.index += 1
        marks.append(self._now())
        spans = itertools.pairwise(marks)
        return dict(zip(PHASES, (end - start for start, end in spans), strict=True))

    def _now(self) -> float:
        synchronize(self.device)
        return time.perf_counter()

    def rounds(self, count: int) -> list[dict[str, float]]:
        return [self.round() for _ in range(count)]


def forward_flops(model: Any, load: Load) -> float:
    """Multiply-adds x 2 of one forward pass over a round's distinct tokens, attention included."""
    config = model.config
    matrices = sum(p.numel() for n, p in model.named_parameters() if p.dim() == 2)
    embedding = config.vocab_size * config.hidden_size
    tokens = load.queries * load.prompt_tokens + load.rows * load.new_tokens
    predicted = load.rows * load.new_tokens
    seen = load.prompt_tokens + load.new_tokens / 2
    width = config.num_attention_heads * (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    attention = 4 * config.num_hidden_layers * width * seen * predicted
    body = 2 * (matrices - embedding * (1 if config.tie_word_embeddings else 2)) * tokens
    return body + 2 * embedding * predicted + attention


def report(name: str, arguments: argparse.Namespace, limits: tuple[float, float]) -> None:
    load, device, dtype = _load(arguments), torch.device(arguments.device), _dtype(arguments)
    run = Run(name, load, device, dtype)
    run.rounds(1)
    laps = run.rounds(arguments.rounds)
    seconds = {phase: statistics.median(lap[phase] for lap in laps) for phase in PHASES}
    total, tokens = sum(seconds.values()), load.rows * load.new_tokens
    weights = run.policy.parameters.weights
    read = weights.numel() * weights.element_size() * load.new_tokens / seconds["generate"]
    flops = 3 * forward_flops(run.policy.model, load) / seconds["train"]
    lean = "lean" if run.policy.decoder is not None else "module"
    print(
        f"\n{name} ({weights.numel() / 1e6:.0f} M parameters, {arguments.dtype}, {lean} decoder),"
        f" {asdict(load)}: median of {arguments.rounds} rounds"
    )
    print(f"{1 / total:.3f} rounds/s, {tokens / total:.0f} generated tokens/s,", end=" ")
    print(f"peak memory {peak_gib(device):.2f} GiB")
    for phase in PHASES:
        print(
            f"  {phase:<9}{seconds[phase]:9.3f} s{tokens / seconds[phase]:10.0f} tokens/s", end=""
        )
        share = {"generate": read / limits[1], "train": flops / limits[0]}[phase]
        of = {"generate": "bandwidth", "train": "matrix product"}[phase]
        print(f"  {share:6.1%} of the measured {of}", flush=True)


def concurrent(name: str, arguments: argparse.Namespace) -> None:
    """Rounds per second of several processes at once, against one."""
    single = None
    for count in arguments.concurrent:
        seconds = _workers(name, arguments, count)
        rate = sum(arguments.rounds / each for each in seconds)
        single = single or rate
        print(f"  {count} at once: {rate:.3f} rounds/s, {rate / single:.2f} times one", flush=True)


def _workers(name: str, arguments: argparse.Namespace, count: int) -> list[float]:
    command = [sys.executable, __file__, "--worker", json.dumps({**vars(arguments), "model": name})]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for process in running:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise SystemExit(f"a worker of {count} ended before it was ready")
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [float(process.communicate()[0]) for process in running]


def worker(options: dict[str, Any]) -> None:
    arguments = argparse.Namespace(**options)
    torch.set_num_threads(1)
    device, dtype = torch.device(arguments.device), _dtype(arguments)
    run = Run(arguments.model, _load(arguments), device, dtype)
    run.rounds(1)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    run.rounds(arguments.rounds)
    print(time.perf_counter() - start, flush=True)


def _load(arguments: argparse.Namespace) -> Load:
    return Load(
        arguments.queries, arguments.rollouts, arguments.prompt_tokens, arguments.new_tokens
    )


def _dtype(arguments: argparse.Namespace) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, arguments.dtype)
    return dtype


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--models", nargs="+", default=["qwen2.5-0.5b", "llama-3.2-1b"])
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--queries", type=int, default=32)
    parser.add_argument("--rollouts", type=int, default=1)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrent", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--quick", action="store_true", help="engine, sync, resume, bf16, TRL")
    parser.add_argument("--engine", choices=["vllm", "policy"], default="vllm", help="of --quick")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.part:
        from gpu_quick import part

        print(part(arguments.part, argparse.Namespace(**json.loads(arguments.worker))))
        return
    if arguments.worker:
        worker(json.loads(arguments.worker))
        return
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device; small shapes run with --device cpu --models small")
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    device = torch.device(arguments.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    if arguments.quick:
        from gpu_quick import quick

        load = f"{arguments.queries} x {arguments.rollouts} rollouts of {arguments.new_tokens}"
        print(f"torch {torch.__version__}, {name}, {arguments.models[0]}, {load} tokens")
        quick(arguments)
        return
    limits = ceilings(device, _dtype(arguments))
    print(f"torch {torch.__version__}, {name}, {arguments.dtype}:", end=" ")
    print(f"matrix product {limits[0] / 1e12:.2f} TFLOP/s, copy {limits[1] / 1e9:.0f} GB/s")
    for model in arguments.models:
        report(model, arguments, limits)
        concurrent(model, arguments)


if __name__ == "__main__":
    main()
