"""Tiny random models, a run's surroundings in memory, and a task that needs no shipped model."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from ablatekit_rft.planning.memory import VARIABLE
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Judgement, Query, Verdict

from ablatekit.runs.seeds import Seeds

os.environ.setdefault("ABLATEKIT_SECOND_OPINION", "0")
"""Of studies: it imports statsmodels in another process, and is no matter of this backend."""

VOCABULARY = 16
PAD, BOS, EOS = 0, 1, 2
SCALE = 4.0
FAMILIES = ("llama", "llama_gqa", "qwen2", "qwen3", "gpt_neox", "gpt_neox_sequential", "gpt2")
LEAN_FAMILIES = FAMILIES[:-1]


@pytest.fixture(scope="session", autouse=True)
def _memory_of_these_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What planning remembers lies in a folder of the tests, not in the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(VARIABLE, str(tmp_path_factory.mktemp("memory")))
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Several threads wait for each other at models of this size, as long as they compute."""
    torch.set_num_threads(1)


@functools.cache
def _model(family: str, seed: int, vocabulary: int, pad: int, positions: int, hidden: int) -> Any:
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(
            _configuration(family, vocabulary, pad, positions, hidden),
            dtype=torch.float32,
            attn_implementation="sdpa",
        )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(SCALE)
            else:
                parameter.add_(0.1 * torch.arange(len(parameter)).sin())
    return model.eval()


def make_model(
    family: str,
    seed: int = 0,
    vocabulary: int = VOCABULARY,
    pad: int = PAD,
    positions: int = 64,
    hidden: int = 32,
) -> Any:
    """A random causal LM; matrices are scaled up so that its distributions are not flat."""
    return copy.deepcopy(_model(family, seed, vocabulary, pad, positions, hidden))


def _configuration(family: str, vocabulary: int, pad: int, positions: int, hidden: int) -> Any:
    from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig, Qwen2Config, Qwen3Config

    special = {"pad_token_id": pad, "bos_token_id": BOS, "eos_token_id": EOS}
    shape = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": positions,
        **special,
    }
    if family == "gpt2":
        return GPT2Config(
            vocab_size=vocabulary,
            n_embd=hidden,
            n_layer=2,
            n_head=2,
            n_positions=positions,
            **special,
        )
    if family.startswith("gpt_neox"):
        return GPTNeoXConfig(**shape, use_parallel_residual=family == "gpt_neox")
    if family == "qwen2":
        return Qwen2Config(**shape, num_key_value_heads=1, tie_word_embeddings=False)
    if family == "qwen3":
        return Qwen3Config(**shape, num_key_value_heads=1, head_dim=24, tie_word_embeddings=True)
    key_heads = 1 if family == "llama_gqa" else 2
    return LlamaConfig(
        **shape, num_key_value_heads=key_heads, tie_word_embeddings=family == "llama"
    )


@pytest.fixture(scope="session")
def causal_lm() -> Any:
    return make_model


def drawn_of(rollouts: Any, outcome: torch.Tensor, **changed: Any) -> Any:
    """A round in which every rollout was sampled, judged and may train."""
    from ablatekit_rft.rollouts.drawn import Drawn

    every = torch.ones(len(outcome), dtype=torch.bool)
    parts = {
        "rollouts": rollouts,
        "item": rollouts.query,
        "correct": outcome,
        "outcome": outcome,
        "error": ~every,
        "format_ok": every,
        "sampled": every,
        "carries": every,
        "kept": every,
    }
    return Drawn(**{**parts, **changed})


@pytest.fixture(scope="session")
def make_drawn() -> Any:
    return drawn_of


@pytest.fixture(scope="session")
def teach_round() -> Any:
    """What a round of these rollouts and outcomes teaches."""
    import numpy as np
    from ablatekit_rft.learning.advantages import teach

    def run(
        settings: RftSettings,
        rollouts: Any,
        outcome: torch.Tensor,
        reference: torch.Tensor | None = None,
        state: Any = None,
        drift: torch.Tensor | None = None,
        **changed: Any,
    ) -> Any:
        drawn = drawn_of(rollouts, outcome, **changed)
        limit, generator = rollouts.tokens.shape[1], np.random.default_rng(0)
        return teach(settings, drawn, limit, state or {}, generator, reference, drift)

    return run


class DigitTokenizer:
    """Token 3 + d is the digit d; prompts start with a beginning of sequence."""

    pad_id = PAD
    eos_ids = (EOS,)
    size = VOCABULARY

    def encode(self, text: str) -> list[int]:
        return [BOS, *(3 + int(character) for character in text)]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(str(token - 3) if token >= 3 else "?" for token in ids)


