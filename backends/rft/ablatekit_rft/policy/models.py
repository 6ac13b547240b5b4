"""The base model and tokenizer of a run: shipped, from a directory, or from the hub."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from ablatekit.errors import PluginError, Problem, UsageError
from ablatekit.runs.seeds import Seeds
from ablatekit_rft import basemodels
from ablatekit_rft.basemodels.catalogue import FAMILIES
from ablatekit_rft.policy.chat import Chat, Message, no_chat_template
from ablatekit_rft.policy.special_tokens import SpecialTokens
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.sources.checkpoints import (
    TRANSFORMERS,
    adapters_only,
    check_directory,
    check_format,
)
from ablatekit_rft.sources.hub import parse_hub_name


class Tokenizer(Protocol):
    """What a run needs of a tokenizer."""

    @property
    def pad_id(self) -> int:
        """Fills what lengths exclude; may equal an end of sequence."""

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Every token that ends a completion."""

    @property
    def size(self) -> int:
        """One more than the largest id that stands for a token; a model may have more logits."""

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt."""

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation, ready for the assistant's turn."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a completion without its end of sequence and other control tokens."""

    def spell(self, ids: Sequence[int]) -> str:
        """Text of a completion with every token, control tokens as they are written."""

    @property
    def added(self) -> Mapping[str, int]:
        """Tokens that stand apart from the text around them, special or not, by their text."""

    @property
    def control(self) -> Mapping[int, str]:
        """The tokens that `decode` leaves out, with what `spell` writes for them."""


@dataclass(frozen=True, slots=True)
class CharacterTokenizer:
    """The tokenizer of the shipped models."""

    inner: basemodels.CharTokenizer

    @property
    def pad_id(self) -> int:
        return self.inner.pad_id

    @property
    def eos_ids(self) -> tuple[int, ...]:
        return (self.inner.eos_id,)

    @property
    def size(self) -> int:
        return self.inner.vocab_size

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt."""
        return self.inner.encode(text)

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The shipped tiny models know no conversation: raises UsageError."""
        raise no_chat_template(f"{len(messages)} messages")

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a completion without its end of sequence."""
        return self.inner.decode(ids)

    def spell(self, ids: Sequence[int]) -> str:
        """Text of a completion with `<eos>` and its kind."""
        return "".join(self.control.get(token) or self.inner.decode([token]) for token in ids)

    @property
    def added(self) -> Mapping[str, int]:
        return {token: id_ for id_, token in self.control.items()}

    @property
    def control(self) -> Mapping[int, str]:
        return dict(enumerate(basemodels.SPECIALS))


@dataclass(frozen=True)
class TransformersTokenizer:
    """A tokenizer of transformers with the generation settings that belong to its model."""

    inner: Any
    eos_ids: tuple[int, ...]
    embeddings: int | None = None
    """Tokens that the model has embeddings for; None: all of the tokenizer."""

    @property
    def pad_id(self) -> int:
        # A padding token is often added to a tokenizer alone; what it is does not matter.
        pad, ids = self.inner.pad_token_id, range(self.embeddings or self.size)
        return next((int(id_) for id_ in (pad, *self.eos_ids) if id_ in ids), 0)

    @cached_property
    def size(self) -> int:
        """One more than the largest id: ids may have gaps, and vocabularies may be padded."""
        ids: dict[str, int] = self.inner.get_vocab()
        return 1 + max(*ids.values(), *self.eos_ids)

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt, special tokens only in front: a completion follows."""
        ids: list[int] = self.inner(text)["input_ids"]
        plain: list[int] = self.inner(text, add_special_tokens=False)["input_ids"]
        return without_ending(ids, plain)

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation by the model's chat template; see `Chat.encode`."""
        if not self.inner.chat_template:
            raise no_chat_template(self.inner.name_or_path)
        return self._chat.encode(messages)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a completion without control tokens; see `SpecialTokens`."""
        return self._special.visible(ids)

    def spell(self, ids: Sequence[int]) -> str:
        """Text of a completion with every token."""
        return self._special.spelled(ids)

    @property
    def added(self) -> Mapping[str, int]:
        return self._special.ids

    @property
    def control(self) -> Mapping[int, str]:
        return self._special.control

    @cached_property
    def _chat(self) -> Chat:
        return Chat(self.inner, self.eos_ids)

    @cached_property
    def _special(self) -> SpecialTokens:
        return SpecialTokens(self.inner, self.eos_ids)


def without_ending(ids: list[int], plain: list[int]) -> list[int]:
    """`ids` without the special tokens that a tokenizer appended to `plain`, if that is inside."""
    for start in range(len(ids) - len(plain) + 1):
        end = start + len(plain)
        if plain and ids[start:end] == plain:
            return ids[:end]
    return ids


def load_model(name: str, device: torch.device, content: str = "") -> tuple[Any, Tokenizer]:
    """A causal LM in float32 on `device`, and its tokenizer.

    `name` is a shipped model, a directory, or a name on the hub; `content` identifies the model in
    the run, a hub model by its commit. Raises UsageError when `name` is none of them.
    """
    if name in FAMILIES:
        shipped, tokenizer = basemodels.load(name)
        return _moved(shipped, device), CharacterTokenizer(tokenizer)
    if Path(name).is_dir():
        check_directory(Path(name))
    source = _source(name, content)
    loaded, report, inner = _loaded(source, name)
    _check_whole(loaded, report["missing_keys"], name)
    rows = len(loaded.get_input_embeddings().weight)
    return _moved(loaded, device), TransformersTokenizer(inner, _eos_ids(loaded, inner, name), rows)


def _loaded(source: Mapping[str, str], name: str) -> tuple[Any, Mapping[str, Any], Any]:
    """The model of a source, what transformers says of its files, and the tokenizer."""
    try:
        _check_configuration(PreTrainedConfig.get_config_dict(**source)[0], name)
        # Without a choice transformers takes sdpa for the classes that have it, else eager.
        loading: Any = AutoModelForCausalLM.from_pretrained(
            **source, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
        )
        return *loading, AutoTokenizer.from_pretrained(**source, trust_remote_code=False)
    except (UsageError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # Damaged files raise anything; what the tokenizers package raises is nothing narrower.
        raise UsageError(
            Problem(
                "the model cannot be loaded",
                f"{name!r}: {type(error).__name__}: {error}",
                f"Use a directory, a name on the hub, or one of {', '.join(FAMILIES)}",
            )
        ) from error


def _check_configuration(configuration: Mapping[str, Any], name: str) -> None:
    """Raise UsageError for a model that transformers itself cannot train as a language model."""
    check_format(configuration, name)
    model_type = configuration.get("model_type")
    if model_type is None or model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return
    if "auto_map" in configuration:
        rule = "no code of a checkpoint is run: trust_remote_code is not supported"
        remedy = f"Use a model whose type transformers {transformers.__version__} has"
    else:
        rule = f"transformers {transformers.__version__} has no causal language model of this type"
        remedy = TRANSFORMERS
    raise UsageError(Problem(rule, f"{name!r} of type {model_type}", remedy))


def _check_whole(model: Any, missing: Collection[str], name: str) -> None:
    """Raise UsageError for a model some of whose weights are not those of its files.

    transformers draws missing weights at random with a warning, and loads what adapters stand on.
    """
    if missing:
        rule = "the files hold all weights of the model"
        received = f"{name!r} lacks {len(missing)}, among them {min(missing)}"
        remedy = "Use a checkpoint of the whole language model, its head too, as it was saved"
        raise UsageError(Problem(rule, received, remedy))
    if getattr(model, "_hf_peft_config_loaded", False):
        raise adapters_only(name)


def _source(name: str, content: str) -> dict[str, str]:
    """Where transformers finds a model: a directory, or a hub name at the commit of the run."""
    model = None if Path(name).is_dir() else parse_hub_name(content) or parse_hub_name(name)
    path = {"pretrained_model_name_or_path": model.name if model else name}
    return {**path, "revision": model.revision} if model else path


def _moved(model: Any, device: torch.device) -> Any:
    # Typed as Any: the stubs of `PreTrainedModel.to` do not admit a device.
    return model.to(device)


def _eos_ids(model: Any, tokenizer: Any, name: str) -> tuple[int, ...]:
    """End-of-sequence tokens of the model's generation settings and of its tokenizer."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    eos_ids = {int(token) for token in (*listed, tokenizer.eos_token_id) if token is not None}
    if not eos_ids:
        raise UsageError(
            Problem("neither the model nor its tokenizer names an end of sequence", repr(name))
        )
    return tuple(sorted(eos_ids))


