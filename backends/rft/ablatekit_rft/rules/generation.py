"""Rules on the engine and on decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ablatekit.backend import Condition, Rule, Settings, at_least, none_of, one_of
from ablatekit_rft.basemodels.catalogue import FAMILIES
from ablatekit_rft.basemodels.tokenizer import CHARACTERS, SPECIALS


@dataclass(frozen=True, slots=True)
class Unwritable(Condition):
    """The setting holds a text that the tokenizer of characters cannot write."""

    def holds(self, value: Any, settings: Settings) -> bool:  # noqa: ARG002 (of the base class)
        """Whether one of the texts is no special token and has a character of its own."""
        return any(set(text) - set(CHARACTERS) for text in value if text not in SPECIALS)


_WHY = "the shipped tiny models write letters, digits and a few signs: this stop text never occurs"
_REMEDY = f"Leave it out, or stop at a text of {CHARACTERS!r}"

RULES = (
    Rule(
        name="auto_engine_on_a_gpu",
        kind="alias",
        when={"engine": one_of("auto"), "device": one_of("cuda")},
        then={"engine": "vllm"},
        why="auto is vllm in a study that says device: cuda",
    ),
    Rule(
        name="auto_engine",
        kind="alias",
        when={"engine": one_of("auto"), "device": none_of("cuda")},
        then={"engine": "policy"},
        why="auto is policy in a study that does not say device: cuda",
    ),
    Rule(
        name="greedy_group",
        kind="invalid",
        when={"top_k": one_of(1), "rollouts": at_least(2)},
        why="top_k of 1 is greedy decoding: all rollouts of a query would be the same",
        remedy="Set rollouts to 1, or top_k to 0 or to 2 and more",
    ),
    Rule(
        name="tiny_model_in_a_chat",
        kind="invalid",
        when={"template": one_of("chat"), "model": one_of(*FAMILIES)},
        why="the shipped tiny models have a tokenizer of characters, without a chat template",
        remedy="Set template: none or qa, or use a model that was trained on conversations",
    ),
    Rule(
        name="unwritable_stop",
        kind="invalid",
        when={"model": one_of(*FAMILIES), "stop": Unwritable()},
        why=_WHY,
        remedy=_REMEDY,
    ),
    Rule(
        name="unwritable_evaluation_stop",
        kind="invalid",
        when={"model": one_of(*FAMILIES), "evaluation.stop": Unwritable()},
        why=_WHY,
        remedy=_REMEDY,
    ),
)
