"""What a level is, and the data that levels work on. Importable without torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Stage: TypeAlias = Literal[
    "reward_coding", "advantage", "policy_loss", "aggregation", "kl_estimator", "optimizer"
]
Need: TypeAlias = Literal["groups", "lengths", "reference", "old"]


@dataclass(frozen=True, slots=True)
class RewardView:
    """What an advantage sees of a round of N rollouts of Q queries.

    rewards: (N,) float32, coded and after a KL term in the reward.
    group: (N,) int64, the rollout's query, 0..Q-1, every one present.
    lengths: (N,) int64, completion lengths in tokens.
    """

    rewards: Tensor
    group: Tensor
    lengths: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSpec:
    """An optimizer as data; `betas` and `eps` are None where the algorithm has none."""

    algorithm: Literal["adamw", "sgd"]
    learning_rate: float
    weight_decay: float
    betas: tuple[float, float] | None = None
    eps: float | None = None
    momentum: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of a design choice: its function and what documentation says about it.

    needs: what must be at hand besides the rollouts: `groups` (several rollouts per query),
    `lengths`, `reference` or `old` log-probabilities.
    min_group: fewest rollouts over which the level's statistics exist: rollouts of one query if it
    needs groups, of the whole round otherwise.
    peers: what TRL, verl and OpenRLHF do.
    """

    stage: Stage
    name: str
    formula: str
    source: str
    function: Callable[..., Any]
    needs: frozenset[Need] = frozenset()
    min_group: int = 1
    params: Mapping[str, float] = field(default_factory=dict)
    peers: Mapping[str, str] = field(default_factory=dict)
    doc: str

    def metadata(self) -> dict[str, Any]:
        """Everything but the function, as JSON."""
        return {
            "doc": self.doc,
            "formula": self.formula,
            "source": self.source,
            "needs": sorted(self.needs),
            "min_group": self.min_group,
            "params": dict(self.params),
            "peers": dict(self.peers),
        }


def level(
    stage: Stage,
    name: str,
    *,
    formula: str,
    source: str,
    needs: frozenset[Need] = frozenset(),
    min_group: int = 1,
    params: Mapping[str, float] | None = None,
    peers: Mapping[str, str],
) -> Callable[[Callable[..., Any]], Level]:
    """Make a function a level; the first paragraph of its docstring becomes the level's `doc`."""

    def make(function: Callable[..., Any]) -> Level:
        text = inspect.getdoc(function) or ""
        return Level(
            stage=stage,
            name=name,
            formula=formula,
            source=source,
            function=function,
            needs=needs,
            min_group=min_group,
            params=dict(params or {}),
            peers=dict(peers),
            doc=" ".join(text.split("\n\n")[0].split()),
        )

    return make