def parameterised(model: Any, settings: RftSettings, seeds: Seeds) -> Any:
    """The model in the run's storage format, with low-rank adapters where it has a rank.

    All weights are trained, or the adapters alone. Dropout is 0: policies stay in evaluation mode.
    """
    if settings.precision == "bf16":
        model = _rounded(model)
    model.requires_grad_(True)
    rank = settings.lora_rank
    return model if rank is None else _with_adapters(model, rank, settings.lora_alpha, seeds)


def _rounded(model: Any) -> Any:
    """The model in bfloat16, its rotary frequencies exact: a rounded one turns far positions round.

    Checkpoints are trained, and vLLM computes, with frequencies in single precision.
    """
    exact = [
        (module, name, buffer)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if name.endswith("inv_freq")
    ]
    model = model.to(torch.bfloat16)
    for module, name, buffer in exact:
        setattr(module, name, buffer)
    return model


def _with_adapters(model: Any, rank: int, alpha: int, seeds: Seeds) -> Any:
    """LoRA on every linear layer but the head (arXiv:2106.09685); at first it changes nothing.

    Experts that transformers keeps as one tensor have adapters where peft knows their type.
    """
    if importlib.util.find_spec("peft") is None:
        raise PluginError(
            Problem(
                "lora_rank needs the package peft",
                f"lora_rank: {rank}",
                "pip install 'ablatekit-rft[train,peft]'",
            )
        )
    from peft import LoraConfig, get_peft_model

    configuration = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
    )
    seed = int(np.random.default_rng(seeds.own("adapters")).integers(2**62))
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # Of transposed layers (GPT-2), whose adapters are transposed, too, and of fused experts.
        warnings.filterwarnings("ignore", "fan_in_fan_out is set to False")
        warnings.filterwarnings("ignore", "The following (rank|alpha)_pattern keys did not")
        torch.manual_seed(seed)
        try:
            adapted = get_peft_model(model, configuration, autocast_adapter_dtype=False)
            with torch.no_grad():
                adapted(input_ids=torch.zeros(1, 2, dtype=torch.int64, device=model.device))
        # What peft and a module between its adapters raise for layers that do not fit.
        except (AttributeError, TypeError, ValueError) as error:
            rule = "lora_rank needs layers that low-rank adapters fit"
            received = f"a model of type {model.config.model_type}: {error}"
            raise UsageError(
                Problem(rule, received, "Train all weights: lora_rank: null")
            ) from error
    return adapted
