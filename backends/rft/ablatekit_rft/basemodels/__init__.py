"""The shipped base models. Importing this package imports no torch; `load` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit_rft.basemodels.catalogue import (
    BaseModelInfo,
    UnknownBaseModelError,
    catalogue,
    model_info,
)
from ablatekit_rft.basemodels.tokenizer import SPECIALS, CharTokenizer, UnknownCharacterError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ablatekit_rft.basemodels.architectures import Attention

__all__ = [
    "SPECIALS",
    "BaseModelInfo",
    "CharTokenizer",
    "UnknownBaseModelError",
    "UnknownCharacterError",
    "catalogue",
    "load",
    "model_info",
]


def load(
    name: str, *, attn_implementation: Attention = "sdpa"
) -> tuple[PreTrainedModel, CharTokenizer]:
    """A shipped causal language model in float32, in evaluation mode, and its tokenizer.

    The stored weights are float16; every float16 number is a float32 number, so nothing is lost.
    Dropout is 0 in every configuration. `UnknownBaseModelError` for a name that is not shipped.
    """
    from ablatekit_rft.basemodels.architectures import from_folder

    return from_folder(model_info(name).path, attention=attn_implementation), CharTokenizer()
