"""The options of `ablatekit analyze`, in the sections of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

BY_FACTORS, BY_FORMULA = "By factors", "By a formula"
OTHERS = "Options"


class SectionedCommand(TyperCommand):
    """A command whose help lists its options under the panels that they name.

    Typer shows panels only with rich, whose import alone takes longer than the rest of a help page.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            panel = getattr(parameter, "rich_help_panel", None)
            if record is not None:
                argument = parameter.param_type_name == "argument"
                title = "Arguments" if argument else panel or OTHERS
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _option(*names: str, panel: str | None = None, **settings: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, **settings)


Table = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="A table (.csv, .tsv, .parquet ...), a folder of logs, or SCHEME:NAME as an installed"
        " reader knows it.",
    ),
]
Responses = Annotated[
    str | None, _option(metavar="COLUMN,...", help="One number per run.", panel=BY_FACTORS)
]
Factors = Annotated[
    str | None, _option(metavar="COLUMN,...", help="The design choices.", panel=BY_FACTORS)
]
Contexts = Annotated[
    str | None,
    _option(
        metavar="COLUMN,...",
        help="What conclusions must hold across, such as model,dataset.",
        panel=BY_FACTORS,
    ),
]
Excluded = Annotated[
    str | None,
    _option("--exclude", metavar="COLUMN,...", help="Not to be proposed.", panel=BY_FACTORS),
]
Where = Annotated[
    list[str] | None,
    _option(
        metavar="COLUMN=LEVEL",
        help="Use the rows with this level, such as those of one filter; may be repeated.",
        panel=BY_FACTORS,
    ),
]
DryRun = Annotated[
    bool,
    _option(
        "--dry-run",
        help="Show what is recognised and proposed; analyse nothing.",
        panel=BY_FACTORS,
    ),
]
Baselines = Annotated[
    list[str] | None,
    _option(
        metavar="FACTOR=LEVEL",
        help="By default the first level in the table; may be repeated.",
        panel=BY_FACTORS,
    ),
]
Order = Annotated[
    int,
    _option(
        min=1,
        help="Highest order of interactions in the ANOVA, and in the model where cells lack"
        " replicates.",
        panel=BY_FACTORS,
    ),
]
Diverged = Annotated[
    Literal["score", "worst", "exclude"],
    _option(help="How rows enter whose column `status` says diverged.", panel=BY_FACTORS),
]
Everything = Annotated[
    bool, typer.Option("--all", help="Show every estimand and scope, not just the answer.")
]
SecondOpinion = Annotated[
    bool,
    _option("--second-opinion", help="Recompute the numbers with statsmodels.", panel=BY_FACTORS),
]
Report = Annotated[Path | None, _option(metavar="DIR", help="Write the report here.")]
Formula = Annotated[
    str | None,
    _option(
        metavar="FORMULA",
        help='lme4 syntax: "y ~ a*b + (1|model)"; names with spaces in backquotes.',
        panel=BY_FORMULA,
    ),
]
Method = Annotated[
    Literal["reml", "ml", "dl", "pm", "he", "sj", "ee"],
    _option(help="The likelihood; the last five only with --variances.", panel=BY_FORMULA),
]
DegreesOfFreedom = Annotated[
    Literal["satterthwaite", "kenward-roger", "asymptotic"] | None,
    _option(
        help="Of every test of a mixed model. Default: satterthwaite. asymptotic: z tests.",
        show_default=False,
        panel=BY_FORMULA,
    ),
]
Family = Annotated[
    Literal["gaussian", "binomial"],
    _option(
        help="binomial: a logistic mixed model of 0/1, a share with its trials as --weights, or"
        " cbind(successes, failures).",
        panel=BY_FORMULA,
    ),
]
Weights = Annotated[
    str | None, _option(metavar="COLUMN", help="Prior weights of the rows.", panel=BY_FORMULA)
]
Variances = Annotated[
    str | None,
    _option(
        metavar="COLUMN",
        help="Known sampling variances: a meta-analysis of effects, one per row.",
        panel=BY_FORMULA,
    ),
]
Categorical = Annotated[
    str | None,
    _option(
        metavar="COLUMN,...",
        help="Columns to read as factors, their levels as written: 1.10 is not 1.1.",
        panel=BY_FORMULA,
    ),
]
Coding = Annotated[
    Literal["treatment", "sum"], _option(help="Of the factors' coefficients.", panel=BY_FORMULA)
]
Contrasts = Annotated[
    list[str] | None,
    _option(
        metavar="FACTOR[:BASELINE]",
        help="By default every categorical variable against its first level in the table; may be"
        " repeated.",
        panel=BY_FORMULA,
    ),
]
Means = Annotated[
    list[str] | None,
    _option(
        metavar="FACTOR[:FACTOR]",
        help="Marginal means and their contrasts, a:b for the cells of two factors; may be"
        " repeated. Default: the factors of --contrasts.",
        panel=BY_FORMULA,
    ),
]
Pairwise = Annotated[
    bool, _option("--pairwise", help="Compare all pairs of means too.", panel=BY_FORMULA)
]
Adjust = Annotated[
    Literal["none", "holm", "bonferroni", "bh", "sidak", "tukey", "dunnettx", "mvt"],
    _option(
        help="Of p for families of tests; mvt is exact for any family (Dunnett's when against a"
        " baseline). tukey is for pairs, dunnettx for baselines; other families then take sidak.",
        panel=BY_FORMULA,
    ),
]
AnovaType = Annotated[Literal["I", "II", "III"], _option(help="Hypotheses.", panel=BY_FORMULA)]
Against = Annotated[
    str | None,
    _option(
        metavar="FORMULA",
        help="Likelihood-ratio test against this nested formula.",
        panel=BY_FORMULA,
    ),
]
RandomTests = Annotated[
    bool,
    _option("--random-tests", help="Likelihood-ratio test of each random term.", panel=BY_FORMULA),
]
RandomIntervals = Annotated[
    Literal["profile", "bootstrap"] | None,
    _option(help="Limits of the standard deviations.", show_default=False, panel=BY_FORMULA),
]
Seed = Annotated[int, _option(min=0, help="Of the bootstrap.", panel=BY_FORMULA)]
Wide = Annotated[
    str | None,
    _option(
        metavar="COLUMN,...",
        help="Columns that each hold one run of every row, such as 'seed_*'; --response is their"
        " new name.",
        panel=BY_FACTORS,
    ),
]
ReaderName = Annotated[
    str | None, _option("--reader", metavar="NAME", help="By default by the name of the file.")
]
Price = Annotated[
    str | None,
    _option(
        metavar="COLUMN",
        help="What a run costs, such as samples: levels are priced as multiples of the baseline.",
        panel=BY_FACTORS,
    ),
]
Covariates = Annotated[
    list[str] | None,
    _option(
        "--covariate",
        metavar="[CONTEXT=]COLUMN",
        help="A number above 0 that describes a context, such as params of a model: effects are"
        " shown against it; may be repeated.",
        panel=BY_FACTORS,
    ),
]
PredictAt = Annotated[
    list[str] | None,
    _option(
        metavar="COVARIATE=NUMBER",
        help="Where to predict effects, such as params=7e9; may be repeated.",
        panel=BY_FACTORS,
    ),
]
Scales = Annotated[
    list[str] | None,
    _option(
        "--scale",
        metavar="FACTOR=SCALE",
        help="Of a factor's levels: log, linear or order (as in the table). Default: by their"
        " numbers; may be repeated.",
        panel=BY_FACTORS,
    ),
]
Direction = Annotated[
    Literal["higher", "lower"] | None,
    _option(
        help="Which direction is better. Default: lower for names such as loss, error, perplexity,"
        " latency; else higher.",
        show_default=False,
    ),
]
UnitName = Annotated[
    str | None,
    _option(
        "--unit",
        metavar="UNIT",
        help="fraction (0 to 1, differences in points), percent, none, or any other, shown as"
        " given. Default: fraction where all values lie in 0 to 1.",
        show_default=False,
    ),
]
SmallestEffect = Annotated[
    float | None,
    _option(
        help="Smaller effects do not matter, in the unit of the values (0.02 for 2 points of a"
        " fraction): allows `equivalent`, sizes, and whether the baseline suffices."
    ),
]
Alpha = Annotated[float, _option(help="Level of tests; intervals are at 1 - alpha.")]
ToJson = Annotated[
    str | None, _option("--json", metavar="OUT|-", help="Write the analysis here; - prints it.")
]
