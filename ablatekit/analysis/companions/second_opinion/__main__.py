"""`python -m ...second_opinion ANALYSIS RUNS OPINION`: read the first two, write the third."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pandas as pd

from ablatekit.analysis.companions.second_opinion.recount import unanswered
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.companions import SecondOpinion
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.canonical import write_json


def main(analysis_file: Path, runs_file: Path, opinion_file: Path) -> None:
    """Write the second opinion on an analysis, last and at once."""
    analysis: Analysis = json.loads(analysis_file.read_text(encoding="utf-8"))
    write_json(opinion_file, _opinion(analysis, runs_file))


def _opinion(analysis: Analysis, runs_file: Path) -> SecondOpinion:
    try:
        from ablatekit.analysis.companions.second_opinion.opinion import second_opinion
    except ModuleNotFoundError as error:
        if error.name not in ("statsmodels", "patsy"):
            raise
        return unanswered(analysis, statement("no_statsmodels"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return second_opinion(analysis, pd.read_parquet(runs_file))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
