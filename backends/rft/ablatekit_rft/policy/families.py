"""Which transformers modules the lean decoder can read, and where their weights are.

A model outside these families, or with a feature that they do not have here (sliding windows,
position-dependent rotary scaling, low-rank adapters), is run through its own transformers module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from transformers.activations import ACT2FN

from ablatekit_rft.policy.decoder import (
    Block,
    Decoder,
    Embedding,
    Linear,
    Norm,
    RotaryTables,
    Shape,
)
from ablatekit_rft.policy.flat_parameters import FlatParameters

Group = tuple[str, ...]
STATIC_ROTARY = frozenset({"default", "linear", "llama3", "yarn"})


def is_lean(model: Any) -> bool:
    """Whether `build_decoder` supports this transformers causal LM."""
    config = model.config
    rotary = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    layers = set(getattr(config, "layer_types", None) or ("full_attention",))
    return (
        not hasattr(model, "peft_config")
        and config.model_type in ("llama", "qwen2", "qwen3", "gpt_neox")
        and rotary in STATIC_ROTARY
        and layers == {"full_attention"}
    )


def fused_groups(model: Any) -> tuple[Group, ...]:
    """Parameters that the decoder reads as one matrix, that lie side by side in the buffer."""
    if not is_lean(model) or model.config.model_type == "gpt_neox":
        return ()
    present = {name for name, _ in model.named_parameters()}
    layers = range(model.config.num_hidden_layers)
    groups = (group for layer in layers for group in _llama_groups(layer))
    return tuple(group for group in groups if set(group) <= present)


def build_decoder(model: Any, parameters: FlatParameters) -> Decoder:
    """The lean decoder of a model for which `is_lean` is true, on the memory of `parameters`."""
    build = _neox if model.config.model_type == "gpt_neox" else _llama
    return build(model, parameters)


def _llama_groups(layer: int) -> tuple[Group, ...]:
    attention, mlp = f"model.layers.{layer}.self_attn", f"model.layers.{layer}.mlp"
    return tuple(
        group
        for kind in ("weight", "bias")
        for group in (
            tuple(f"{attention}.{name}_proj.{kind}" for name in "qkv"),
            tuple(f"{mlp}.{name}_proj.{kind}" for name in ("gate", "up")),
        )
    )


def _llama(model: Any, parameters: FlatParameters) -> Decoder:
    config, body = model.config, model.model
    head_dim = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    return Decoder(
        shape=Shape(
            heads=config.num_attention_heads,
            key_heads=config.num_key_value_heads,
            head_dim=head_dim,
            rotary_dim=head_dim,
            activation=_activation(config),
            gated=True,
            interleaved=False,
            parallel=False,
        ),
        embedding=_embedding(body.embed_tokens),
        blocks=tuple(_llama_block(layer, parameters, body) for layer in range(len(body.layers))),
        final_norm=_norm(body.norm),
        head=Linear(model.lm_head.weight),
        rotary=RotaryTables(body.rotary_emb, body.embed_tokens.weight.detach()),
    )


def _llama_block(index: int, parameters: FlatParameters, body: Any) -> Block:
    layer = body.layers[index]
    attention = layer.self_attn
    qkv, gate_up, qkv_bias, gate_up_bias = _llama_groups(index)
    return Block(
        attention_norm=_norm(layer.input_layernorm),
        qkv=Linear(parameters.fused(qkv), _fused_bias(parameters, qkv_bias)),
        query_norm=_norm(attention.q_norm) if hasattr(attention, "q_norm") else None,
        key_norm=_norm(attention.k_norm) if hasattr(attention, "k_norm") else None,
        out=_linear(attention.o_proj),
        mlp_norm=_norm(layer.post_attention_layernorm),
        up=Linear(parameters.fused(gate_up), _fused_bias(parameters, gate_up_bias)),
        down=_linear(layer.mlp.down_proj),
    )


def _neox(model: Any, _parameters: FlatParameters) -> Decoder:
    config, body = model.config, model.gpt_neox
    head_dim = config.hidden_size // config.num_attention_heads
    return Decoder(
        shape=Shape(
            heads=config.num_attention_heads,
            key_heads=config.num_attention_heads,
            head_dim=head_dim,
            rotary_dim=body.layers[0].attention.rotary_ndims,
            activation=_activation(config),
            gated=False,
            interleaved=True,
            parallel=config.use_parallel_residual,
        ),
        embedding=_embedding(body.embed_in),
        blocks=tuple(_neox_block(layer) for layer in body.layers),
        final_norm=_norm(body.final_layer_norm),
        head=Linear(model.lm_head.weight),
        rotary=RotaryTables(body.rotary_emb, body.embed_in.weight.detach()),
    )


def _neox_block(layer: Any) -> Block:
    return Block(
        attention_norm=_norm(layer.input_layernorm),
        qkv=_linear(layer.attention.query_key_value),
        query_norm=None,
        key_norm=None,
        out=_linear(layer.attention.dense),
        mlp_norm=_norm(layer.post_attention_layernorm),
        up=_linear(layer.mlp.dense_h_to_4h),
        down=_linear(layer.mlp.dense_4h_to_h),
    )


def _linear(module: Any) -> Linear:
    return Linear(module.weight, module.bias)


def _embedding(module: Any) -> Embedding:
    return Embedding(module.weight, module.padding_idx)


def _norm(module: Any) -> Norm:
    eps = module.variance_epsilon if hasattr(module, "variance_epsilon") else module.eps
    return Norm(module.weight, getattr(module, "bias", None), eps)


def _fused_bias(parameters: FlatParameters, names: Group) -> Tensor | None:
    return parameters.fused(names) if names[0] in parameters.slots else None


def _activation(config: Any) -> Callable[[Tensor], Tensor]:
    # The bound method: calling a module costs more than the activation of a few rows.
    activation: Callable[[Tensor], Tensor] = ACT2FN[config.hidden_act].forward
    return activation
