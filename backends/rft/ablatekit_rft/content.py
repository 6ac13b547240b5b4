"""What a study's settings name, as hashes of content. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.levels.external import is_external, level_hash
from ablatekit_rft.planning.examine import asked_sizes, planned_rows
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.sources.hashes import check_cache, model_content
from ablatekit_rft.tasks import registry
from ablatekit_rft.tasks.rows import Fields
from ablatekit_rft.tasks.verifiers.registry import verifier_content


def named_content(chosen: RftSettings) -> dict[str, str]:
    """Hashes of what settings name: model, data set, verifier, and a user's functions.

    Model and data set depend on nothing but their names, so that all cells of a context share them.
    `left_out` identifies the rows that the verifier does not accept, where there are some.
    Raises UsageError when one is unknown or cannot be trained, or has fewer items than the settings
    ask for.
    """
    fields = Fields(**chosen.fields.model_dump())
    named = {
        "model": model_content(chosen.model),
        "dataset": registry.dataset_content(chosen.dataset),
    }
    if chosen.drawing_engine == "policy":
        check_cache(chosen.model)
    registry.check_sizes(chosen.dataset, fields, asked_sizes(chosen))
    parts = {"verifier": verifier_content(chosen.verifier), "left_out": planned_rows(chosen)}
    named |= {name: part for name, part in parts.items() if part}
    return named | levels_content(chosen)


def levels_content(chosen: RftSettings) -> dict[str, str]:
    """Hashes of the levels that are not ours, by setting: their source is part of the run id."""
    return {
        stage: level_hash(level)
        for stage, level in chosen.chosen_levels().items()
        if is_external(level)
    }


def check_sources(chosen: RftSettings, planned: Mapping[str, str]) -> None:
    """Raise UsageError when the source of a level or of the verifier is not the planned one."""
    held = {"verifier": verifier_content(chosen.verifier), **levels_content(chosen)}
    changed = [name for name, source in held.items() if planned.get(name, source) != source]
    if changed:
        rule = "the source of a level or of the verifier has changed since the study was planned"
        remedy = "Run the study again with --new, or restore the source"
        raise UsageError(Problem(rule, ", ".join(changed), remedy))
