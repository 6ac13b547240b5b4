"""What an engine is: it draws completions from the weights that it was last given."""

from __future__ import annotations

from typing import ClassVar, Protocol

from torch import Tensor

from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.draws import DrawKind
from ablatekit_rft.engines.mismatch import Mismatch
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts


class Engine(Protocol):
    """Draws completions of a policy.

    `draws` is what decides a row: one uniform number per step, or one seed. `exact`: it computes
    with the policy's own weights and functions, so that its log-probabilities are the policy's and
    nothing can be out of date. `batch_items` is how many items evaluation decodes together.
    """

    draws: ClassVar[DrawKind]
    exact: ClassVar[bool]
    batch_items: ClassVar[int]

    @property
    def policy(self) -> Policy:
        """The policy whose completions are drawn."""

    def sync(self, version: int) -> None:
        """Take over the policy's weights as they are; `version` counts its updates."""

    def generate(
        self,
        prompts: Prompts,
        rollouts: int,
        draws: Tensor,
        decoding: Decoding,
        greedy: Tensor | None = None,
    ) -> Rollouts:
        """Draw `rollouts` completions of each of Q prompts; row q * rollouts + j is q's j-th.

        draws: (Q * rollouts, ...), one row of randomness each. greedy: (Q * rollouts,) bool, rows
        that take the most probable token instead. The log-probabilities are the engine's; entropies
        are zeros where it has none. Raises FloatingPointError when probabilities are not finite.
        """

    def reconcile(
        self, rollouts: Rollouts, decoding: Decoding, budget: int, /
    ) -> tuple[Rollouts, Mismatch | None]:
        """Rollouts with the policy's own log-probabilities, and how far the engine's were.

        None where they are the same by construction. budget: tokens in one forward pass. Raises
        EngineError when the engine does not hold the policy, FloatingPointError when the policy's
        log-probabilities are not finite.
        """

    def rest(self) -> None:
        """Give back what training needs, until the next `sync`."""
