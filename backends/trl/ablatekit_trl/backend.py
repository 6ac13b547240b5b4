"""The backend `trl` as ablatekit sees it: everything but training, and without torch."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

from ablatekit_rft.content import named_content
from ablatekit_rft.metrics.names import SAMPLES, UPDATES
from ablatekit_rft.planning.examine import examine
from ablatekit_rft.sources.hashes import training_memory
from pydantic import BaseModel

from ablatekit.backend import Progress, Rule, RunContext, Settings
from ablatekit.canonical import canonical_json
from ablatekit.errors import PluginError, Problem
from ablatekit.runs.records import MetricSpec, Resources, RunResult, RunSpec
from ablatekit_trl.metrics import reported
from ablatekit_trl.rules import RULES
from ablatekit_trl.settings import TrlSettings

TRAINING_PACKAGES = ("torch", "transformers", "safetensors", "datasets", "trl")


class TrlBackend:
    """TRL's GRPOTrainer and RLOOTrainer on rft's models, data, verifiers and evaluation."""

    name: ClassVar[str] = "trl"
    results_version: ClassVar[int] = 1
    settings: ClassVar[type[BaseModel]] = TrlSettings

    def rules(self) -> Sequence[Rule]:
        """What TRL cannot express, and settings without effect; see `ablatekit_trl.rules`."""
        return RULES

    def metrics(self, settings: Settings) -> Sequence[MetricSpec]:
        """What a run reports; see `ablatekit_trl.metrics`."""
        return reported(_validated(canonical_json(dict(settings))))

    def expected_costs(self, settings: Settings) -> Mapping[str, float]:
        """Training rollouts and optimizer steps of all rounds."""
        chosen = _validated(canonical_json(dict(settings)))
        if chosen.budget.unit == "generated_tokens":
            return {}
        samples = chosen.rounds * chosen.samples_per_round
        return {SAMPLES: float(samples), UPDATES: float(chosen.rounds * chosen.updates_per_round)}

    def resources(self, settings: Settings) -> Resources:
        """Threads, a share of a GPU unless `device` is cpu, and memory for weights and moments."""
        chosen = _validated(canonical_json(dict(settings)))
        return Resources(
            cpus=chosen.threads,
            gpus=0.0 if chosen.device == "cpu" else chosen.gpu_share,
            memory=training_memory(chosen.model),
        )

    def content(self, settings: Settings) -> Mapping[str, str]:
        """Hashes of model, data set and verifier, as the backend `rft` makes them."""
        return named_content(_validated(canonical_json(dict(settings))).as_rft())

    def examine(self, settings: Settings, progress: Progress) -> Sequence[str]:
        """Judge the answers of the data set and what prompts show, as the backend `rft` does."""
        return examine(_validated(canonical_json(dict(settings))).as_rft(), progress)

    def run(self, run: RunSpec, context: RunContext) -> RunResult:
        """Train and evaluate one run. Raises PluginError where the training half is missing."""
        _require_training_packages()
        from ablatekit_trl.run.build import train

        return train(run, context)


@lru_cache(maxsize=1024)
def _validated(settings: str) -> TrlSettings:
    """Settings from their JSON: a plan asks for metrics and for content of the same ones."""
    return TrlSettings.from_dotted(json.loads(settings))


def _require_training_packages() -> None:
    missing = [name for name in TRAINING_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise PluginError(
            Problem(
                "the backend 'trl' cannot train in this environment",
                f"no package {', '.join(missing)}",
                "pip install 'ablatekit-trl[train]' (from a checkout:"
                " pip install -e 'backends/rft[train]' -e 'backends/trl[train]'), or set"
                " backend.python to an interpreter that has it",
            )
        )
