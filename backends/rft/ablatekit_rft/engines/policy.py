"""The policy's own sampler as an engine: it reads the trained weights themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.draws import DrawKind
from ablatekit_rft.engines.mismatch import Mismatch
from ablatekit_rft.engines.sampler import sample
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Prompts, Rollouts


@dataclass(frozen=True, slots=True)
class PolicyEngine:
    """Draws with the lean decoder, or through the transformers module."""

    draws: ClassVar[DrawKind] = "uniforms"
    exact: ClassVar[bool] = True
    batch_items: ClassVar[int] = 128

    policy: Policy

    def sync(self, version: int) -> None:
        """Nothing to take over: the weights are the policy's."""

    def generate(
        self,
        prompts: Prompts,
        rollouts: int,
        draws: Tensor,
        decoding: Decoding,
        greedy: Tensor | None = None,
    ) -> Rollouts:
        """See `sampler.sample`; draws are uniform numbers (Q * rollouts, steps)."""
        uniforms = draws.to(self.policy.device)
        return sample(self.policy, prompts, rollouts, uniforms, decoding, greedy)

    def reconcile(
        self, rollouts: Rollouts, _decoding: Decoding, _budget: int, /
    ) -> tuple[Rollouts, Mismatch | None]:
        """Nothing to compare: both are the policy's."""
        return rollouts, None

    def rest(self) -> None:
        """Nothing to give back."""
