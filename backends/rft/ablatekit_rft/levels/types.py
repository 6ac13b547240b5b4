"""What a level is, and the data that levels work on. Importable without torch."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ablatekit.runs.seeds import Seeds
from ablatekit_rft.levels.stages import SETTINGS_OF_NEEDS, Need, Stage, Trait

if TYPE_CHECKING:
    from torch import Tensor

State: TypeAlias = Mapping[str, "Tensor"]
"""What a level remembers between rounds, by name; part of a checkpoint."""


@dataclass(frozen=True, slots=True)
class RewardView:
    """What an advantage sees of a round: N rollouts of Q queries, all of them with a verdict.

    rewards: (N,) float32, shaped, and after a KL term in the reward.
    group: (N,) int64, the rollout's query, 0..Q-1, every one present.
    lengths: (N,) int64, completion lengths in tokens.
    item: (N,) int64, the rollout's train item; None where no level needs it.
    penalty: (N, T) float32, what was subtracted from the reward at each token, or None.
    greedy: (N,) bool, rollouts decoded greedily, or None when all were sampled.
    drift: (N,) float32, how far the policy has moved since it last answered the item, or None.
    """

    rewards: Tensor
    group: Tensor
    lengths: Tensor
    item: Tensor | None = None
    penalty: Tensor | None = None
    greedy: Tensor | None = None
    drift: Tensor | None = None

    def select(self, rows: Tensor) -> RewardView:
        """The rollouts at `rows` (K,), their queries numbered anew."""
        return RewardView(
            self.rewards[rows],
            _renumbered(self.group[rows]),
            self.lengths[rows],
            *(
                None if part is None else part[rows]
                for part in (self.item, self.penalty, self.greedy, self.drift)
            ),
        )


@dataclass(frozen=True, slots=True)
class RewardParts:
    """What the reward of N completions is made of. All (N,).

    rewards: float32, so far. outcome: float32, 1 for what the verifier called correct.
    lengths: int64, in tokens. truncated: bool, cut at the limit. group: int64, the query.
    judged: bool, sampled and with a verdict. limit: the length limit in tokens.
    """

    rewards: Tensor
    outcome: Tensor
    lengths: Tensor
    truncated: Tensor
    group: Tensor
    judged: Tensor
    limit: int


@dataclass(frozen=True, slots=True)
class Start:
    """What a level's state starts from: `items` train items, and Pass@1 at step 0 as a reward."""

    items: int
    reward: float


@dataclass(frozen=True, slots=True)
class SamplerView:
    """What a sample policy sees.

    items: size of the train set. position: queries drawn so far. count: queries to draw.
    rates: (items,) float64, running pass rates, NaN for items not yet answered.
    difficulty: (items,) float64, pass rates of the base model, empty unless a level needs them.
    """

    items: int
    position: int
    count: int
    rates: NDArray[np.float64]
    difficulty: NDArray[np.float64]
    seeds: Seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSpec:
    """An optimizer as data; `betas` and `eps` are None where the algorithm has none."""

    algorithm: Literal["adamw", "sgd", "muon"]
    learning_rate: float
    weight_decay: float
    betas: tuple[float, float] | None = None
    eps: float | None = None
    momentum: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of a design choice: its function and what documentation and rules know about it.

    function: takes the views of its stage (`stages.VIEWS`) by position and, by keyword, the
    settings that it reads, under their names. What a level reads is thus in its signature.
    needs: what must be at hand besides the rollouts: `groups` (several rollouts per query),
    `lengths`, `reference` or `old` log-probabilities, the `entropy` of every token's softmax,
    `extra` rollouts or a `greedy` one per query that carry no gradient, the policy's `drift` since
    an item's last visit, running pass `rates`, the base model's pass rates (`difficulty`), more
    queries in place of those that a filter drops (`refill`).
    traits: what it does whatever the rollouts (`stages.TRAITS`); rules and metrics follow from it.
    min_group: fewest rollouts over which the level's statistics exist: rollouts of one query if it
    needs groups, of the whole round otherwise.
    params: its constants; one with the name of a setting is its value where the setting is null.
    peers: what TRL, verl and OpenRLHF do.
    state: the state before the first round, for a level that remembers, as a function of `Start`
    and, by keyword, of settings: the level's function then takes the state as last argument by
    position and gives back (result, new state).
    parameters, state_parameters: the settings in both signatures. reads: all settings that the
    level, or the trainer on its behalf, reads, each once.
    """

    stage: Stage
    name: str
    formula: str
    source: str
    function: Callable[..., Any]
    needs: frozenset[Need] = frozenset()
    traits: frozenset[Trait] = frozenset()
    min_group: int = 1
    params: Mapping[str, float] = field(default_factory=dict)
    peers: Mapping[str, str] = field(default_factory=dict)
    doc: str
    state: Callable[..., State] | None = None
    parameters: tuple[str, ...] = field(init=False)
    state_parameters: tuple[str, ...] = field(init=False)
    reads: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Read both signatures once."""
        function = keyword_parameters(self.function)
        state = () if self.state is None else keyword_parameters(self.state)
        of_needs = (name for need in sorted(self.needs) for name in SETTINGS_OF_NEEDS.get(need, ()))
        object.__setattr__(self, "parameters", function)
        object.__setattr__(self, "state_parameters", state)
        object.__setattr__(self, "reads", tuple(dict.fromkeys((*function, *state, *of_needs))))

    def bound(self, settings: object) -> Callable[..., Any]:
        """The function with its settings filled in, to be called with the views of its stage."""
        if not self.parameters:
            return self.function
        return functools.partial(self.function, **self._filled(self.parameters, settings))

    def initial_state(self, start: Start, settings: object) -> State:
        """The state before the first round, empty for a level that remembers nothing."""
        if self.state is None:
            return {}
        return self.state(start, **self._filled(self.state_parameters, settings))

    def _filled(self, names: tuple[str, ...], settings: object) -> dict[str, Any]:
        given = {name: getattr(settings, name) for name in names}
        return {
            name: self.params.get(name) if value is None else value for name, value in given.items()
        }

    def metadata(self) -> dict[str, Any]:
        """Everything but the function, as JSON."""
        return {
            "doc": self.doc,
            "formula": self.formula,
            "source": self.source,
            "needs": sorted(self.needs),
            "traits": sorted(self.traits),
            "reads": list(self.reads),
            "min_group": self.min_group,
            "params": dict(self.params),
            "peers": dict(self.peers),
            "stateful": self.state is not None,
        }


def keyword_parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of what a function takes by keyword only, in their order."""
    return tuple(
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    )


def _renumbered(group: Tensor) -> Tensor:
    """Groups as 0..K-1 in their order, every one present."""
    present = group.new_zeros(int(group.max()) + 1).index_fill(0, group, 1)
    return (present.cumsum(dim=0) - 1)[group]


UNKNOWN_PEERS: Mapping[str, str] = MappingProxyType({})
"""Of a third party's level: nobody has compared it with other trainers."""


def level(
    stage: Stage,
    name: str,
    *,
    formula: str,
    source: str,
    needs: Collection[Need] = (),
    traits: Collection[Trait] = (),
    min_group: int = 1,
    params: Mapping[str, float] | None = None,
    peers: Mapping[str, str] = UNKNOWN_PEERS,
    state: Callable[..., State] | None = None,
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
            needs=frozenset(needs),
            traits=frozenset(traits),
            min_group=min_group,
            params=dict(params or {}),
            peers=dict(peers),
            doc=" ".join(text.split("\n\n")[0].split()),
            state=state,
        )

    return make