@dataclass(frozen=True)
class ParityTask:
    """Correct when the digits' sum has the parity of the prompt: guessing is often right."""

    name: str = "parity"
    version: int = 1
    max_new_tokens: int = 5
    answers: str = "text"

    def items(self, split: str, n: int) -> tuple[Query, ...]:
        first = 1000 if split == "train" else 50_000
        texts = (str(first + 7 * index) for index in range(n))
        return tuple(Query(item=text, prompt=text, gold=str(int(text) % 2)) for text in texts)

    def judge(self, queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        return [self._judge(*pair) for pair in zip(queries, completions, strict=True)]

    def _judge(self, query: Query, completion: str) -> Judgement:
        digits = [int(character) for character in completion if character.isdigit()]
        right = bool(digits) and sum(digits) % 2 == int(query.gold)
        return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok=bool(digits))


@dataclass
class MemoryContext:
    """A run's context that keeps in memory what the run says."""

    seeds: Seeds
    checkpoint_dir: Path
    cache_dir: Path
    stop_at: int | None = None
    logged: dict[int, dict[str, float]] = field(default_factory=dict)
    items: dict[int, dict[str, list[Any]]] = field(default_factory=dict)
    resumed: list[int] = field(default_factory=list)
    done: list[tuple[float, float]] = field(default_factory=list)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        at_step = self.logged.setdefault(step, {})
        twice = set(metrics) & set(at_step)
        assert not twice, f"logged twice at step {step}: {twice}"
        at_step.update(metrics)

    def log_items(self, step: int, table: Mapping[str, Sequence[Any]]) -> None:
        assert step not in self.items
        self.items[step] = {name: list(column) for name, column in table.items()}

    def resumed_at(self, step: int) -> None:
        self.resumed.append(step)
        self.logged = {at: values for at, values in self.logged.items() if at <= step}
        self.items = {at: values for at, values in self.items.items() if at <= step}

    def progress(self, done: float, total: float) -> None:
        self.done.append((done, total))

    def should_stop(self) -> bool:
        return self.stop_at is not None and bool(self.done) and self.done[-1][0] >= self.stop_at

    @contextmanager
    def cache_lock(self, name: str) -> Iterator[Path]:
        folder = self.cache_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        yield folder

    def series(self, name: str) -> dict[int, float]:
        return {step: found[name] for step, found in sorted(self.logged.items()) if name in found}


def contexts_in(place: Path) -> Any:
    """Makes contexts whose checkpoints lie in folders of `place`."""

    def make(run: str = "run", folder: str = "checkpoint", context: str = "c") -> MemoryContext:
        return MemoryContext(Seeds(run, context), place / folder, place / "cache")

    return make


@pytest.fixture
def make_context(tmp_path: Path) -> Any:
    return contexts_in(tmp_path)


@pytest.fixture(scope="module")
def make_shared_context(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Contexts of runs that several tests of a module look at."""
    return contexts_in(tmp_path_factory.mktemp("shared"))


SMALL = {
    "queries_per_round": 4,
    "rollouts": 2,
    "train_items": 16,
    "learning_rate": 1e-3,
    "budget": {"unit": "rounds", "amount": 6},
    "evaluation": {"points": 3, "probe_items": 16, "test_items": 12, "intermediate_fraction": 0.5},
}


@pytest.fixture(scope="session")
def make_settings() -> Any:
    def make(**changed: Any) -> RftSettings:
        return RftSettings.model_validate({**SMALL, **changed})

    return make


@pytest.fixture(scope="session")
def experience_of() -> Any:
    """Experience of rollouts of one round with these advantages."""
    from ablatekit_rft.rollouts.experience import Experience

    def make(rollouts: Any, advantage: Any, **more: Any) -> Any:
        rows = torch.zeros(len(advantage))
        return Experience(
            **{
                "rollouts": rollouts,
                "advantage": advantage,
                "counted": rollouts.mask,
                "correct": rows,
                "score": rows,
                "version": torch.zeros_like(rollouts.query),
                **more,
            }
        )

    return make


@pytest.fixture(scope="session")
def train_toy() -> Any:
    """Train a random model on the parity task, or on what `around` makes of that task.

    Gives the result and the trained model.
    """
    from ablatekit_rft.run.build import train_model

    def run(
        settings: RftSettings, context: Any, family: str = "llama", around: Any = lambda task: task
    ) -> Any:
        model, task = make_model(family), around(ParityTask())
        result = train_model(settings, context, model, DigitTokenizer(), task)
        return result, model

    return run
