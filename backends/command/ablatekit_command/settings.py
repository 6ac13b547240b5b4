"""What a study may say of a program; every other setting is a parameter of the program."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from ablatekit.study.settings import nest, setting_fields

_EXECUTION: JsonDict = {"execution": True}
_PLACE: JsonDict = {"execution": True, "input": True}
_INPUT: JsonDict = {"input": True}
_UNSTATED: JsonDict = {"unstated": True}
DEFAULT_METRICS = "metrics.jsonl"
RESUME_STATES = (False, "")
SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        other: name
        for name, others in {
            "command": ("cmd", "script", "program", "run", "executable", "entrypoint", "args"),
            "metrics": ("metric", "metrics_file", "logs", "output", "results"),
            "env": ("environment", "environ", "env_vars", "environment_variables"),
            "cwd": ("workdir", "working_dir", "working_directory", "chdir"),
            "python": ("interpreter", "python_path", "venv"),
            "resume": ("resume_from_checkpoint", "checkpoint", "restart"),
            "files": ("inputs", "sources", "code"),
            "config": ("config_file", "template"),
            "resources": ("gpus", "cpus", "memory"),
        }.items()
        for other in others
    }
)
"""What others call a setting -> its name here; "Did you mean" looks here."""


class MetricsSettings(BaseModel):
    """Where the program leaves its metrics: one format and its place, below the run's folder.

    Without any it is `jsonl: metrics.jsonl`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    jsonl: str | None = Field(default=None, json_schema_extra=_UNSTATED)
    """A file with a JSON object on each line: `{"step": 1, "loss": 0.5}`."""
    csv: str | None = Field(default=None, json_schema_extra=_UNSTATED)
    """A table with one row per step and a column per metric."""
    trackio: str | None = Field(default=None, json_schema_extra=_UNSTATED)
    """The folder that trackio writes to; `TRACKIO_DIR` of the program leads there."""
    wandb: str | None = Field(default=None, json_schema_extra=_UNSTATED)
    """The folder in which W&B makes its own: `WANDB_DIR` leads there, `WANDB_MODE` is offline."""
    mlflow: str | None = Field(default=None, json_schema_extra=_UNSTATED)
    """The file of an MLflow database, such as `mlflow.db`; `MLFLOW_TRACKING_URI` leads to it."""
    tensorboard: str | None = Field(default=None, json_schema_extra=_UNSTATED)
    """A folder of TensorBoard event files."""
    trainer_state: str | None = Field(default=None, json_schema_extra=_UNSTATED)
    """`trainer_state.json` of a transformers Trainer, or the folder with its checkpoints."""
    stdout_regex: str | None = Field(default=None, json_schema_extra=_UNSTATED)
    """A regular expression on the lines that the program prints, with named groups: `step`, and
    metrics by the names of their groups, or a metric's `name` and its `value`."""

    @property
    def given(self) -> dict[str, str]:
        """The formats that are given, with their places."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class ConfigSettings(BaseModel):
    """A file of settings that is written for the program before it starts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = ""
    """Its name in the run's folder; `.yaml`, `.json` or `.toml` says the format, empty is no file.
    Without a template it holds all parameters, nested at their dots."""
    template: str = Field(default="", json_schema_extra=_INPUT)
    """A text file beside the study in which placeholders are replaced."""
    values: dict[str, Any] = Field(default_factory=dict)
    """What the file holds beside the parameters, where there is no template: `{seed: "{seed}"}`."""


class ExitSettings(BaseModel):
    """What exit codes mean; any other one is a failure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    finished: list[int] = Field(default_factory=lambda: [0])
    """The program has done its work."""
    diverged: list[int] = Field(default_factory=list)
    """The program has seen that the training diverged: a result, not a failure."""


class ResourceSettings(BaseModel):
    """What one run occupies: as many run at once as fit into the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: int = Field(default=1, ge=1, json_schema_extra=_EXECUTION)
    """Processor cores."""
    gpus: float = Field(default=0.0, ge=0, json_schema_extra=_EXECUTION)
    """GPUs, or a share of one."""
    memory: float = Field(default=1.0, gt=0, json_schema_extra=_EXECUTION)
    """GiB of memory."""


class CommandSettings(BaseModel):
    """Settings of the backend; what a study gives beside them are parameters of the program."""

    model_config = ConfigDict(extra="allow", frozen=True)
    other_names: ClassVar[Mapping[str, str]] = SYNONYMS

    command: str | list[str | int | float] = ""
    """The program with its arguments, as one text or as a list; `{name}` is replaced."""
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    """Where the program leaves its metrics."""
    items: str = ""
    """The file with outcomes of single items that the program writes: .jsonl, .csv or .parquet."""
    config: ConfigSettings = Field(default_factory=ConfigSettings)
    """A file of settings that is written for the program."""
    env: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Environment variables of the program, beside those of ablatekit itself."""
    files: list[str] = Field(default_factory=list)
    """More files beside the study whose content decides results, such as `src/**/*.py`."""
    resume: bool | str | list[str] = False
    """What the command gets where a checkpoint of an earlier attempt exists; true for a program
    that looks for its checkpoint itself. Unless it is false, a run can be stopped and continued."""
    diverged: list[str] = Field(default_factory=list)
    """Conditions, such as `loss > 100`, under which the training has diverged and is stopped."""
    may_be_nan: list[str] = Field(default_factory=list)
    """Metrics (`*` stands for any text) that may end as NaN or infinite; others mean divergence."""
    may_be_unused: list[str] = Field(default_factory=list)
    """Parameters that some commands of the study do not use."""
    exit_codes: ExitSettings = Field(default_factory=ExitSettings)
    """What exit codes mean."""

    python: str = Field(default="", json_schema_extra=_EXECUTION)
    """The interpreter that `python` at the start of a command is; by default the worker's own."""
    cwd: str = Field(default=".", json_schema_extra=_PLACE)
    """The program's working directory, by default the folder of the study file."""
    study_dir: str = Field(default=".", json_schema_extra=_PLACE)
    """What `{study_dir}` is: the folder of the study file."""
    program_checked: Literal["plan", "run"] = Field(default="plan", json_schema_extra=_EXECUTION)
    """When program and script are looked for: when planning, or, where runs execute elsewhere, as
    a run starts."""
    steps: int | str = Field(default="", json_schema_extra=_EXECUTION)
    """The last step of a run, for its progress; may be a placeholder."""
    grace: float = Field(default=60.0, ge=0, json_schema_extra=_EXECUTION)
    """Seconds between the request to stop (SIGTERM) and the end (SIGKILL)."""
    resources: ResourceSettings = Field(default_factory=ResourceSettings)
    """What one run occupies."""

    @classmethod
    def from_dotted(cls, settings: Mapping[str, Any]) -> CommandSettings:
        """Settings by dotted name, as a study's plan has them."""
        return cls.model_validate(nest(settings))

    @property
    def metrics_source(self) -> tuple[str, str]:
        """Format and place of the metrics; the first where several are given."""
        return next(iter(self.metrics.given.items()), ("jsonl", DEFAULT_METRICS))

    @property
    def can_resume(self) -> bool:
        """Whether a run can be stopped and continued."""
        return self.resume not in RESUME_STATES


def parameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is not declared here, by dotted name: the program's own."""
    declared = setting_fields(CommandSettings)
    mappings = tuple(f"{name}." for name, field in declared.items() if field.holds_mapping)
    return {
        name: value
        for name, value in settings.items()
        if name not in declared and not name.startswith(mappings)
    }
