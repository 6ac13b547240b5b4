"""The three tiny architectures: fresh models, and models to and from their stored files."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from safetensors.torch import load_file, save
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from ablatekit.errors import AblatekitError
from ablatekit_rft.basemodels.catalogue import FAMILIES, UnknownBaseModelError
from ablatekit_rft.basemodels.tokenizer import CharTokenizer

Attention: TypeAlias = Literal["eager", "sdpa"]
"""transformers' attention implementations that run everywhere."""

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
SHAPE = {
    "vocab_size": CharTokenizer.vocab_size,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 256,
    "max_position_embeddings": 64,
}
SPECIAL_IDS = {
    "pad_token_id": CharTokenizer.pad_id,
    "bos_token_id": CharTokenizer.bos_id,
    "eos_token_id": CharTokenizer.eos_id,
}
OF_FAMILY = {
    "llama": {"num_key_value_heads": 2, "tie_word_embeddings": True, "attention_dropout": 0.0},
    "qwen3": {
        "num_key_value_heads": 2,
        "head_dim": 32,
        "tie_word_embeddings": True,
        "attention_dropout": 0.0,
    },
    "gpt_neox": {"tie_word_embeddings": False, "attention_dropout": 0.0, "hidden_dropout": 0.0},
}
"""What differs between the families; GPT-NeoX does without tied embeddings, as its models do."""


class StoredWeightsError(AblatekitError):
    """A folder's weights and its configuration do not belong together."""


def configuration(name: str) -> PreTrainedConfig:
    """The transformers configuration of a shipped model."""
    if name not in FAMILIES:
        raise UnknownBaseModelError(name)
    family = FAMILIES[name]
    return AutoConfig.for_model(family, **SHAPE, **SPECIAL_IDS, **OF_FAMILY[family])


def fresh(name: str, *, seed: int) -> PreTrainedModel:
    """An untrained float32 model; the same seed gives the same weights."""
    return _initialised(configuration(name), attention="sdpa", seed=seed)


def from_folder(folder: Path, *, attention: Attention) -> PreTrainedModel:
    """The stored model of a folder, in float32 and evaluation mode.

    Raises `StoredWeightsError` when the weights are not those of the configuration.
    """
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    model = _initialised(config, attention=attention, seed=0)
    weights = load_file(folder / WEIGHTS_FILE)
    if set(weights) != {name for name, _ in model.named_parameters()}:
        raise StoredWeightsError(f"{folder}: the weights do not belong to {CONFIG_FILE}")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(weights[name])
    return model


def to_folder(model: PreTrainedModel, folder: Path) -> None:
    """Store configuration and float16 weights, byte for byte the same for the same model.

    The version of transformers stays out of the configuration, or it would change the content.
    `named_parameters` gives a head that is tied to the embedding once, as the embedding.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = model.config.to_diff_dict()
    settings |= {"architectures": [type(model).__name__], "dtype": "float16"}
    settings.pop("transformers_version", None)
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    (folder / CONFIG_FILE).write_text(text, "utf-8")
    weights = {name: part.detach().half().contiguous() for name, part in model.named_parameters()}
    (folder / WEIGHTS_FILE).write_bytes(save(weights, metadata={"format": "pt"}))


def as_stored(model: PreTrainedModel) -> PreTrainedModel:
    """A copy in float32 with every weight rounded to float16: what a reader of the file gets."""
    rounded = copy.deepcopy(model)
    with torch.no_grad():
        for weight in rounded.parameters():
            weight.copy_(weight.half().float())
    return rounded


def _initialised(config: PreTrainedConfig, *, attention: Attention, seed: int) -> PreTrainedModel:
    """A float32 model in evaluation mode with random weights.

    transformers initialises from torch's global generator, which is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            config, dtype=torch.float32, attn_implementation=attention
        )
    model.eval()  # type: ignore[no-untyped-call]
    return model
