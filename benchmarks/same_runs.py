"""Whether runs of the shipped studies repeat bit for bit under another version of the code.

    python benchmarks/same_runs.py > before.txt          in a checkout of the version before
    python benchmarks/same_runs.py --against before.txt  on the same machine, in this one

Every cell of the small studies on every context, and what they leave out (minibatches, replay,
clipping, filters, ...), each for a few rounds. Of each run three hashes: final weights, all that
was logged but seconds and memory, and item outcomes. Exits with 1 where a run's line is not among
those before.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from ablatekit_rft.policy.models import load_model
from ablatekit_rft.run import build
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import get_task

from ablatekit.design.build import build_plan, study_backend
from ablatekit.runs.seeds import Seeds
from ablatekit.study.load import load_study

STUDIES = Path(__file__).parent.parent / "studies"
AMOUNTS = {
    "full_factorial": 6,
    "equal_samples": 1000,
    "pilot": 6,
    "quickstart": 6,
    "xie2026_tiny": 2,
}
"""The budget of each study here, in its own unit."""

MODELS = ("tiny-llama", "tiny-qwen3", "tiny-neox")
SMALL = {
    "dataset": "letter-sort",
    "queries_per_round": 8,
    "rollouts": 4,
    "train_items": 64,
    "budget": {"unit": "rounds", "amount": 5},
    "evaluation": {"points": 2, "probe_items": 32, "test_items": 32},
}
OTHERS: Mapping[str, Mapping[str, Any]] = {
    "minibatches": {"minibatches": 4, "epochs": 2, "ratio_level": "token", "clip": "ppo"},
    "sequence": {"minibatches": 2, "ratio_level": "sequence", "clip": "ppo"},
    "micro_batches": {"micro_batch_tokens": 100, "advantage": "group_norm"},
    "entropy": {"entropy": "bonus", "entropy_coefficient": 0.01},
    "kl_reward": {"kl_place": "reward", "kl_estimator": "k1", "kl_coefficient": 0.05},
    "kl_is": {"kl_place": "loss_is", "kl_coefficient": 0.05, "minibatches": 2},
    "replay": {"replay": "fifo", "advantage": "group_norm"},
    "stale": {"staleness": 2, "ratio_level": "token", "clip": "ppo"},
    "filter": {"group_filter": "drop", "advantage": "group_norm"},
    "refill": {"group_filter": "refill", "advantage": "rloo"},
    "temperature": {"temperature": 0.7, "top_p": 0.9, "advantage": "batch_norm"},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.01},
    "muon": {"optimizer": "muon", "learning_rate": 0.001},
    "two_threads": {"threads": 2},
}
"""Settings that no shipped study has."""


@dataclass
class MemoryContext:
    """A run's surroundings that keep in memory what the run says."""

    seeds: Seeds
    checkpoint_dir: Path
    cache_dir: Path
    logged: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    items: list[tuple[int, Any]] = field(default_factory=list)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        kept = {name: value for name, value in metrics.items() if repeats(name)}
        self.logged.append((step, kept))

    def log_items(self, step: int, table: Mapping[str, Sequence[Any]]) -> None:
        self.items.append((step, {name: list(column) for name, column in table.items()}))

    def resumed_at(self, step: int) -> None:
        raise AssertionError(step)

    def progress(self, done: float, total: float) -> None:
        pass

    def should_stop(self) -> bool:
        return False

    @contextlib.contextmanager
    def cache_lock(self, name: str) -> Iterator[Path]:
        folder = self.cache_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def repeats(metric: str) -> bool:
    return not metric.startswith(("time/", "memory/")) and metric != "cost/seconds"


def settings_of_studies(names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and settings of the first replicate of every cell and context."""
    for name in names:
        loaded = load_study(
            STUDIES / f"{name}.yaml",
            (f"backend.settings.budget.amount={AMOUNTS[name]}",),
        )
        for run in build_plan(loaded, study_backend(loaded)).runs:
            if run.replicate == 1:
                context = " ".join(run.context.values())
                settings = {**run.spec.settings, **run.spec.execution}
                yield f"{name} {context} {run.unit}", settings


def every_case(studies: Sequence[str]) -> Iterator[tuple[str, RftSettings]]:
    for name, dotted in settings_of_studies(studies):
        yield name, RftSettings.from_dotted(dotted)
    for name, changed in OTHERS.items():
        for model in MODELS:
            settings = {**SMALL, "model": model, **changed}
            yield f"{name} {model}", RftSettings.model_validate(settings)


def digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=float).encode()
    return hashlib.sha256(text).hexdigest()[:16]


def line(name: str, settings: RftSettings) -> str:
    """One run and the hashes of what came out of it."""
    weights: list[torch.Tensor] = []
    build_policy = build.Policy

    def kept(*arguments: Any, **named: Any) -> Any:
        policy = build_policy(*arguments, **named)
        weights.append(policy.parameters.weights)
        return policy

    model, tokenizer = load_model(settings.model, torch.device("cpu"), "")
    with tempfile.TemporaryDirectory() as folder:
        context = MemoryContext(Seeds(name, settings.model), Path(folder), Path(folder) / "cache")
        build.Policy = kept  # type: ignore[misc, assignment]
        try:
            task = get_task(settings.dataset)
            # A run shows its log one completion of step 0.
            with contextlib.redirect_stderr(io.StringIO()):
                result = build.train_model(settings, context, model, tokenizer, task)
        finally:
            build.Policy = build_policy  # type: ignore[misc]
    final = hashlib.sha256(weights[0].detach().numpy().tobytes()).hexdigest()[:16]
    last = {key: value for key, value in result.metrics.items() if repeats(key)}
    return (
        f"{name}: {final} {digest([context.logged, last, result.status])} {digest(context.items)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", nargs="*", default=list(AMOUNTS), choices=list(AMOUNTS))
    parser.add_argument("--every", type=int, default=1, help="every so manieth run only")
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    before = set(arguments.against.read_text().splitlines()) if arguments.against else None
    other = 0
    for index, (name, settings) in enumerate(every_case(arguments.studies)):
        if index % arguments.every:
            continue
        found = line(name, settings)
        if before is None or found not in before:
            other += before is not None
            print(found, flush=True)
    if before is not None:
        print(f"{other} runs differ from those before")
    return int(other > 0)


if __name__ == "__main__":
    sys.exit(main())
