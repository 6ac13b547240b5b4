"""vLLM as an engine: pushed weights, seeds per request, and a test that it holds the policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from ablatekit_rft.engines.decoding import Decoding, ends
from ablatekit_rft.engines.draws import DrawKind
from ablatekit_rft.engines.errors import EngineError
from ablatekit_rft.engines.mismatch import Alarm, Mismatch, mismatch
from ablatekit_rft.engines.vllm_process import (
    Device,
    ProcessSpec,
    Request,
    VllmProcess,
    configuration_of,
)
from ablatekit_rft.policy.lengths import length_limit
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts, length_mask
from ablatekit_rft.settings import RftSettings

LENGTH_STEP = 64
"""Context lengths are rounded up to multiples of this, so that runs can share an engine."""
PROBE_PROMPTS, PROBE_TOKENS = 4, 8
"""Prompts of the self-test, and tokens drawn for each."""
PERTURBATION = 0.2
"""Noise that the self-test adds, in standard deviations of all weights."""
TRAINED_BYTES, STORED_BYTES = 14, 8
"""Bytes per trained parameter (gradient, two moments, working memory) and per parameter (the policy
and the reference), in float32."""


@dataclass(slots=True)
class VllmEngine:
    """Completions from vLLM in this process, after `start`."""

    draws: ClassVar[DrawKind] = "seeds"
    exact: ClassVar[bool] = False
    batch_items: ClassVar[int] = 65_536

    policy: Policy
    process: VllmProcess
    alarm: Alarm = field(default_factory=lambda: Alarm(float("inf")))
    version: int | None = field(default=None)

    @classmethod
    def start(
        cls,
        settings: RftSettings,
        policy: Policy,
        decoding: Decoding,
        prompts: Sequence[list[int]],
        longest: int,
        generator: torch.Generator,
    ) -> VllmEngine:
        """Start vLLM, or use the running one again, and test that it takes over weights.

        prompts: what the self-test completes. longest: tokens of the longest prompt with its
        completion, in training and evaluation. Raises EngineError when vLLM cannot start, or when
        the self-test fails.
        """
        spec = process_spec(settings, policy, decoding, longest)
        classes = {type(module) for module in policy.model.modules()}
        engine = cls(policy, VllmProcess.obtain(spec, classes))
        engine.alarm = self_test(engine, decoding, prompts, generator, settings)
        engine.version = None
        return engine

    def sync(self, version: int) -> None:
        """Push every weight unless this version was."""
        if version != self.version:
            self.process.push(self.policy.named_weights())
            self.version = version

    def generate(
        self,
        prompts: Prompts,
        rollouts: int,
        draws: Tensor,
        decoding: Decoding,
        greedy: Tensor | None = None,
    ) -> Rollouts:
        """Completions of seeded requests, draws being seeds (Q * rollouts, 1). See `Engine`."""
        query = torch.arange(len(prompts.lengths)).repeat_interleave(rollouts)
        flags = greedy.tolist() if greedy is not None else [False] * len(query)
        texts = prompts.lists()
        requests = [
            _request(texts[index], seed, decoding, greedy=flag)
            for index, seed, flag in zip(query.tolist(), draws[:, 0].tolist(), flags, strict=True)
        ]
        drawn = self.process.draw(requests, decoding.max_new_tokens, decoding.eos_ids)
        completions = _rollouts(prompts, query, drawn, decoding, self.policy)
        self._refuse_non_finite(completions, decoding)
        if greedy is not None and self.temperature_of(decoding) != 1.0:
            completions = self._greedy_at_temperature(completions, greedy, decoding)
        return completions

    def _greedy_at_temperature(
        self, rollouts: Rollouts, greedy: Tensor, decoding: Decoding
    ) -> Rollouts:
        """vLLM's log-probabilities of greedy rows are at temperature 1: take the policy's."""
        rows = greedy.nonzero().squeeze(1)
        chosen, logp = rollouts.select(rows), rollouts.logp.clone()
        budget = chosen.tokens.shape[1] + chosen.prompts.tokens.shape[1]
        logp[rows] = self.policy.logp_without_gradient(chosen, decoding.temperature, budget)
        return replace(rollouts, logp=logp)

    def rest(self) -> None:
        """Let vLLM sleep where memory needs it; the next `sync` wakes it."""
        self.process.sleep()
        if not self.process.loaded:
            self.version = None

    def temperature_of(self, decoding: Decoding) -> float:
        """The temperature at which the engine's log-probabilities are those of all tokens."""
        return 1.0 if self.process.spec.raw_logprobs else decoding.temperature

    def reconcile(
        self, rollouts: Rollouts, decoding: Decoding, budget: int, /
    ) -> tuple[Rollouts, Mismatch | None]:
        """Score by the policy; compare at the temperature of the engine's log-probabilities."""
        scores = self.policy.score_without_gradient(
            rollouts, decoding.temperature, budget, entropy=True
        )
        assert scores.entropy is not None
        policy_logp = _finite(scores.logp)
        temperature = self.temperature_of(decoding)
        if temperature == decoding.temperature:
            difference = mismatch(policy_logp, rollouts.logp, rollouts.mask)
        else:
            difference = self.compare(rollouts, decoding, budget)
        self.alarm.check(difference, "after a sync")
        # Before temperature and truncation, the engine's are of another distribution than is drawn.
        logp = policy_logp if self.process.spec.raw_logprobs else rollouts.logp
        scored = replace(rollouts, logp=logp, entropy=scores.entropy, policy_logp=policy_logp)
        return scored, difference

    def compare(self, rollouts: Rollouts, decoding: Decoding, budget: int) -> Mismatch:
        """The engine's log-probabilities against the policy's, in passes of `budget` tokens."""
        logp = self.policy.logp_without_gradient(rollouts, self.temperature_of(decoding), budget)
        return mismatch(_finite(logp), rollouts.logp, rollouts.mask)

    def _refuse_non_finite(self, rollouts: Rollouts, decoding: Decoding) -> None:
        """A policy that has diverged is told from an engine that is broken by the policy itself."""
        if bool(rollouts.logp.isfinite().all()):
            return
        self.compare(
            rollouts, decoding, rollouts.tokens.shape[1] + rollouts.prompts.tokens.shape[1]
        )
        raise EngineError(
            "the engine's log-probabilities are not finite, the policy's are. Set engine: policy"
        )


