"""vLLM inside this process: its environment, its start, its weights, and what it gives back.

The model starts with dummy weights from its configuration alone. There is no checkpoint on disk
that a wake-up or a reload could read: what the engine computes with is what was pushed.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ablatekit_rft.engines.errors import EngineError

Device: TypeAlias = Literal["cpu", "cuda"]

ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
"""The core runs in this process: weights are passed as tensors, scheduling is deterministic."""
CPU_ENVIRONMENT = {"TORCHDYNAMO_DISABLE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
"""On a CPU vLLM compiles a helper for half a minute, and would bind this process to cores."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What decides an engine process: equal ones can be used again with other weights.

    configuration: the model's `config.json`. raw_logprobs: log-probabilities before temperature and
    truncation, else of the distribution that is drawn from.
    """

    configuration: str
    dtype: torch.dtype
    device: Device
    max_model_len: int
    raw_logprobs: bool
    gpu_memory_utilization: float
    cpu_cache_gib: int
    max_num_seqs: int
    cuda_graphs: bool
    sleeps: bool

    def arguments(self, directory: str) -> dict[str, Any]:
        """The arguments of `vllm.LLM`."""
        graphs = self.device == "cuda" and self.cuda_graphs
        shared = {
            "model": directory,
            "load_format": "dummy",
            "skip_tokenizer_init": True,
            "generation_config": "vllm",
            "dtype": str(self.dtype).removeprefix("torch."),
            "max_model_len": self.max_model_len,
            "max_num_seqs": self.max_num_seqs,
            "logprobs_mode": "raw_logprobs" if self.raw_logprobs else "processed_logprobs",
            "enable_prefix_caching": True,
            "async_scheduling": False,
            "disable_log_stats": True,
            "seed": 0,
            "enforce_eager": not graphs,
        }
        if self.device == "cpu":
            return shared
        on_gpu: dict[str, Any] = {
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "enable_sleep_mode": self.sleeps,
        }
        if graphs:
            on_gpu["compilation_config"] = {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}
        return shared | on_gpu


@dataclass(frozen=True, slots=True)
class Request:
    """One completion to draw: token ids in, token ids out. A greedy one needs no seed."""

    prompt: list[int]
    seed: int | None
    temperature: float
    top_p: float
    top_k: int
    min_p: float


@dataclass(slots=True)
class VllmProcess:
    """The one engine of this process. Weights are its own from `push` until `sleep`."""

    running: ClassVar[VllmProcess | None] = None

    spec: ProcessSpec
    llm: Any
    awake: bool = field(default=True)
    loaded: bool = field(default=False)

    @classmethod
    def obtain(cls, spec: ProcessSpec, classes: Iterable[type] = ()) -> VllmProcess:
        """The running engine if it fits, else a new one in its place; weights are not loaded.

        classes: those of the policy's modules, which vLLM must leave as they are. Raises
        EngineError when vLLM cannot start.
        """
        if cls.running is not None and cls.running.spec != spec:
            cls.end()
        if cls.running is None:
            with untouched_classes(classes):
                cls.running = _start(spec)
        cls.running.loaded = False
        return cls.running

    @classmethod
    def end(cls) -> None:
        """Stop the running engine, if there is one, and give back its memory."""
        if cls.running is None:
            return
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        ended, cls.running = cls.running, None
        with untouched_process():
            ended.llm.llm_engine.engine_core.shutdown()
            ended.llm = None
            cleanup_dist_env_and_memory()
            gc.collect()

    def push(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Take over all weights, under their Hugging Face names, and forget every cached prefix.

        A tied head must be named, too: what is not named silently keeps its old values.
        """
        with untouched_process():
            if not self.awake:
                self.llm.wake_up(tags=["weights"])
            named = ((name, tensor.to(self.spec.dtype)) for name, tensor in weights)
            self.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": named})
            if not self.awake:
                self.llm.wake_up(tags=["kv_cache"])
            if not self.llm.reset_prefix_cache():
                raise EngineError(
                    "vLLM did not reset its prefix cache while no request was running"
                )
        self.awake = self.loaded = True

    def sleep(self) -> None:
        """Give the GPU's memory back, weights included, until the next `push`."""
        if self.spec.sleeps and self.awake:
            with untouched_process():
                self.llm.sleep(level=2)
            self.awake = self.loaded = False

    def draw(
        self, requests: Sequence[Request], max_tokens: int, eos_ids: Sequence[int]
    ) -> list[tuple[list[int], list[float]]]:
        """Token ids and log-probabilities of each request's completion, in their order."""
        from vllm import SamplingParams

        if not self.loaded:
            raise EngineError("vLLM was asked for completions before it got weights")
        params = [
            SamplingParams(
                n=1,
                temperature=request.temperature,
                top_p=request.top_p,
                top_k=request.top_k,
                min_p=request.min_p,
                seed=request.seed,
                max_tokens=max_tokens,
                min_tokens=0,
                presence_penalty=0.0,
                frequency_penalty=0.0,
                repetition_penalty=1.0,
                ignore_eos=True,
                stop_token_ids=list(eos_ids),
                logprobs=0,
                detokenize=False,
            )
            for request in requests
        ]
        prompts = [{"prompt_token_ids": request.prompt} for request in requests]
        with untouched_process():
            outputs = self.llm.generate(prompts, params, use_tqdm=False)
        return [_tokens(output.outputs[0]) for output in outputs]


