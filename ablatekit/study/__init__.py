"""The study file: schema, loading with positions, factors and levels."""

from ablatekit.study.factors import ContextVariable, Factor, Level, level_name
from ablatekit.study.load import LoadedStudy, load_study
from ablatekit.study.schema import Study

__all__ = ["ContextVariable", "Factor", "Level", "LoadedStudy", "Study", "level_name", "load_study"]
