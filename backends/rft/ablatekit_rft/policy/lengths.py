"""How long a sequence of a model may be: its positions, and the reach of its rotary frequencies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ablatekit.errors import Problem, UsageError

POSITION_NAMES = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "max_target_positions",
)
"""Names under which configurations say how many positions a model has."""


@dataclass(frozen=True, slots=True)
class LengthLimit:
    """The most tokens of a prompt and its completion together, and the rule that says so."""

    tokens: int
    rule: str


def length_limit(config: Any) -> LengthLimit | None:
    """The smallest limit of a model's configuration; None where nothing bounds it (ALiBi).

    Rotary frequencies that depend on the longest sequence of a batch (dynamic NTK; LongRoPE,
    arXiv:2402.13753) make a rollout's probabilities depend on the others and on its own end. Up to
    the limit they are those of the model's original length, whatever the batch.
    """
    text = config.get_text_config(decoder=True)
    limits = [*_positions(text), *_rotary_switches(text), *_tempering(text)]
    return min(limits, key=lambda limit: limit.tokens, default=None)


def check_length(config: Any, longest: int) -> None:
    """Raise UsageError when a sequence of `longest` tokens exceeds a limit of the model."""
    limit = length_limit(config)
    if limit is not None and longest > limit.tokens:
        remedy = (
            "Lower max_new_tokens, evaluation.max_new_tokens or few_shot, or leave out the longest"
            " questions"
        )
        raise UsageError(Problem(limit.rule, f"a longest sequence of {longest} tokens", remedy))


def _positions(config: Any) -> Iterator[LengthLimit]:
    for name in POSITION_NAMES:
        positions = getattr(config, name, None)
        # Some configurations say -1 for no bound.
        if isinstance(positions, int) and positions > 0:
            rule = f"the model has positions for {positions} tokens, prompt and completion together"
            yield LengthLimit(positions, rule)
            return


def _rotary_switches(config: Any) -> Iterator[LengthLimit]:
    for parameters in _rotary_parameters(config):
        kind = str(parameters.get("rope_type", "default"))
        names: tuple[str, ...] = ()
        if kind == "longrope" or "long_mscale" in parameters:
            names = ("original_max_position_embeddings", "max_position_embeddings")
        elif "dynamic" in kind:
            names = ("max_position_embeddings",)
        found = [parameters.get(name) or getattr(config, name, None) for name in names]
        tokens = next((int(value) for value in found if value), None)
        if tokens is not None:
            rule = (
                f"the model's rotary frequencies ({kind}) are the same for all sequences of at most"
                f" {tokens} tokens, prompt and completion together, and change beyond with the"
                " longest one of a batch"
            )
            yield LengthLimit(tokens, rule)


def _tempering(config: Any) -> Iterator[LengthLimit]:
    """Llama 4 scales queries by their place in the cache, where padding has places, too."""
    scale = getattr(config, "floor_scale", None)
    if scale and getattr(config, "attn_temperature_tuning", False):
        rule = (
            f"the model tempers attention from {scale} tokens on, prompt and completion together,"
            " counting padding"
        )
        yield LengthLimit(int(scale) - 1, rule)


def _rotary_parameters(config: Any) -> list[Mapping[str, Any]]:
    """Parameters of a configuration's rotary embeddings: one set, or one for each type of layer."""
    parameters = getattr(config, "rope_parameters", None) or {}
    nested = [value for value in parameters.values() if isinstance(value, Mapping)]
    return nested or [parameters]