def _tokens(completion: Any) -> tuple[list[int], list[float]]:
    ids = list(completion.token_ids)
    pairs = zip(completion.logprobs, ids, strict=True)
    return ids, [by_token[token].logprob for by_token, token in pairs]


def _start(spec: ProcessSpec) -> VllmProcess:
    os.environ.update(ENVIRONMENT)
    if spec.device == "cpu":
        os.environ.update(CPU_ENVIRONMENT)
        os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(spec.cpu_cache_gib)
        if "torch._dynamo" in sys.modules:
            sys.modules["torch._dynamo"].config.disable = True
    with tempfile.TemporaryDirectory(prefix="ablatekit-vllm-") as directory:
        (Path(directory) / "config.json").write_text(spec.configuration, encoding="utf-8")
        with untouched_process():
            return VllmProcess(spec, _llm(spec.arguments(directory)))


def _llm(arguments: dict[str, Any]) -> Any:
    from vllm import LLM

    try:
        return LLM(**arguments)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise EngineError(f"vLLM cannot start with this model: {first}") from error


def configuration_of(config: Any, architecture: str, vocabulary: int | None) -> str:
    """`config.json` of a transformers model as vLLM reads it, its vocabulary cut to real tokens."""
    content = {**config.to_dict(), "architectures": [architecture]}
    if vocabulary is not None:
        content["vocab_size"] = min(vocabulary, content["vocab_size"])
    return json.dumps(content, sort_keys=True)


@contextmanager
def untouched_process() -> Iterator[None]:
    """Undo what vLLM changes in this process: global random states, threads, default dtype.

    It seeds Python's, NumPy's and torch's generators, and on a CPU it replaces
    `torch.set_num_threads` by a function that does nothing.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    set_threads, threads = torch.set_num_threads, torch.get_num_threads()
    dtype, gradient = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
        if on_gpu:
            torch.cuda.set_rng_state_all(on_gpu)
        torch.set_num_threads = set_threads
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradient)


@contextmanager
def untouched_classes(classes: Iterable[type]) -> Iterator[None]:
    """Undo what vLLM changes in the classes of a model.

    A model that vLLM has no implementation of its own for is run by its transformers classes, which
    vLLM decorates for compilation: after that they can be instantiated by vLLM only. Nothing is
    compiled here, so that the engine computes the same without the decoration.
    """
    before = {cls: (cls.__bases__, dict(vars(cls))) for cls in classes}
    try:
        yield
    finally:
        for cls, (bases, attributes) in before.items():
            if cls.__bases__ != bases:
                cls.__bases__ = bases
            for name in set(vars(cls)) - set(attributes):
                delattr(cls, name)
            for name, value in attributes.items():
                if vars(cls).get(name) is not value:
                    setattr(cls, name, value)
