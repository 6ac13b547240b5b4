"""Optimizers as data: `() -> OptimizerSpec`. The torch half builds them.

There is no 8-bit optimizer: bitsandbytes quantises moments in CUDA kernels, so that no test here
without a GPU could run it.
"""

from __future__ import annotations

from ablatekit_rft.levels.types import OptimizerSpec, level

ADAM_EPS = 1e-8
"""The default of torch, TRL, verl and OpenRLHF."""

MUON_MOMENTUM = 0.95
"""The default of torch."""


@level(
    "optimizer",
    "adamw",
    formula="AdamW, betas (0.9, 0.999)",
    source="Decoupled weight decay, arXiv:1711.05101",
    params={"beta1": 0.9, "beta2": 0.999, "eps": ADAM_EPS},
    peers={"TRL": "default", "verl": "default", "OpenRLHF": "adam with betas (0.9, 0.95)"},
)
def adamw(*, learning_rate: float, weight_decay: float) -> OptimizerSpec:
    """Adaptive moments with a long memory of the gradient's scale (about 1000 updates)."""
    return _adamw(learning_rate, weight_decay, beta2=0.999)


@level(
    "optimizer",
    "adamw_b95",
    formula="AdamW, betas (0.9, 0.95)",
    source="The betas of language-model pre-training, arXiv:2005.14165",
    params={"beta1": 0.9, "beta2": 0.95, "eps": ADAM_EPS},
    peers={"TRL": "adam_beta2=0.95", "verl": "betas=[0.9, 0.95]", "OpenRLHF": "default"},
)
def adamw_b95(*, learning_rate: float, weight_decay: float) -> OptimizerSpec:
    """Adaptive moments with a short memory of the gradient's scale (about 20 updates)."""
    return _adamw(learning_rate, weight_decay, beta2=0.95)


@level(
    "optimizer",
    "sgd",
    formula="w <- w - lr (g + weight_decay w)",
    source="Robbins and Monro 1951",
    peers={"TRL": "optim='sgd'", "verl": "optimizer=SGD", "OpenRLHF": "none"},
)
def sgd(*, learning_rate: float, weight_decay: float) -> OptimizerSpec:
    """Plain gradient descent: here a constant on the advantage is a learning rate."""
    return OptimizerSpec(
        algorithm="sgd",
        learning_rate=learning_rate,
        weight_decay=weight_decay,
    )


@level(
    "optimizer",
    "muon",
    formula="w <- w - lr (0.2 sqrt(max(rows, columns)) O + weight_decay w), O the orthogonalised"
    " Nesterov momentum of a matrix; embeddings, head and vectors by adamw",
    source="Muon, Jordan 2024; the scale of its step arXiv:2502.16982",
    params={"momentum": MUON_MOMENTUM, "beta1": 0.9, "beta2": 0.999, "eps": ADAM_EPS},
    peers={"TRL": "optim='muon' of transformers", "verl": "none", "OpenRLHF": "muon"},
)
def muon(*, learning_rate: float, weight_decay: float) -> OptimizerSpec:
    """Every direction of a weight matrix moves alike; steps are as large as those of AdamW."""
    return OptimizerSpec(
        algorithm="muon",
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        betas=(0.9, 0.999),
        eps=ADAM_EPS,
        momentum=MUON_MOMENTUM,
    )


LEVELS = (adamw, adamw_b95, sgd, muon)


def _adamw(learning_rate: float, weight_decay: float, beta2: float) -> OptimizerSpec:
    return OptimizerSpec(
        algorithm="adamw",
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        betas=(0.9, beta2),
        eps=ADAM_EPS,
    )
