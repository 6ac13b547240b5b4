"""The study file as typed data (DESIGN 3.1). Shapes only: what levels mean is in `factors`.

`design`, `dispatch` and `tracking` hold a plugin's name and, beside it, the plugin's own settings;
`parts` joins these to the classes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    WrapValidator,
)
from pydantic.functional_validators import AfterValidator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from ablatekit.legible import has_invisible, visible
from ablatekit.study.scales import Scale
from ablatekit.study.settings import documented
from ablatekit.study.summaries import FORMS, parse_summary
from ablatekit.themes import Theme

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

SCHEMA_VERSION = 1
MAX_LEVELS = 1000
"""Levels of one factor, or values of one context variable."""

NAME_FORM = r"^[A-Za-z][A-Za-z0-9_.\-]*$"
DURATION_FORM = r"^\d+(\.\d+)?(s|m|h|d)$"
FORM_REMEDIES = {
    NAME_FORM: "A name starts with a letter and has letters, digits, '_', '-' and '.' only",
    DURATION_FORM: "Write a number and a unit (s, m, h or d), such as 30m",
}
"""What to write instead of a text that matches none of these patterns."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def refusal(rule: str, remedy: str) -> PydanticCustomError:
    """A refusal of a value with a remedy of its own, which messages show."""
    return PydanticCustomError("refusal", "{rule}", {"rule": rule, "remedy": remedy})


def _shown_text(value: str) -> str:
    if has_invisible(value):
        rule = "must not contain control or bidirectional characters"
        raise refusal(rule, f"Write it without them; it reads {visible(value)}")
    return value


def _summary(value: str) -> str:
    try:
        parse_summary(value)
    except ValueError as error:
        raise refusal(str(error), f"Write {FORMS}") from None
    return value


def _positive_duration(value: str) -> str:
    if duration_seconds(value) <= 0:
        remedy = "Write a longer duration, such as 30m, or null for no limit"
        raise refusal("must be longer than 0", remedy)
    return value


def duration_seconds(text: str) -> float:
    """Seconds of a duration such as 30m."""
    return float(text[:-1]) * _SECONDS[text[-1]]


def _scalar(value: Any, _inner: ValidatorFunctionWrapHandler) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    remedy = "A list or a mapping gets a name, in levels: {NAME: {SETTING: VALUE}}"
    raise refusal("must be one value: a number, a string, true, false or null", remedy)


def _workers(value: Any, inner: ValidatorFunctionWrapHandler) -> Any:
    try:
        return inner(value)
    except ValidationError:
        raise PydanticCustomError("workers", "must be auto or a whole number from 1") from None


def _levels_form(value: Any) -> str | None:
    if isinstance(value, list):
        return "short"
    return "long" if isinstance(value, Mapping | ContextPart) else None


def _covariate(value: Any, _inner: ValidatorFunctionWrapHandler) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    raise refusal("must be a number above 0", "Effects are regressed on its logarithm")


Scalar: TypeAlias = Annotated[bool | int | float | str | None, WrapValidator(_scalar)]
Values: TypeAlias = Annotated[list[Scalar], Field(max_length=MAX_LEVELS)]
Levels: TypeAlias = Annotated[
    Annotated[Values, Tag("short")]
    | Annotated[dict[str, dict[str, Any]], Field(max_length=MAX_LEVELS), Tag("long")],
    Discriminator(
        _levels_form,
        custom_error_type="levels",
        custom_error_message="must be a list of values or a mapping from level to its settings",
    ),
]
ShownText: TypeAlias = Annotated[str, AfterValidator(_shown_text)]
Name: TypeAlias = Annotated[str, StringConstraints(pattern=NAME_FORM, max_length=80)]
Covariate: TypeAlias = Annotated[float, Field(gt=0), WrapValidator(_covariate)]
Inference: TypeAlias = Literal["narrow", "broad", "both"]
DivergedPolicy: TypeAlias = Literal["score", "worst", "exclude"]
StudyAdjustment: TypeAlias = Literal["holm", "none"]


class StudyPart(BaseModel):
    """A mapping of the study file: unknown keys are errors, and no value changes its type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    def beside(self, shared: type[BaseModel]) -> dict[str, Any]:
        """The keys that only the named plugin reads, beside those of `shared`."""
        return self.model_dump(exclude=set(shared.model_fields))

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema that editors read, with what the docstrings of attributes say."""
        reference = handler(core_schema)
        properties = handler.resolve_ref_schema(reference)["properties"]
        for name, info in documented(cls).model_fields.items():
            if info.description is not None:
                properties[name]["description"] = info.description
        return reference


class BackendPart(StudyPart):
    """Which backend executes the runs, with the settings that are the same in every run."""

    name: str
    """Name of an installed backend (`ablatekit backend list`)."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings that differ from the backend's defaults (`ablatekit backend show NAME`)."""
    python: str | None = None
    """Another interpreter for this backend's workers."""


class FactorPart(StudyPart):
    """One design choice. A list of levels sets the setting of the factor's own name."""

    baseline: Scalar
    """The level that the others are compared with."""
    levels: Levels
    """Short form: values of the setting of the same name. Long form: level name -> settings."""
    label: ShownText | None = None
    """How reports call the factor."""
    scale: Scale | None = None
    """Where its levels lie: log | linear | order (as listed). By default log where all are numbers
    above 0 that span fourfold or more, linear where they are numbers, else they have no order."""


