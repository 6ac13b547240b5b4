"""What a run may spend, and how it is evaluated: the same for every condition of a study."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ablatekit_rft.settings.base import Part, stop_texts


class Budget(Part):
    """What a run may spend; schedules and evaluation points follow its unit.

    A round is never cut: the run ends with the round that reaches the amount.
    """

    unit: Literal["rounds", "samples", "generated_tokens"] = "rounds"
    """What is counted: rounds (updates), training rollouts, or training tokens generated."""
    amount: int = Field(default=60, ge=1)
    """How many of them. Source: a run of the shipped tiny models in seconds."""


class Evaluation(Part):
    """When and on how many items a run is evaluated; decoding is fixed by protocol.

    Sampled at temperature 1, whatever the training temperature, with draws common to all runs of a
    context.
    """

    points: int = Field(default=6, ge=1, le=1000)
    """Evaluations after the one at step 0, equally spaced over the budget; the last is its end."""
    probe_items: int | None = Field(default=256, ge=1)
    """Items of the train probe: the first of the train set, so inside every larger one; null: the
    whole train set, where it holds all train items."""
    test_items: int | None = Field(default=512, ge=1)
    """Test items, disjoint from every train set; null: all there are."""
    max_new_tokens: int | None = Field(default=None, ge=1, le=131_072)
    """Longest completion in evaluation; null: that of training. More shows whether a gain is only
    a shorter answer."""
    samples: int = Field(default=1, ge=1, le=256)
    """Completions sampled for each item."""
    pass_at: tuple[Annotated[int, Field(ge=2, le=256)], ...] = ()
    """The k for which Pass@k is reported, each at most `samples`."""
    intermediate_fraction: float = Field(default=0.25, gt=0, le=1)
    """Share of the items, a fixed subset, at points between step 0 and the end, which use all;
    these report the subset, too, as part/NAME."""
    stop: tuple[str, ...] = ()
    """Texts that end an evaluation completion, beside an end of sequence. Evaluation never follows
    the training setting `stop`: this one holds for every run of a study."""

    @property
    def uses_part(self) -> bool:
        """Whether some evaluations use a part of the items."""
        return self.intermediate_fraction < 1 and self.points > 1

    @field_validator("stop")
    @classmethod
    def _stop_texts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return stop_texts(value)

    @model_validator(mode="after")
    def _enough_samples(self) -> Evaluation:
        for k in self.pass_at:
            if k > self.samples:
                raise ValueError(f"pass_at {k} needs {k} samples or more, not {self.samples}")
        return self


class ProtocolSettings(Part):
    """Budget and evaluation of a run."""

    budget: Budget = Field(default_factory=Budget)
    """What a run may spend."""
    evaluation: Evaluation = Field(default_factory=Evaluation)
    """How a run is evaluated."""
