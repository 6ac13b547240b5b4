"""Settings whose values are levels: ours, a package's, or a function that the user names.

A name is accepted when it is a level of its stage, or `module:function` or `path/file.py:function`;
anything else is refused with the nearest level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ablatekit.errors import NO_NAMES, Problem, UsageError, nearest
from ablatekit.references import is_reference
from ablatekit_rft.levels.registry import get_level, levels_of, stage_metadata
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.settings.base import INPUT
from ablatekit_rft.settings.synonyms import LEVEL_SYNONYMS


@dataclass(frozen=True, slots=True)
class LevelOf:
    """The type of a setting that names a level of `stage`."""

    stage: Stage

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            self._known, core_schema.str_schema(strict=True)
        )

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        named = {"enum": list(levels_of(self.stage))}
        return {"type": "string", "anyOf": [named, {"pattern": ":"}]}

    def _known(self, name: str) -> str:
        try:
            get_level(self.stage, name)
        except UsageError as error:
            if is_reference(name):
                problem = error.problems[0]
                context = {"why": _why(problem, name), "remedy": problem.remedy}
                raise PydanticCustomError("level", "names no level: {why}", context) from None
            known = levels_of(self.stage)
            remedy = nearest(name, known, LEVEL_SYNONYMS.get(self.stage, NO_NAMES))
            raise PydanticCustomError("level", "has no such level", {"remedy": remedy}) from None
        return name


def _why(problem: Problem, name: str) -> str:
    """What is wrong with the user's level `name`, and where, beside a message that shows `name`."""
    where = f"{problem.where}: " if problem.where else ""
    more = "" if problem.received.strip("'") in name else f" ({problem.received})"
    return f"{where}{problem.rule}{more}"


AggregationName: TypeAlias = Annotated[str, LevelOf("aggregation")]
ClipName: TypeAlias = Annotated[str, LevelOf("clip")]
EntropyName: TypeAlias = Annotated[str, LevelOf("entropy")]
KlEstimatorName: TypeAlias = Annotated[str, LevelOf("kl_estimator")]
LrScaleName: TypeAlias = Annotated[str, LevelOf("lr_scale")]
MismatchName: TypeAlias = Annotated[str, LevelOf("mismatch")]
OptimizerName: TypeAlias = Annotated[str, LevelOf("optimizer")]
RatioName: TypeAlias = Annotated[str, LevelOf("ratio_level")]
ReplayName: TypeAlias = Annotated[str, LevelOf("replay")]
AdvantageName: TypeAlias = Annotated[str, LevelOf("advantage")]
NoiseName: TypeAlias = Annotated[str, LevelOf("reward_noise")]
FormatName: TypeAlias = Annotated[str, LevelOf("format_reward")]
RewardCodingName: TypeAlias = Annotated[str, LevelOf("reward_coding")]
LengthName: TypeAlias = Annotated[str, LevelOf("length_shaping")]
TruncationName: TypeAlias = Annotated[str, LevelOf("truncation")]
SamplePolicyName: TypeAlias = Annotated[str, LevelOf("sample_policy")]
FilterName: TypeAlias = Annotated[str, LevelOf("group_filter")]
DownsampleName: TypeAlias = Annotated[str, LevelOf("downsample")]


def level_field(stage: Stage, default: str) -> Any:
    """A setting that names a level of `stage`, with what is documented about each."""
    extra: Mapping[str, Any] = {"levels": stage_metadata(stage), "stage": stage, **INPUT}
    return Field(default=default, json_schema_extra=dict(extra))
