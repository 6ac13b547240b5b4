"""Every setting of a run: meaning, unit, bounds, default and source. Imports no torch.

The defaults are the minimalist reference of arXiv:2601.22532: one rollout per query, raw 0/1
reward, no advantage, 32 queries, one on-policy update per round, no KL. What its abstract does not
fix (aggregation, learning rate, clipping) is our completion of it, and each is a setting too.

One module per stage; `RftSettings` is all of them, flat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, cast, get_args

from pydantic import ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ablatekit.errors import nearest
from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.levels.types import Level
from ablatekit_rft.settings.advantage import AdvantageSettings
from ablatekit_rft.settings.data import DataSettings
from ablatekit_rft.settings.execution import ExecutionSettings, Vllm
from ablatekit_rft.settings.generation import GenerationSettings
from ablatekit_rft.settings.loss import LossSettings
from ablatekit_rft.settings.optimisation import OptimisationSettings
from ablatekit_rft.settings.protocol import Budget, Evaluation, ProtocolSettings
from ablatekit_rft.settings.reward import RewardSettings
from ablatekit_rft.settings.selection import SelectionSettings
from ablatekit_rft.settings.synonyms import SYNONYMS

__all__ = ["Budget", "Evaluation", "RftSettings", "Vllm"]

STAGES: tuple[Stage, ...] = get_args(Stage)
"""The stages, and the settings that name a level of each."""


# Pydantic takes the fields of the last base first: the bases stand in reverse order.
class RftSettings(
    ExecutionSettings,
    ProtocolSettings,
    GenerationSettings,
    OptimisationSettings,
    LossSettings,
    AdvantageSettings,
    RewardSettings,
    SelectionSettings,
    DataSettings,
):
    """Settings of reinforcement fine-tuning with a verifiable reward."""

    other_names: ClassVar[Mapping[str, str]] = SYNONYMS

    @property
    def drawing_engine(self) -> Literal["policy", "vllm"]:
        """What `engine` stands for: what the alias rules of `rules.generation` say, too."""
        if self.engine != "auto":
            return self.engine
        return "vllm" if self.device == "cuda" else "policy"

    @classmethod
    def from_dotted(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from values by dotted name (`budget.unit`); what is not named has its default.

        Raises pydantic.ValidationError for unknown names and values out of bounds.
        """
        nested: dict[str, Any] = {}
        for name, value in settings.items():
            part, _, rest = name.partition(".")
            if rest:
                nested.setdefault(part, {})[rest] = value
            else:
                nested[part] = value
        return cls.model_validate(nested)

    def chosen_levels(self) -> dict[Stage, Level]:
        """The level of every setting that names one."""
        return {stage: self.level(stage) for stage in STAGES}

    def level(self, stage: Stage) -> Level:
        """The level that the setting of a stage names."""
        return get_level(stage, getattr(self, stage))

    @field_validator(*STAGES, mode="after")
    @classmethod
    def _levels_read_settings(cls, name: str, info: ValidationInfo) -> str:
        stage = cast("Stage", info.field_name)
        for parameter in get_level(stage, name).reads:
            if parameter not in cls.model_fields:
                why = f"names {name!r}, which takes {parameter!r} by keyword: no such setting. "
                why += nearest(parameter, cls.model_fields)
                raise PydanticCustomError("level", "{why}", {"why": why})
        return name
