"""What a study's settings name, as hashes of content. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.levels.external import is_external, level_hash
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.sources.hashes import check_cache, model_content
from ablatekit_rft.sources.references import is_reference
from ablatekit_rft.tasks import SplitName, registry
from ablatekit_rft.tasks.rows import Fields
from ablatekit_rft.tasks.verifiers.registry import check_verifier
from ablatekit_rft.tasks.verifiers.user import verifier_hash


def named_content(chosen: RftSettings) -> dict[str, str]:
    """Hashes of what settings name: model, data set, and the source of a user's functions.

    Model and data set depend on nothing but their names, so that all cells of a context share them.
    Raises UsageError when one is unknown or cannot be trained, or has fewer items than the settings
    ask for.
    """
    fields = Fields(**chosen.fields.model_dump())
    sizes: dict[SplitName, int | None] = {
        "train": chosen.train_items,
        "test": chosen.evaluation.test_items,
    }
    named = {
        "model": model_content(chosen.model),
        "dataset": registry.dataset_content(chosen.dataset),
    }
    if chosen.drawing_engine == "policy":
        check_cache(chosen.model)
    registry.check_sizes(chosen.dataset, fields, sizes)
    if is_reference(check_verifier(chosen.verifier)):
        named["verifier"] = verifier_hash(chosen.verifier)
    return named | levels_content(chosen)


def levels_content(chosen: RftSettings) -> dict[str, str]:
    """Hashes of the levels that are not ours, by setting: their source is part of the run id."""
    return {
        stage: level_hash(level)
        for stage, level in chosen.chosen_levels().items()
        if is_external(level)
    }


def check_levels(chosen: RftSettings, planned: Mapping[str, str]) -> None:
    """Raise UsageError when a level's source is not what it was when the run was planned."""
    changed = [
        name for name, held in levels_content(chosen).items() if planned.get(name, held) != held
    ]
    if changed:
        rule = "the source of a level has changed since the study was planned"
        remedy = "Run the study again with --new, or restore the source"
        raise UsageError(Problem(rule, ", ".join(changed), remedy))