def _finite(logp: Tensor) -> Tensor:
    if not bool(logp.isfinite().all()):
        raise FloatingPointError("the policy's log-probabilities are not finite")
    return logp


def process_spec(
    settings: RftSettings, policy: Policy, decoding: Decoding, longest: int
) -> ProcessSpec:
    """What vLLM is started with for these settings and sequences of at most `longest` tokens."""
    config, chosen = policy.model.config, settings.vllm
    device: Device = "cuda" if policy.device.type == "cuda" else "cpu"
    limit = length_limit(config)
    rounded = -(-longest // LENGTH_STEP) * LENGTH_STEP
    return ProcessSpec(
        configuration=configuration_of(config, type(policy.base_model).__name__, policy.vocabulary),
        dtype=policy.compute_dtype,
        device=device,
        max_model_len=min(limit.tokens if limit else longest, rounded),
        raw_logprobs=decoding.is_truncated,
        gpu_memory_utilization=chosen.gpu_memory_utilization * settings.gpu_share,
        cpu_cache_gib=chosen.cpu_cache_gib,
        max_num_seqs=chosen.max_num_seqs,
        cuda_graphs=chosen.cuda_graphs == "decode",
        sleeps=device == "cuda" and _sleeps(settings, policy),
    )


def _sleeps(settings: RftSettings, policy: Policy) -> bool:
    if settings.vllm.sleep != "auto":
        return settings.vllm.sleep == "always"
    total = torch.cuda.get_device_properties(policy.device).total_memory
    every = sum(parameter.numel() for parameter in policy.model.parameters())
    trained = len(policy.parameters.weights)
    run_memory = int(settings.gpu_share * total)
    return needs_sleep(trained, every, settings.vllm.gpu_memory_utilization, run_memory)


def needs_sleep(trained: int, every: int, share: float, total: int) -> bool:
    """Whether training so many of all parameters and an engine with this share of the run's `total`
    bytes do not fit together."""
    return TRAINED_BYTES * trained + STORED_BYTES * every > (1 - share) * total


def self_test(
    engine: VllmEngine,
    decoding: Decoding,
    prompts: Sequence[list[int]],
    generator: torch.Generator,
    settings: RftSettings,
) -> Alarm:
    """Perturb the policy, sync, compare log-probabilities, restore; gives the run's alarm.

    The same prompts are used throughout, one of them as long as the context allows, so that a
    prefix cache that survives an update would be seen. Raises EngineError when the engine disagrees
    with the trainer, when it misses an update, or when the test could not have seen that.
    """
    probe = _probe(engine, decoding, prompts, generator, settings.micro_batch_tokens)
    weights = engine.policy.parameters.weights
    kept = weights.detach().clone()
    engine.sync(-1)
    alarm = Alarm.above(probe(), engine.process.spec.dtype)
    with torch.no_grad():
        noise = torch.randn(weights.shape, generator=generator).to(weights)
        weights += PERTURBATION * weights.std() * noise
        unsynced = probe()
        engine.sync(-2)
        synced = probe()
        weights.copy_(kept)
    if not alarm.hears(unsynced):
        raise EngineError(
            f"the self-test cannot see a stale engine: changed weights moved log-probabilities by"
            f" {unsynced.mean:.2g} nats per token, and {alarm.bound:.2g} may be rounding."
            " Set engine: policy for this model"
        )
    alarm.check(synced, "at the self-test")
    engine.sync(-3)
    alarm.check(probe(), "after the self-test")
    return alarm


def _probe(
    engine: VllmEngine,
    decoding: Decoding,
    prompts: Sequence[list[int]],
    generator: torch.Generator,
    budget: int,
) -> Callable[[], Mismatch]:
    """A function that draws for the same prompts and compares what was drawn, at each call."""
    steps = min(PROBE_TOKENS, decoding.max_new_tokens)
    joined = [token for prompt in prompts for token in prompt]
    chosen = sorted(prompts, key=len)[-PROBE_PROMPTS:]
    chosen.append(joined[: engine.process.spec.max_model_len - steps])
    padded = Prompts.pad(chosen, engine.policy.pad_id, engine.policy.device)
    every_token = replace(decoding, max_new_tokens=steps, eos_ids=(), stop=None)

    def compare() -> Mismatch:
        seeds = torch.randint(2**62, (len(chosen), 1), generator=generator)
        drawn = engine.generate(padded, 1, seeds, every_token)
        return engine.compare(drawn, every_token, budget)

    return compare


def _request(prompt: list[int], seed: int, decoding: Decoding, *, greedy: bool) -> Request:
    if greedy or decoding.temperature == 0:
        return Request(prompt, None, 0.0, 1.0, 0, 0.0)
    return Request(
        prompt, seed, decoding.temperature, decoding.top_p, decoding.top_k, decoding.min_p
    )


def _rollouts(
    prompts: Prompts,
    query: Tensor,
    drawn: Sequence[tuple[list[int], list[float]]],
    decoding: Decoding,
    policy: Policy,
) -> Rollouts:
    """Completions as tensors on the policy's device; entropies, which vLLM has not, are zeros."""
    shape = (len(drawn), decoding.max_new_tokens)
    tokens = torch.full(shape, policy.pad_id, dtype=torch.int64)
    # Weights may be bfloat16, which would round what the engine says to three digits.
    logp = torch.zeros(
        shape, dtype=torch.promote_types(policy.parameters.weights.dtype, torch.float32)
    )
    for row, (ids, logps) in enumerate(drawn):
        if len(ids) < shape[1] and ids[-1] not in decoding.eos_ids:
            raise EngineError(
                f"vLLM ended a completion after {len(ids)} of {shape[1]} tokens without an end of"
                " sequence: its context is too short"
            )
        tokens[row, : len(ids)] = torch.tensor(ids)
        logp[row, : len(ids)] = torch.tensor(logps)
    lengths, truncated = ends(tokens, decoding)
    mask = length_mask(lengths, shape[1])
    device = policy.device
    return Rollouts(
        prompts,
        query.to(device),
        torch.where(mask, tokens, policy.pad_id).to(device),
        lengths.to(device),
        truncated.to(device),
        torch.where(mask, logp, 0.0).to(device),
        torch.zeros(shape, dtype=logp.dtype, device=device),
    )
