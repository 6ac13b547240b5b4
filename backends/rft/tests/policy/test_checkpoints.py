"""What is in a model's directory: shards, formats, foreign code, missing weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.policy.models import load_model
from ablatekit_rft.sources.checkpoints import stored_parameters, weight_files
from safetensors.torch import load_file, save_file

from ablatekit.errors import UsageError
from ablatekit.testing.specs import run_spec

CPU = torch.device("cpu")
TEXT = torch.tensor([[1, 5, 7, 9]])


@pytest.fixture
def saved(causal_lm: Any, fast_tokenizer: Any, tmp_path: Path) -> Any:
    """Saves a model with a tokenizer, in shards of a size, and gives the directory."""

    def save(family: str = "qwen2", shard: str = "50GB") -> Path:
        folder = tmp_path / family
        causal_lm(family, vocabulary=64).save_pretrained(folder, max_shard_size=shard)
        fast_tokenizer().save_pretrained(folder)
        return folder

    return save


def change(folder: Path, **entries: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | entries))


def content(folder: Path, **settings: Any) -> str:
    return RftBackend().content({"model": str(folder), **settings})["model"]


def pickled(folder: Path) -> None:
    """The same weights as two files of torch.save with their index."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    places = {key: names[row % 2] for row, key in enumerate(weights)}
    for name in names:
        torch.save({key: weights[key] for key in weights if places[key] == name}, folder / name)
    index = {"metadata": {}, "weight_map": places}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("form", ["shards", "pickled", "half"])
def test_every_form_of_a_checkpoint_is_the_same_model(
    causal_lm: Any, saved: Any, form: str
) -> None:
    folder = saved(shard="5KB" if form == "shards" else "50GB")
    expected = causal_lm("qwen2", vocabulary=64)
    if form == "pickled":
        pickled(folder)
    if form == "half":
        causal_lm("qwen2", vocabulary=64).bfloat16().save_pretrained(folder)
        for parameter in expected.parameters():
            parameter.data = parameter.data.bfloat16().float()
    model, _ = load_model(str(folder), CPU)
    assert len(weight_files(folder)) == {"shards": 14, "pickled": 2, "half": 1}[form]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    with torch.no_grad():
        assert torch.equal(model(TEXT).logits, expected(TEXT).logits)


def test_every_shard_is_part_of_the_content(saved: Any) -> None:
    folder = saved(shard="5KB")
    before = content(folder)
    shard = weight_files(folder)[-1]
    save_file({key: 2 * value for key, value in load_file(shard).items()}, shard, {"format": "pt"})
    assert content(folder) != before
    shard.unlink()
    with pytest.raises(UsageError, match=rf"index names is missing.*{shard.name}"):
        content(folder)


@pytest.mark.parametrize("shard", ["50GB", "5KB"])
def test_memory_follows_the_parameters_whatever_their_format(
    causal_lm: Any, saved: Any, shard: str
) -> None:
    model = causal_lm("qwen2", vocabulary=64)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    folder = saved(shard=shard)
    (folder / "consolidated.safetensors").write_bytes(b"the same weights in another layout")
    assert stored_parameters(folder) == parameters
    assert RftBackend().resources({"model": str(folder)}).memory == 1 + 16 * parameters / 2**30


QUANTISED: list[dict[str, Any]] = [
    {"quantization_config": {"quant_method": method}}
    for method in ("bitsandbytes", "gptq", "awq", "fp8", "mxfp4", "compressed-tensors", "torchao")
] + [
    {"quantization": {"group_size": 64, "bits": 4}},
    {"text_config": {"quantization_config": {"quant_method": "gptq"}}},
]


@pytest.mark.parametrize("entries", QUANTISED)
def test_quantised_weights_are_refused(saved: Any, entries: dict[str, Any]) -> None:
    folder = saved()
    change(folder, **entries)
    for attempt in (content, lambda path: load_model(str(path), CPU)):
        with pytest.raises(UsageError, match=r"quantised weights cannot be trained.*de-quantised"):
            attempt(folder)


def test_code_of_a_checkpoint_is_not_run(saved: Any) -> None:
    folder = saved()
    change(folder, model_type="foreign", auto_map={"AutoModelForCausalLM": "modeling.Foreign"})
    (folder / "modeling.py").write_text("raise SystemExit('run')")
    with pytest.raises(UsageError, match=r"trust_remote_code is not supported.*of type foreign"):
        load_model(str(folder), CPU)


def test_foreign_code_beside_a_known_type_is_left_alone(saved: Any) -> None:
    folder = saved()
    change(folder, auto_map={"AutoModelForCausalLM": "modeling.Foreign"})
    (folder / "modeling.py").write_text("raise SystemExit('run')")
    assert type(load_model(str(folder), CPU)[0]).__name__ == "Qwen2ForCausalLM"


@pytest.mark.parametrize("kind", ["t5", "qwen2_vl", "clip", "unheard_of"])
def test_what_is_no_causal_language_model_is_refused(saved: Any, kind: str) -> None:
    folder = saved()
    change(folder, model_type=kind)
    with pytest.raises(UsageError, match=rf"no causal language model of this type.*type {kind}"):
        load_model(str(folder), CPU)


