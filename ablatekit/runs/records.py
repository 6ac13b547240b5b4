"""The frozen records that cross the borders between stages; all of them are JSON on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self, TypeAlias

from ablatekit.canonical import content_hash

RunStatus: TypeAlias = Literal["finished", "diverged"]
"""How a run ended as a result. A failure is not a result: it has no `RunResult`."""

Direction: TypeAlias = Literal["higher", "lower"]
"""Which way a response is better."""

SPEC_VERSION = 1

PROPORTION_UNITS = frozenset(
    {"proportion", "fraction", "probability", "accuracy", "rate", "pass@1", "share"}
)
"""Units of values between 0 and 1, whose differences are shown in points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run: cell x context x replicate, as the backend receives it.

    `settings` holds every setting that decides results, by dotted name, resolved and canonical, the
    context's included; one that is declared `{"unstated": True}` is left out at its default, so
    that a new setting leaves earlier runs as they are. `execution` holds those that decide only
    where and how fast the run executes (settings declared with
    `json_schema_extra={"execution": True}`): recorded, never hashed.
    `context` names the blocking variables and their values; `content` maps what the settings name
    (model, data, user-supplied levels) to a hash of what it contains.
    """

    backend: str
    results_version: int
    settings: Mapping[str, Any]
    context: Mapping[str, str]
    content: Mapping[str, str]
    replicate: int
    execution: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """Hash of everything that decides the run's results."""
        return content_hash(
            {
                "spec": SPEC_VERSION,
                "backend": self.backend,
                "results_version": self.results_version,
                "settings": self._by_content(self.settings),
                "context": self._by_content(self.context),
                "content": dict(self.content),
                "replicate": self.replicate,
            }
        )

    @property
    def context_id(self) -> str:
        """Hash of the context by content: the key of what all runs of a context share."""
        return content_hash({"context": self._by_content(self.context)})

    def _by_content(self, named: Mapping[str, Any]) -> dict[str, Any]:
        """Names and paths replaced by what they contain: a moved model is the same model."""
        return {name: self.content.get(name, value) for name, value in named.items()}

    def to_json(self) -> dict[str, Any]:
        """The content of `spec.json`."""
        return {"spec_version": SPEC_VERSION, "run_id": self.run_id, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**{part.name: value[part.name] for part in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a backend returns: how the run ended, its last valid metrics, and why if it diverged.

    A finished run may have a message, too: what to know about its result.
    """

    status: RunStatus
    metrics: Mapping[str, float]
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvent:
    """Metrics logged at one step of one run. `time` is seconds since the epoch at the worker."""

    step: int
    time: float
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """A metric that runs report.

    `role` tells the study which metrics are the default responses (`learning`,
    `generalization`), which are costs, and which are only watched (`dynamics`).
    `repeatable` is false for a metric that differs between two executions of one run (seconds).
    `partial`: values between the first and the last are measured on a part of the items, the same
    at every step and in every run of a context. Where the metric is measured on all items (the
    first and the last step among these), the run logs the value of that part beside it, under
    `part_metric(name)`, which needs no declaration of its own. So curves show one set of items.
    `items` is the split of the item outcomes whose mean it is, where outcomes are kept.
    `at_zero` and `at_one` say what to try where a proportion is that before training, as a list of
    suggestions; without one such a start is nothing to warn of.
    """

    name: str
    direction: Direction
    unit: str = ""
    role: Literal["learning", "generalization", "cost", "dynamics"] = "dynamics"
    repeatable: bool = True
    doc: str = ""
    partial: bool = False
    items: str = ""
    at_zero: str = ""
    at_one: str = ""


def part_metric(name: str) -> str:
    """The metric that holds the values of a partial metric on the part, where it has all items."""
    return f"part/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one run occupies. `memory` in GiB."""

    cpus: int = 1
    gpus: float = 0.0
    memory: float = 1.0