class ContextPart(StudyPart):
    """A blocking variable whose values carry covariates, such as the size of a model."""

    levels: Annotated[dict[str, dict[Name, Covariate]], Field(max_length=MAX_LEVELS)]
    """Value of the setting of the same name -> covariate -> its value, a number above 0."""


ContextValues: TypeAlias = Annotated[
    Annotated[Values, Tag("short")] | Annotated[ContextPart, Tag("long")],
    Discriminator(
        _levels_form,
        custom_error_type="levels",
        custom_error_message="must be a list of values or {levels: {VALUE: {COVARIATE: NUMBER}}}",
    ),
]


class DesignPart(StudyPart):
    """Which cells are run."""

    kind: str
    """Name of an installed kind of design."""


class ResponsePart(StudyPart):
    """A number per run, derived from one metric's history."""

    metric: str
    """Name of a metric that the backend reports."""
    summary: Annotated[str, AfterValidator(_summary)] = "final"
    """final | mean_last(k) | auc | best | time_to(x). All but the first and mean_last(1) join
    several steps and use the items that every evaluation uses."""
    direction: Literal["higher", "lower"] | None = None
    """Which way is better; by default what the backend says about the metric."""
    smallest_effect: float | None = Field(default=None, gt=0)
    """The smallest effect that matters; without it no effect is called equivalent."""
    items: str | None = None
    """Split of the item outcomes that belong to this response."""
    label: ShownText | None = None
    """How reports call the response."""


class AnalysisPart(StudyPart):
    """How effects are estimated; frozen in the plan before the first run."""

    interactions: int = Field(default=2, ge=1, le=10)
    """Highest order of interaction in the ANOVA table and in models of incomplete designs."""
    inference: Inference = "both"
    """narrow: these contexts; broad: contexts like these."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Level of tests and intervals."""
    adjust: StudyAdjustment = "holm"
    """Adjustment of p values within a family."""
    diverged: DivergedPolicy = "score"
    """How a diverged run enters: its last valid score, the worst possible one, or not at all."""
    price: str | None = None
    """What a level's price counts: the name of a cost metric, or samples, tokens, updates or
    seconds. By default the first of samples, tokens and updates that differs between cells."""
    predict_at: dict[Name, Covariate] = Field(default_factory=dict)
    """Covariate of a context variable -> the value at which the effect is predicted."""


class DispatchPart(StudyPart):
    """How runs reach workers."""

    executor: str = "local"
    """Where workers live."""
    workers: Annotated[Literal["auto"] | Annotated[int, Field(ge=1)], WrapValidator(_workers)] = (
        "auto"
    )
    """Number of concurrent runs; auto is what the machine's cores, memory and GPUs hold."""
    retries: int = Field(default=2, ge=0, le=20)
    """How often a run that failed is attempted again."""
    timeout: (
        Annotated[str, StringConstraints(pattern=DURATION_FORM), AfterValidator(_positive_duration)]
        | None
    ) = None
    """Longest duration of one attempt, such as 30m."""

    @property
    def timeout_seconds(self) -> float | None:
        """The timeout in seconds."""
        return None if self.timeout is None else duration_seconds(self.timeout)


class TrackingPart(StudyPart):
    """The mirror of the runs in an experiment tracker."""

    tracker: str = "mlflow"
    """Where runs are mirrored."""

    @property
    def workspace_names(self) -> frozenset[str]:
        """Names below the workspace that the tracker writes to; its settings may define them."""
        return frozenset()

    @property
    def is_off(self) -> bool:
        """Whether nothing is mirrored; a tracker's settings may say so."""
        return False


class ReportPart(StudyPart):
    """How the report looks; nothing here is part of the plan."""

    theme: Theme = "auto"
    """Colours of the page: auto follows the reader's system."""


class StudySchema(StudyPart):
    """One YAML file: the question, the design, the backend, the analysis."""

    version: Literal[1]
    """Version of this schema."""
    name: Name
    """Names the study's folder and its MLflow experiment."""
    question: ShownText = ""
    """What the study asks, in one sentence."""
    title: ShownText | None = None
    """Title of the report."""
    backend: BackendPart
    """What executes the runs: {name: NAME, settings: {...}}."""
    factors: dict[Name, FactorPart] = Field(min_length=1)
    """Design choices under study."""
    contexts: dict[Name, ContextValues] = Field(default_factory=dict)
    """Blocking variables (settings of the backend) and their values; all combinations are run."""
    replicates: int = Field(default=1, ge=1, le=10_000)
    """Independent repeats of every cell in every context."""
    design: DesignPart = DesignPart(kind="full")
    exclude: list[dict[str, Scalar]] = Field(default_factory=list)
    """Combinations of levels that are not run."""
    responses: dict[Name, ResponsePart] = Field(default_factory=dict)
    """What is measured; by default the backend's learning and generalization metrics."""
    analysis: AnalysisPart = Field(default_factory=AnalysisPart)
    dispatch: DispatchPart = Field(default_factory=DispatchPart)
    tracking: TrackingPart = Field(default_factory=TrackingPart)
    report: ReportPart = Field(default_factory=ReportPart)
