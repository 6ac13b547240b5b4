"""The engine around vLLM without vLLM: an engine process that is a copy of the policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from ablatekit_rft.engines import vllm_process as process_module
from ablatekit_rft.engines.decoding import Decoding, Stop, ends
from ablatekit_rft.engines.draws import evaluation_draws, round_draws
from ablatekit_rft.engines.errors import EngineError
from ablatekit_rft.engines.mismatch import Alarm, Mismatch, mismatch
from ablatekit_rft.engines.policy import PolicyEngine
from ablatekit_rft.engines.sampler import sample
from ablatekit_rft.engines.vllm import VllmEngine, needs_sleep, process_spec, self_test
from ablatekit_rft.engines.vllm_process import (
    ProcessSpec,
    Request,
    VllmProcess,
    untouched_classes,
    untouched_process,
)
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts
from torch import Tensor

from ablatekit.runs.seeds import Seeds

PROMPTS = [[1, 5, 9], [1, 4, 4, 8, 12], [1, 15, 3, 7], [1, 6]]
DECODING = Decoding(6, 1.0, (2,))


@dataclass
class CopyProcess:
    """Stands in for vLLM: draws from a copy of the policy that only `push` renews.

    `loses`: part of the names of weights that a push does not take over.
    """

    spec: ProcessSpec
    copy: Policy
    loses: str | None = None
    awake: bool = True
    loaded: bool = False
    pushes: int = 0
    requests: list[Request] = field(default_factory=list)

    def push(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        own = self.copy.model.state_dict()
        for name, tensor in weights:
            if self.loses is None or self.loses not in name:
                own[name].copy_(tensor)
        self.loaded, self.awake, self.pushes = True, True, self.pushes + 1

    def sleep(self) -> None:
        if self.spec.sleeps:
            self.awake = self.loaded = False

    def draw(
        self, requests: Sequence[Request], max_tokens: int, eos_ids: Sequence[int]
    ) -> list[tuple[list[int], list[float]]]:
        assert self.loaded
        self.requests = list(requests)
        return [self._one(request, max_tokens, tuple(eos_ids)) for request in requests]

    def _one(
        self, request: Request, steps: int, eos_ids: tuple[int, ...]
    ) -> tuple[list[int], list[float]]:
        decoding = Decoding(
            steps, request.temperature, eos_ids, request.top_p, request.top_k, request.min_p
        )
        generator = torch.Generator().manual_seed(request.seed or 0)
        prompts = Prompts.pad([request.prompt], 0, self.copy.device)
        drawn = sample(self.copy, prompts, 1, torch.rand(1, steps, generator=generator), decoding)
        raw = self.copy.logp_without_gradient(drawn, 1.0, 10_000)
        logp = raw if self.spec.raw_logprobs else drawn.logp
        length = int(drawn.lengths[0])
        return drawn.tokens[0, :length].tolist(), logp[0, :length].tolist()


@pytest.fixture
def make_engine(causal_lm: Any, make_settings: Any) -> Any:
    def make(decoding: Decoding = DECODING, **changed: Any) -> VllmEngine:
        policy = Policy(causal_lm("llama"), pad_id=0)
        spec = process_spec(make_settings(engine="vllm"), policy, decoding, 32)
        own: dict[str, Any] = {"spec": replace(spec, **changed.pop("spec", {}))}
        process: Any = CopyProcess(copy=policy.frozen_copy(), **own, **changed)
        return VllmEngine(policy, process)

    return make


def draw(engine: VllmEngine, decoding: Decoding = DECODING, seed: int = 0) -> Any:
    prompts = Prompts.pad(PROMPTS, 0, torch.device("cpu"))
    draws = round_draws("seeds", Seeds(f"run {seed}", "c"), "0", 8, 6)
    return engine.generate(prompts, 2, draws, decoding)


def run_self_test(engine: VllmEngine, make_settings: Any, decoding: Decoding = DECODING) -> Alarm:
    generator = torch.Generator().manual_seed(0)
    return self_test(engine, decoding, PROMPTS, generator, make_settings())


def change(policy: Policy, scale: float = 0.05) -> None:
    with torch.no_grad():
        noise = torch.randn(
            policy.parameters.weights.shape, generator=torch.Generator().manual_seed(1)
        )
        policy.parameters.weights.add_(scale * noise)


def test_the_self_test_leaves_the_policy_as_it_was(make_engine: Any, make_settings: Any) -> None:
    engine = make_engine()
    before = engine.policy.parameters.weights.clone()
    alarm = run_self_test(engine, make_settings)
    assert torch.equal(engine.policy.parameters.weights, before)
    assert alarm.bound == 1e-4
    for own, copied in zip(
        engine.policy.model.parameters(), engine.process.copy.model.parameters(), strict=True
    ):
        assert torch.equal(own, copied)


def test_an_engine_that_takes_no_update_fails_the_self_test(
    make_engine: Any, make_settings: Any
) -> None:
    with pytest.raises(EngineError, match=r"at the self-test the engine is stale.*engine: policy"):
        run_self_test(make_engine(loses=""), make_settings)


@pytest.mark.parametrize("lost", ["lm_head", "q_proj", "layers.1.mlp.down", "norm"])
def test_a_push_that_loses_a_part_fails_the_self_test(
    make_engine: Any, make_settings: Any, lost: str
) -> None:
    engine = make_engine(loses=lost)
    if lost == "lm_head":
        # The copy's head is tied: untie it, as an engine does that packs its head.
        head = engine.process.copy.model.lm_head
        head.weight = torch.nn.Parameter(head.weight.detach().clone())
        engine.process.copy.decoder = None
    with pytest.raises(EngineError, match="stale"):
        run_self_test(engine, make_settings)


def test_an_engine_that_is_another_function_is_refused(
    make_engine: Any, make_settings: Any
) -> None:
    engine = make_engine(loses="")
    change(engine.process.copy)
    with pytest.raises(EngineError, match="disagree on the base model itself"):
        run_self_test(engine, make_settings)


def test_a_self_test_that_could_see_nothing_is_no_test(
    make_engine: Any, make_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablatekit_rft.engines.vllm.PERTURBATION", 0.0)
    with pytest.raises(EngineError, match="cannot see a stale engine"):
        run_self_test(make_engine(), make_settings)


def test_every_round_is_compared_and_a_skipped_sync_trips_the_alarm(
    make_engine: Any, make_settings: Any
) -> None:
    engine = make_engine()
    engine.alarm = run_self_test(engine, make_settings)
    engine.sync(0)
    scored, found = engine.reconcile(draw(engine), DECODING, 1000)
    assert found.mean < 1e-5
    assert torch.allclose(scored.own_logp, scored.logp, atol=1e-5)
    assert bool((scored.entropy[scored.mask] > 0).all())
    change(engine.policy)
    engine.sync(0)
    with pytest.raises(EngineError, match=r"after a sync the engine is stale: mean .* nats"):
        engine.reconcile(draw(engine), DECODING, 1000)
    engine.sync(1)
    _, found = engine.reconcile(draw(engine), DECODING, 1000)
    assert found.max < 1e-4


def test_a_policy_that_diverged_is_not_called_a_stale_engine(
    make_engine: Any, make_settings: Any
) -> None:
    engine = make_engine()
    engine.alarm = run_self_test(engine, make_settings)
    engine.sync(0)
    drawn = draw(engine)
    with torch.no_grad():
        engine.policy.parameters.weights.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="not finite"):
        engine.reconcile(drawn, DECODING, 1000)


def test_an_engine_with_log_probabilities_that_are_not_finite_is_an_engine_error(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    engine.sync(0)
    broken = [([4, 2], [-0.5, float("nan")])] * 8
    monkeypatch.setattr(engine.process, "draw", lambda *_: broken)
    with pytest.raises(EngineError, match="not finite, the policy's are"):
        draw(engine)
    with torch.no_grad():
        engine.policy.parameters.weights.fill_(float("nan"))
    with pytest.raises(FloatingPointError):
        draw(engine)


def test_a_version_is_pushed_once_and_again_after_sleep(make_engine: Any) -> None:
    engine = make_engine(spec={"sleeps": True})
    for version in (0, 0, 1, 1):
        engine.sync(version)
    assert engine.process.pushes == 2
    engine.rest()
    assert not engine.process.loaded
    engine.sync(1)
    assert engine.process.pushes == 3
    awake = make_engine()
    awake.sync(0)
    awake.rest()
    awake.sync(0)
    assert awake.process.pushes == 1


@pytest.mark.parametrize("temperature", [0.6, 1.4])
def test_truncated_decoding_is_compared_before_truncation(
    make_engine: Any, make_settings: Any, temperature: float
) -> None:
    decoding = replace(DECODING, temperature=temperature, top_p=0.7)
    engine = make_engine(decoding)
    assert engine.process.spec.raw_logprobs
    engine.alarm = run_self_test(engine, make_settings, decoding)
    engine.sync(0)
    drawn = draw(engine, decoding)
    scored, found = engine.reconcile(drawn, decoding, 1000)
    assert found.max < 1e-4
    # What training compares with is the full softmax at the training temperature.
    own = engine.policy.logp_without_gradient(drawn, temperature, 1000)
    assert torch.equal(scored.logp, own)
    assert not torch.allclose(drawn.logp, own, atol=1e-3)


def test_requests_carry_one_seed_each_and_greedy_ones_none(make_engine: Any) -> None:
    engine = make_engine()
    engine.sync(0)
    prompts = Prompts.pad(PROMPTS[:2], 0, torch.device("cpu"))
    draws = torch.tensor([[11], [12], [13], [0]])
    greedy = torch.tensor([False, False, False, True])
    engine.generate(prompts, 2, draws, replace(DECODING, top_p=0.9), greedy)
    requests = engine.process.requests
    assert [one.seed for one in requests] == [11, 12, 13, None]
    assert [one.prompt for one in requests] == [PROMPTS[0]] * 2 + [PROMPTS[1]] * 2
    assert [one.temperature for one in requests] == [1.0, 1.0, 1.0, 0.0]
    assert [one.top_p for one in requests] == [0.9, 0.9, 0.9, 1.0]


def test_seeds_of_rounds_and_of_evaluation() -> None:
    seeds = Seeds("run", "c")
    first = round_draws("seeds", seeds, "0", 1000, 9)
    assert first.shape == (1000, 1)
    assert len(first.unique()) == 1000
    assert int(first.min()) >= 0
    assert torch.equal(first, round_draws("seeds", seeds, "0", 1000, 5))
    for other in (
        round_draws("seeds", seeds, "1", 1000, 9),
        round_draws("seeds", Seeds("another", "c"), "0", 1000, 9),
    ):
        assert not set(first.flatten().tolist()) & set(other.flatten().tolist())
    keys = [("train", "a"), ("test", "a"), ("test", "b")]
    common = evaluation_draws("seeds", seeds, keys, 4, 9)
    assert common.shape == (3, 4, 1)
    assert len(common.unique()) == 12
    another = evaluation_draws("seeds", Seeds("another", "c"), keys[1:], 2, 9)
    assert torch.equal(another, common[1:, :2])


def test_padding_and_ends_do_not_depend_on_token_values(make_engine: Any) -> None:
    engine = make_engine()
    engine.sync(0)
    drawn = draw(engine)
    for row in range(8):
        length = int(drawn.lengths[row])
        ids = drawn.tokens[row].tolist()
        assert 2 not in ids[: length - 1]
        assert (ids[length - 1] == 2) != bool(drawn.truncated[row])
        assert not any(ids[length:])
        assert not bool(drawn.logp[row, length:].any())


def test_weights_in_bfloat16_do_not_round_what_the_engine_says(
    make_engine: Any, causal_lm: Any
) -> None:
    engine = make_engine()
    engine.sync(0)
    exact = draw(engine)
    engine.policy = Policy(causal_lm("llama").to(torch.bfloat16), pad_id=0)
    rounded = draw(engine)
    assert rounded.logp.dtype == torch.float32
    assert torch.equal(rounded.logp, exact.logp)


def test_an_engine_ends_at_a_stop_that_is_a_token_and_behind_a_stop_that_holds_one(
    make_engine: Any,
) -> None:
    def spell(ids: Sequence[int]) -> str:
        return "".join(chr(64 + token) for token in ids)

    engine = make_engine()
    engine.sync(0)
    free = draw(engine, replace(DECODING, eos_ids=()))
    token, pair = int(free.tokens[0, 2]), spell(free.tokens[1, 1:3].tolist())
    stop = Stop((), lambda _ids: "", (chr(64 + token), pair), spell, (token,))
    decoding = replace(DECODING, eos_ids=(token,), stop=stop)
    stopped = draw(engine, decoding)
    lengths, truncated = ends(free.tokens, decoding)
    assert torch.equal(stopped.lengths, lengths)
    assert torch.equal(stopped.truncated, truncated)
    assert int(lengths[0]) <= 3
    assert int(lengths[1]) <= 3
    assert torch.equal(stopped.logp[stopped.mask], free.logp[stopped.mask])


def test_mismatch_is_of_generated_tokens_alone() -> None:
    trainer = torch.tensor([[-1.0, -2.0, -9.0], [-0.5, -1.0, -3.0]])
    engine = torch.tensor([[-1.5, -2.0, 0.0], [-0.25, -1.0, -3.0]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    found = mismatch(trainer, engine, mask)
    assert found.mean == pytest.approx(0.15)
    assert found.max == 0.5
    assert found.p99 == 0.5


def test_the_bound_of_the_alarm() -> None:
    exact, rough = Mismatch(1e-6, 1e-5, 1e-5), Mismatch(0.05, 0.4, 0.3)
    assert Alarm.above(exact, torch.float32).bound == 1e-4
    assert Alarm.above(rough, torch.bfloat16).bound == pytest.approx(0.15)
    assert Alarm(0.1).hears(Mismatch(float("nan"), 0.0, 0.0))
    assert not Alarm(0.1).hears(rough)
    with pytest.raises(EngineError, match=r"rounding in torch\.float32"):
        Alarm.above(rough, torch.float32)


def test_the_policy_engine_is_the_policy(causal_lm: Any) -> None:
    policy = Policy(causal_lm("llama"), pad_id=0)
    engine = PolicyEngine(policy)
    prompts = Prompts.pad(PROMPTS, 0, policy.device)
    draws = round_draws("uniforms", Seeds("run", "c"), "0", 8, 6)
    drawn = engine.generate(prompts, 2, draws, DECODING)
    assert engine.reconcile(drawn, DECODING, 1000) == (drawn, None)
    assert drawn.own_logp is drawn.logp


def test_pushed_names_are_those_of_hugging_face_with_a_tied_head(causal_lm: Any) -> None:
    policy = Policy(causal_lm("llama"), pad_id=0, vocabulary=13)
    weights = dict(policy.named_weights())
    assert set(weights) == set(causal_lm("llama").state_dict())
    assert torch.equal(weights["lm_head.weight"], weights["model.embed_tokens.weight"])
    assert weights["lm_head.weight"].shape == (13, 32)
    assert weights["model.layers.0.self_attn.q_proj.weight"].shape == (32, 32)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_adapters_are_pushed_merged_and_leave_the_base_alone(
    causal_lm: Any, make_settings: Any
) -> None:
    pytest.importorskip("peft", reason="LoRA: pip install 'ablatekit-rft[peft]'")
    from ablatekit_rft.policy.models import parameterised

    settings = make_settings(lora_rank=2)
    policy = Policy(parameterised(causal_lm("llama"), settings, Seeds("r", "c")), pad_id=0)
    change(policy)
    base = {name: one.clone() for name, one in policy.model.state_dict().items()}
    merged = causal_lm("llama")
    merged.load_state_dict(dict(policy.named_weights()))
    tokens = torch.tensor([PROMPTS[1]])
    with torch.no_grad():
        ours, theirs = policy.model(input_ids=tokens).logits, merged(input_ids=tokens).logits
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(theirs, causal_lm("llama")(input_ids=tokens).logits, atol=1e-2)
    assert all(torch.equal(one, base[name]) for name, one in policy.model.state_dict().items())


def test_what_vllm_is_started_with(causal_lm: Any, make_settings: Any) -> None:
    import json

    policy = Policy(causal_lm("llama"), pad_id=0, vocabulary=13)
    settings = make_settings(engine="vllm", vllm={"max_num_seqs": 7})
    spec = process_spec(settings, policy, DECODING, 20)
    assert spec == process_spec(settings, policy, DECODING, 33)
    assert json.loads(spec.configuration)["vocab_size"] == 13
    assert json.loads(spec.configuration)["architectures"] == ["LlamaForCausalLM"]
    arguments = spec.arguments("/somewhere")
    expected = {
        "load_format": "dummy",
        "generation_config": "vllm",
        "logprobs_mode": "processed_logprobs",
        "max_num_seqs": 7,
        "max_model_len": 64,
        "dtype": "float32",
        "enforce_eager": True,
    }
    assert {name: arguments[name] for name in expected} == expected
    assert "enable_sleep_mode" not in arguments
    assert process_spec(settings, policy, DECODING, 64).max_model_len == 64


def test_what_vllm_is_started_with_on_a_gpu(causal_lm: Any, make_settings: Any) -> None:
    policy = Policy(causal_lm("llama"), pad_id=0)
    cpu = process_spec(make_settings(), policy, DECODING, 20)
    spec = replace(cpu, device="cuda", dtype=torch.bfloat16, sleeps=True)
    arguments = spec.arguments("/somewhere")
    expected = {
        "dtype": "bfloat16",
        "gpu_memory_utilization": 0.35,
        "enable_sleep_mode": True,
        "enforce_eager": False,
        "compilation_config": {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"},
    }
    assert {name: arguments[name] for name in expected} == expected
    assert replace(spec, cuda_graphs=False).arguments("/somewhere")["enforce_eager"]
    shared = process_spec(make_settings(gpu_share=0.5), policy, DECODING, 20)
    assert shared.gpu_memory_utilization == 0.175


def test_sleep_where_training_and_engine_do_not_fit() -> None:
    gib = 2**30
    half_billion, eight_billions = 494_000_000, 8_030_000_000
    assert not needs_sleep(half_billion, half_billion, 0.35, 80 * gib)
    assert needs_sleep(eight_billions, eight_billions, 0.35, 140 * gib)
    assert not needs_sleep(20_000_000, eight_billions, 0.35, 140 * gib)


def test_what_a_library_does_to_the_process_is_undone() -> None:
    import random

    import numpy as np

    random.seed(1)
    torch.manual_seed(1)
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    original, threads = torch.set_num_threads, torch.get_num_threads()
    with untouched_process():
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        torch.set_num_threads(threads + 1)
        torch.set_num_threads = lambda _: None  # type: ignore[assignment]
        torch.set_default_dtype(torch.float64)
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert (np.random.get_state()[1] == states[2]).all()  # noqa: NPY002
    assert torch.set_num_threads is original
    assert torch.get_num_threads() == threads
    assert torch.get_default_dtype() is torch.float32


def test_there_is_nothing_to_end_without_vllm() -> None:
    assert VllmProcess.running is None
    VllmProcess.end()


class Asked(Exception):  # noqa: N818
    """Carries what vLLM would have been started with."""


def test_the_environment_is_set_before_vllm_is_imported(
    causal_lm: Any, make_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setattr("torch._dynamo.config.disable", False)
    names = {**process_module.ENVIRONMENT, **process_module.CPU_ENVIRONMENT}
    for name in (*names, "VLLM_CPU_KVCACHE_SPACE"):
        monkeypatch.setenv(name, "unset")

    def ask(_arguments: dict[str, Any]) -> None:
        raise Asked({name: os.environ[name] for name in (*names, "VLLM_CPU_KVCACHE_SPACE")})

    monkeypatch.setattr(process_module, "_llm", ask)
    policy = Policy(causal_lm("llama"), pad_id=0)
    spec = process_spec(make_settings(vllm={"cpu_cache_gib": 3}), policy, DECODING, 20)
    with pytest.raises(Asked) as raised:
        VllmProcess.obtain(spec)
    assert raised.value.args[0] == {**names, "VLLM_CPU_KVCACHE_SPACE": "3"}


def test_a_run_with_an_engine_of_its_own_logs_the_mismatch(
    causal_lm: Any,
    make_context: Any,
    make_settings: Any,
    train_toy: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def obtain(spec: ProcessSpec, _classes: Iterable[type]) -> Any:
        process: Any = CopyProcess(spec=spec, copy=Policy(causal_lm("llama", 5), pad_id=0))
        return process

    monkeypatch.setattr(VllmProcess, "obtain", obtain)
    monkeypatch.setattr("ablatekit_rft.engines.select._require_vllm", lambda: None)
    context = make_context()
    settings = make_settings(
        engine="vllm",
        kl_place="reward",
        epochs=2,
        ratio_level="token",
        budget={"amount": 3},
        evaluation={"points": 1, "probe_items": 8, "test_items": 8},
    )
    result, _ = train_toy(settings, context)
    assert result.status == "finished"
    apart = context.series(metrics.ENGINE_MEAN)
    assert set(apart) == {1, 2, 3}
    assert max(apart.values()) < 1e-5
    assert set(context.series(metrics.TIME_SYNC)) == {1, 2, 3}
    assert abs(context.series(metrics.KL_INIT)[0]) < 1e-8


def test_classes_that_an_engine_decorates_are_as_before() -> None:
    class Wrapper:
        compiled = True

    class Base:
        pass

    class Model(Base):
        def __init__(self) -> None:
            self.built = "by its own class"

    def decorated(_self: Any) -> None:
        raise AssertionError("only the engine may build this")

    def start() -> None:
        Model.__bases__ += (Wrapper,)
        Model.__init__ = decorated  # type: ignore[method-assign]
        Model.__call__ = decorated  # type: ignore[attr-defined]
        raise EngineError("it did not start")

    with pytest.raises(EngineError), untouched_classes([Model]):
        start()
    assert Model().built == "by its own class"
    assert Model.__bases__ == (Base,)
    assert not hasattr(Model, "compiled")
    assert "__call__" not in vars(Model)
