"""What a model's files say of it before it is loaded: type, format, weights. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ablatekit.errors import Problem, UsageError

NO_KEYS_AND_VALUES = frozenset(
    {
        "bailing_hybrid", "bamba", "deepseek_v4", "falcon_h1", "falcon_mamba", "granitemoehybrid",
        "jamba", "kimi_linear", "lfm2", "lfm2_moe", "lfm3", "mamba", "mamba2", "minimax",
        "nemotron_h", "olmo_hybrid", "openai-gpt", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text",
        "qwen3_5_text", "qwen3_next", "recurrent_gemma", "reformer", "rwkv", "xlnet", "xlstm",
        "zamba", "zamba2", "zaya",
    }
)  # fmt: skip
"""Model types known to keep a state in some layers, or no cache; others are tried by a run."""

QUANTISED = ("quantization_config", "quantization", "compression_config")
"""Entries of config.json that say that weights are stored as codes."""

CODES = frozenset({"F8_E4M3", "F8_E5M2", "I8", "U8"})
"""Types of safetensors in which weights are stored as codes."""

POINTER = b"version https://git-lfs"
"""What stands in place of a file that Git LFS has not fetched."""

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
BYTES_PER_PARAMETER = 2
"""Of a file that does not say how many parameters it holds."""

TRANSFORMERS = "Use a transformer, such as those of the Llama, Qwen, Gemma or GPT-NeoX families"


def without_keys_and_values(model_type: str, name: str) -> UsageError:
    """The refusal of a model without a cache of keys and values in every layer."""
    rule = "rollouts need a model that keeps keys and values: a transformer"
    return UsageError(Problem(rule, f"{name!r} of type {model_type}", TRANSFORMERS))


def check_cache_type(configuration: Mapping[str, Any], name: str) -> None:
    """Raise UsageError for a type known to have no cache of keys and values in every layer."""
    for part in _parts(configuration):
        model_type = str(part.get("model_type"))
        if model_type in NO_KEYS_AND_VALUES:
            raise without_keys_and_values(model_type, name)


def check_format(configuration: Mapping[str, Any], name: str) -> None:
    """Raise UsageError for weights that are stored as codes, which have no gradient."""
    for part in _parts(configuration):
        found = next((part[key] for key in QUANTISED if part.get(key)), None)
        if found is not None:
            raise _quantised(found, name)


def _parts(configuration: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A configuration and that of its text model, where it has several modalities."""
    parts = (configuration, configuration.get("text_config"))
    return (part for part in parts if isinstance(part, Mapping))


def _quantised(entry: Any, name: str) -> UsageError:
    method = entry.get("quant_method") if isinstance(entry, Mapping) else None
    return UsageError(
        Problem(
            "quantised weights cannot be trained: a run trains weights of 16 or 32 bits",
            f"{name!r}, quantised by {method or 'a method that it does not name'}",
            "Use the checkpoint that was quantised, or save the model de-quantised",
        )
    )


def check_directory(directory: Path) -> None:
    """Raise UsageError for a directory that is no whole model, where its files say so."""
    if (directory / "adapter_config.json").is_file():
        raise adapters_only(str(directory))
    files = weight_files(directory)
    if not files or not (directory / "config.json").is_file():
        rule = "a model directory holds config.json, weights and a tokenizer"
        raise UsageError(Problem(rule, str(directory), "Save the model with save_pretrained"))
    check_format(configuration_of(directory), str(directory))
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        rule = "a weight file that the model's index names is missing"
        raise UsageError(Problem(rule, f"{missing[0]} in {directory}", "Copy the whole model"))
    for path in files:
        _check_weights(path)


def _check_weights(path: Path) -> None:
    """Raise UsageError for a file that is cut short, a pointer to another, or holds codes."""
    with path.open("rb") as file:
        is_pointer = file.read(len(POINTER)) == POINTER
    header = _header(path) if path.suffix == ".safetensors" else {}
    if is_pointer or header is None:
        rule = "a weight file is damaged: it is no safetensors file, or not all of one"
        if is_pointer:
            rule = "a weight file is a pointer of Git LFS, not the weights"
        raise UsageError(Problem(rule, str(path), "Copy the file again (of a clone: git lfs pull)"))
    codes = {part["dtype"] for name, part in header.items() if name.endswith(".weight")} & CODES
    if codes:
        raise _quantised({"quant_method": f"storing them as {min(codes)}"}, str(path))


def configuration_of(directory: Path) -> Mapping[str, Any]:
    """What config.json says; nothing where it cannot be read."""
    return _json(directory / "config.json")


def adapters_only(name: str) -> UsageError:
    """The refusal of adapters that stand on another model."""
    rule = "a model holds whole weights, not adapters on another model"
    remedy = "Merge them: PeftModel.from_pretrained(...).merge_and_unload().save_pretrained(...)"
    return UsageError(Problem(rule, name, remedy))


def weight_files(directory: Path) -> list[Path]:
    """The files that hold a model's weights, once each: one format, sharded or not."""
    for name in (SAFETENSORS, PICKLED):
        index = _json(directory / f"{name}.index.json").get("weight_map")
        if (directory / name).is_file():
            return [directory / name]
        if isinstance(index, Mapping):
            return sorted({directory / str(shard) for shard in index.values()})
    return sorted((*directory.glob("*.safetensors"), *directory.glob("*.bin")))


def stored_parameters(directory: Path) -> float:
    """How many parameters a directory's weights have; of pickled ones by their size."""
    return sum(_parameters(path) for path in weight_files(directory) if path.is_file())


def _parameters(path: Path) -> float:
    header = _header(path) if path.suffix == ".safetensors" else None
    if header:
        return float(sum(math.prod(part["shape"]) for part in header.values()))
    return path.stat().st_size / BYTES_PER_PARAMETER


def _header(path: Path) -> Mapping[str, Mapping[str, Any]] | None:
    """The tensors of a safetensors file; None where it is damaged or not all of it is there.

    Eight bytes of length, then a JSON header, then the tensors, which it places.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(begin - 8)) if 8 < begin <= size else None
        except ValueError:
            return None
    if not isinstance(header, Mapping):
        return None
    tensors = {name: part for name, part in header.items() if name != "__metadata__"}
    ends = (part["data_offsets"][1] for part in tensors.values())
    return tensors if begin + max(ends, default=0) == size else None


def _json(path: Path) -> Mapping[str, Any]:
    """What a JSON file says; nothing where it cannot be read or is no mapping."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, Mapping) else {}
