"""When a run has diverged although every number is finite."""

from __future__ import annotations

from dataclasses import dataclass, replace

COLLAPSE_ROUNDS = 10
COLLAPSE_SAMPLES = 256
COLLAPSE_BASELINE = 0.1


@dataclass(frozen=True, slots=True)
class Collapse:
    """The collapse rule: nothing correct for long, in a policy that once solved its task.

    A run has collapsed when its last `COLLAPSE_ROUNDS` rounds and its last `COLLAPSE_SAMPLES`
    rollouts, whichever is more, held no correct rollout, though Pass@1 on the train probe was at
    least `COLLAPSE_BASELINE` at step 0. A policy still at that Pass@1 would meet the rule with
    probability 0.9 ** 256 = 2e-12 in any one stretch.
    """

    baseline: float
    rounds: int = 0
    samples: int = 0

    def after_round(self, correct: int, samples: int) -> Collapse:
        """The state after a round with `correct` of `samples` rollouts right."""
        if correct:
            return replace(self, rounds=0, samples=0)
        return replace(self, rounds=self.rounds + 1, samples=self.samples + samples)

    @property
    def has_happened(self) -> bool:
        """Whether the rule holds."""
        return (
            self.baseline >= COLLAPSE_BASELINE
            and self.rounds >= COLLAPSE_ROUNDS
            and self.samples >= COLLAPSE_SAMPLES
        )
