"""The backend `rft` as ablatekit sees it: everything but training, and without torch."""

from __future__ import annotations

import gc
import importlib.util
import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import ClassVar

from pydantic import BaseModel

from ablatekit.backend import Progress, Rule, RunContext, Settings
from ablatekit.canonical import canonical_json
from ablatekit.errors import PluginError, Problem
from ablatekit.runs.records import MetricSpec, Resources, RunResult, RunSpec
from ablatekit_rft import content
from ablatekit_rft.metrics.budget import expected_samples
from ablatekit_rft.metrics.names import SAMPLES
from ablatekit_rft.metrics.specs import metric_specs
from ablatekit_rft.planning.examine import examine
from ablatekit_rft.rules import RULES
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.sources.hashes import training_memory

TRAINING_PACKAGES = ("torch", "transformers", "safetensors")


class RftBackend:
    """Reinforcement fine-tuning of a causal language model with a verifiable reward."""

    name: ClassVar[str] = "rft"
    results_version: ClassVar[int] = 2
    settings: ClassVar[type[BaseModel]] = RftSettings

    def rules(self) -> Sequence[Rule]:
        """Invalid, inert, aliased and questionable combinations; see `ablatekit_rft.rules`."""
        return RULES

    def metrics(self, settings: Settings) -> Sequence[MetricSpec]:
        """What a run reports; see `ablatekit_rft.metrics`."""
        return metric_specs(_validated(canonical_json(dict(settings))))

    def expected_costs(self, settings: Settings) -> Mapping[str, float]:
        """Training rollouts of all rounds, where no level draws until it has enough."""
        samples = expected_samples(_validated(canonical_json(dict(settings))))
        return {} if samples is None else {SAMPLES: float(samples)}

    def resources(self, settings: Settings) -> Resources:
        """Threads, a share of a GPU unless `device` is cpu, and memory for weights and moments."""
        chosen = _validated(canonical_json(dict(settings)))
        return Resources(
            cpus=chosen.threads,
            gpus=0.0 if chosen.device == "cpu" else chosen.gpu_share,
            memory=training_memory(chosen.model),
        )

    def content(self, settings: Settings) -> Mapping[str, str]:
        """Hashes of what settings name; see `ablatekit_rft.content`."""
        return content.named_content(_validated(canonical_json(dict(settings))))

    def examine(self, settings: Settings, progress: Progress) -> Sequence[str]:
        """Judge the answers of the data set and what prompts show; see `ablatekit_rft.planning`."""
        return examine(_validated(canonical_json(dict(settings))), progress)

    def run(self, run: RunSpec, context: RunContext) -> RunResult:
        """Train and evaluate one run. Raises PluginError where the training half is missing."""
        _require_training_packages()
        _import_training()
        from ablatekit_rft.run.build import train

        return train(run, context)


@cache
def _import_training() -> None:
    """Import what training needs without garbage collection, then or ever after, of what it makes.

    torch and transformers make half a million objects that live as long as the process: looking
    through them takes a fifth of the import, and a fifth of a second in each full collection.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module("ablatekit_rft.run.build")
        # transformers imports this part of itself, the largest, with the first model.
        importlib.import_module("transformers.modeling_utils")
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@lru_cache(maxsize=1024)
def _validated(settings: str) -> RftSettings:
    """Settings from their JSON: a plan asks for metrics and for content of the same ones."""
    return RftSettings.from_dotted(json.loads(settings))


def _require_training_packages() -> None:
    missing = [name for name in TRAINING_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise PluginError(
            Problem(
                "the backend 'rft' cannot train in this environment",
                f"no package {', '.join(missing)}",
                "pip install 'ablatekit-rft[train]' (from a checkout:"
                " pip install 'backends/rft[train]'), or set backend.python to an interpreter"
                " that has it",
            )
        )
