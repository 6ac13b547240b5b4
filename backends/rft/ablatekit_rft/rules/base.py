"""What rules share: defaults by name, levels by what they say of themselves, being on-policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ablatekit.backend import Condition, Settings, one_of
from ablatekit.references import is_reference
from ablatekit_rft.levels.registry import get_level, levels_of
from ablatekit_rft.levels.stages import Stage, Trait
from ablatekit_rft.levels.types import Level
from ablatekit_rft.settings import RftSettings

ON_POLICY = {
    "minibatches": one_of(1),
    "epochs": one_of(1),
    "staleness": one_of(0),
    "replay": one_of("none"),
}
"""One update per round, on fresh rollouts of the current weights."""

NEAR = (
    "with Adam nearly the same trajectory (Adam's eps, gradient clipping and the relative weight of"
    " a KL loss or an entropy bonus remain), with SGD another learning rate"
)


def defaults(*names: str) -> dict[str, Any]:
    """The default values of these settings."""
    return {name: RftSettings.model_fields[name].default for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCondition(Condition):
    """The setting names a level of which `fits` is true.

    `is_in` are the names of those that are known: ours and those of installed packages. A function
    that a study names is looked up when the study is planned, and asked the same.
    """

    stage: Stage
    fits: Callable[[Level], bool]

    def holds(self, value: Any, settings: Settings) -> bool:  # noqa: ARG002 (of the base class)
        """Whether the level that `value` names fits."""
        if is_reference(value):
            return self.fits(get_level(self.stage, value))
        return value in (self.is_in or ())


def levels_where(stage: Stage, fits: Callable[[Level], bool]) -> LevelCondition:
    """The setting names a level of which `fits` is true."""
    names = tuple(name for name, level in levels_of(stage).items() if fits(level))
    return LevelCondition(is_in=names, stage=stage, fits=fits)


def levels_with(stage: Stage, *traits: Trait) -> LevelCondition:
    """The setting names a level that has all of these traits."""
    return levels_where(stage, lambda level: level.traits.issuperset(traits))


def levels_without(stage: Stage, trait: Trait) -> LevelCondition:
    """The setting names a level that lacks a trait."""
    return levels_where(stage, lambda level: trait not in level.traits)


def levels_not_reading(stage: Stage, parameter: str) -> LevelCondition:
    """The setting names a level to which another setting means nothing."""
    return levels_where(stage, lambda level: parameter not in level.reads)


def readers_of(stage: Stage, parameter: str) -> tuple[str, ...]:
    """The names of the known levels that read a setting."""
    return tuple(name for name, level in levels_of(stage).items() if parameter in level.reads)