@pytest.mark.parametrize("lost", ["lm_head.weight", "model.layers.1.mlp.up_proj.weight"])
def test_weights_that_would_be_drawn_at_random_are_refused(saved: Any, lost: str) -> None:
    folder = saved()
    weights = load_file(folder / "model.safetensors")
    del weights[lost]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match=rf"hold all weights.*lacks 1, among them {lost}"):
        load_model(str(folder), CPU)


def test_a_tied_head_is_not_missed(saved: Any) -> None:
    folder = saved("qwen3")
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    model, _ = load_model(str(folder), CPU)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_adapters_are_no_model(saved: Any) -> None:
    folder = saved()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/name"}')
    for attempt in (content, lambda path: load_model(str(path), CPU)):
        with pytest.raises(UsageError, match=r"not adapters on another model.*merge_and_unload"):
            attempt(folder)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_directory_without_a_part_is_refused(saved: Any, file: str) -> None:
    folder = saved()
    (folder / file).unlink()
    with pytest.raises(UsageError, match=r"holds config\.json, weights and a tokenizer"):
        content(folder)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "nothing of a file": lambda _whole: b"",
    "half a header": lambda whole: whole[:100],
    "half of the tensors": lambda whole: whole[: len(whole) // 2],
    "no header": lambda whole: whole[:8] + b"?" * (len(whole) - 8),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_planning_refuses_a_damaged_weight_file(saved: Any, kind: str) -> None:
    folder = saved()
    weights = folder / "model.safetensors"
    weights.write_bytes(DAMAGED[kind](weights.read_bytes()))
    with pytest.raises(UsageError, match=r"file is damaged.*model\.safetensors"):
        content(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_planning_refuses_a_pointer_in_place_of_weights(saved: Any, name: str) -> None:
    folder = saved()
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(POINTER)
    with pytest.raises(UsageError, match=r"pointer of Git LFS.*git lfs pull"):
        content(folder)


@pytest.mark.parametrize("codes", [torch.int8, torch.float8_e4m3fn])
def test_weights_that_are_codes_are_refused_whatever_the_configuration_says(
    saved: Any, codes: torch.dtype
) -> None:
    folder = saved()
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"].to(codes)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match="quantised weights cannot be trained"):
        content(folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", "[]"),
        ("tokenizer.json", "{}"),
        ("tokenizer.json", '{"added_tokens": [], "model": {"type": "Foreign"}}'),
        ("pytorch_model.bin", "no pickle"),
    ],
)
def test_files_that_cannot_be_read_are_one_message(saved: Any, name: str, text: str) -> None:
    folder = saved()
    if name == "pytorch_model.bin":
        (folder / "model.safetensors").unlink()
    (folder / name).write_text(text)
    with pytest.raises(UsageError, match=r"the model cannot be loaded.*qwen2"):
        load_model(str(folder), CPU)


@pytest.mark.parametrize(
    "entries",
    [{"hidden_size": 8}, {"rope_parameters": {"rope_type": "foreign", "rope_theta": 1e4}}],
)
def test_a_configuration_of_another_model_is_one_message(
    saved: Any, entries: dict[str, Any]
) -> None:
    folder = saved()
    change(folder, **entries)
    with pytest.raises(UsageError, match=r"the model cannot be loaded.*qwen2"):
        load_model(str(folder), CPU)


def test_a_padding_token_without_embedding_is_replaced(saved: Any, fast_tokenizer: Any) -> None:
    """It is often added to a tokenizer whose model is not resized; padding is never read."""
    folder = saved()
    tokenizer = fast_tokenizer()
    tokenizer.add_tokens([f"<unused{number}>" for number in range(64 - len(tokenizer))])
    tokenizer.add_special_tokens({"pad_token": "<padding>"})
    tokenizer.save_pretrained(folder)
    assert tokenizer.pad_token_id == 64
    assert load_model(str(folder), CPU)[1].pad_id == 2


@pytest.mark.parametrize("kind", ["lfm2", "minimax", "qwen3_5", "jamba", "openai-gpt"])
def test_planning_refuses_types_without_keys_and_values_where_the_policy_draws(
    saved: Any, kind: str
) -> None:
    folder = saved()
    change(folder, model_type=kind)
    with pytest.raises(UsageError, match=rf"keeps keys and values.*of type {kind}"):
        content(folder)
    assert content(folder, engine="vllm")


def test_a_prompt_that_the_model_has_no_embedding_for_is_refused(
    saved: Any, make_context: Any
) -> None:
    folder = saved()
    model, _ = load_model(str(folder), CPU)
    model.resize_token_embeddings(16)
    model.save_pretrained(folder)
    backend, changed = (
        RftBackend(),
        {"model": str(folder), "train_items": 4, "queries_per_round": 4},
    )
    with pytest.raises(UsageError, match=r"embeddings for 16 tokens.*token \d+ in a prompt"):
        backend.run(run_spec(backend, changed), make_context())
