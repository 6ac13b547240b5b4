"""What the name of a column says of its part in a table of runs."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal, TypeAlias

from ablatekit.analysis.tables.words import LIKELIHOODS, LOWER_IS_BETTER, STATUS, words_of

Quality: TypeAlias = Literal["goal", "unknown", "cost", "progress"]
"""What a number measures: what runs are made for, something, what it took, how far it went."""

SEEDS = frozenset(
    {"seed", "seeds", "replicate", "replicates", "rep", "repeat", "repetition", "fold", "rng",
     "randomstate"}
)  # fmt: skip
COUNTED = frozenset({"trial", "run", "attempt", "try"})
"""Words that name a run where no two rows agree, and number the repeats where rows do."""
CONTEXTS = frozenset(
    {"model", "dataset", "data", "task", "benchmark", "env", "environment", "domain", "corpus",
     "game", "suite", "language", "lang", "subject", "site", "basemodel"}
)  # fmt: skip
BESIDE_CONTEXTS = frozenset({"name", "id", "path", "base", "hf", "pretrained", "key", "the", "set"})
"""Words beside which a context is still one: model_name, dataset.path."""
GOALS = frozenset(
    {"accuracy", "acc", "score", "reward", "return", "pass", "success", "correct", "outcome", "f",
     "auc", "auroc", "auprc", "ap", "map", "precision", "recall", "bleu", "rouge", "meteor", "chrf",
     "em", "match", "winrate", "win", "elo", "ndcg", "mrr", "hit", "hits", "iou", "dice", "psnr",
     "ssim", "mcc", "kappa", "value", "metric", "result", "objective", "fitness", "learning",
     "generalization", "quality", "rating", "solved", "resolved", "y"}
    | LIKELIHOODS
)  # fmt: skip
COSTS = frozenset(
    {"time", "seconds", "minutes", "hours", "duration", "runtime", "walltime", "latency", "cost",
     "price", "tokens", "flops", "memory", "mem", "energy", "throughput", "samples", "updates",
     "traintime", "trainingtime"}
)  # fmt: skip
PROGRESS = frozenset({"step", "epoch", "iteration", "iter", "round", "globalstep"})
SETTINGS = frozenset(
    {"coef", "coefficient", "weight", "scale", "threshold", "type", "fn", "function", "alpha",
     "beta", "lambda", "gamma", "clip", "max", "min", "target", "tol", "tolerance", "factor",
     "decay", "lr", "size", "num", "n", "penalty", "temperature", "schedule", "warmup", "budget",
     "limit", "batch", "length", "steps", "epochs", "rate"}
)  # fmt: skip
"""Words that make a setting of what else would be a measure: kl_loss_coef, reward_scale."""
GIVEN = frozenset({"config", "param", "params", "hparam", "hparams", "args", "cfg",
                   "hyperparameters", "settings"})  # fmt: skip
MEASURED = frozenset({"metrics", "metric", "summary", "results"})
"""First parts of names, as exports of trackers write them: params.lr, metrics.accuracy."""
ABOUT = frozenset(
    {"uuid", "host", "hostname", "machine", "user", "username", "pid", "timestamp", "datetime",
     "created", "started", "ended", "updated", "commit", "sha", "git", "url", "uri", "link",
     "notes", "note", "comment", "slurm", "entity", "sweep", "unnamed", "message", "description"}
)  # fmt: skip
"""Words of columns that tell of a run what nobody has chosen for it."""
NAMING = frozenset(
    {"id", "name", "node", "date", "finished", "path", "dir", "directory", "folder",
     "file", "filename", "tag", "tags", "job", "project", "index", "hash", "state", "run", "exp",
     "experiment", "log", "output", "display", "number", "row", "nr", "no",
     "start", "end"}
)  # fmt: skip
"""Words that say so where all words of a name are such: run_name, but not optimizer.name."""
KINDS = frozenset({"filter", "scorer", "metric", "split", "metricname", "scorername"})
"""Columns that say which of several values of one run a row holds."""
TESTS: tuple[frozenset[str], ...] = (
    frozenset({"test", "generalization", "heldout"}),
    frozenset({"eval", "evaluation"}),
    frozenset({"val", "valid", "validation", "dev"}),
    frozenset(),
    frozenset({"train", "training", "learning"}),
)
"""Where a measure is taken, the most telling place first; no word at all stands before train."""


def tokens(name: str) -> frozenset[str]:
    """The words of a name, and every two that follow each other as one."""
    words = list(words_of(name))
    pairs = (first + second for first, second in pairwise(words))
    return frozenset((*words, *pairs))


def is_seed(name: str) -> bool:
    """Whether a column numbers or seeds repeats."""
    return bool(tokens(name) & SEEDS) and "n" not in tokens(name)


def may_count(name: str) -> bool:
    """Whether a column numbers repeats if rows share its values."""
    return bool(tokens(_last(name)) & COUNTED)


def is_context(name: str) -> bool:
    """Whether a column names what conclusions must hold across: model, dataset.path."""
    words = set(words_of(_last(name)))
    if words <= BESIDE_CONTEXTS:
        words = set(words_of(name)) - GIVEN
    return bool(words & CONTEXTS) and words <= CONTEXTS | BESIDE_CONTEXTS


def is_model(name: str) -> bool:
    """Whether a context is a model; all others are what models are tried on."""
    return bool(tokens(name) & {"model", "basemodel"})


def is_about(name: str) -> bool:
    """Whether a column tells when, where and under which name a run was made."""
    words = set(words_of(name)) - GIVEN
    naming = bool(words) and words <= NAMING | COUNTED
    return naming or bool(words & ABOUT) or name.startswith("_")


def is_run_id(name: str) -> bool:
    """Whether a column identifies single runs: run, id, run_uuid."""
    words = set(words_of(_last(name)))
    return bool(words) and words <= {"run", "id", "uuid"}


def is_kind(name: str) -> bool:
    """Whether a column says which of a run's values a row holds."""
    words = list(words_of(name))
    return "".join(words) in KINDS


def is_status(name: str) -> bool:
    """Whether a column says how runs ended."""
    return name.strip().casefold() in (STATUS, "state", "run status", "run_status", "run_state")


def is_given(name: str) -> bool:
    """Whether a name says that its column holds settings."""
    return _first(name) in GIVEN


def is_progress(name: str) -> bool:
    """Whether a number counts steps made, as every tracker logs them beside its metrics."""
    return "".join(words_of(name)) in PROGRESS


def is_setting(name: str) -> bool:
    """Whether a name has a word that makes a setting of a measure."""
    return is_given(name) or bool(tokens(name) & SETTINGS)


def quality_of(name: str) -> Quality:
    """What a column of numbers measures, by its name."""
    words = tokens(name)
    if is_progress(name):
        return "progress"
    if words & COSTS and not words & GOALS:
        return "cost"
    if words & (GOALS | LOWER_IS_BETTER) or _first(name) in MEASURED:
        return "goal"
    return "unknown"


def place_of(name: str) -> int:
    """How telling the place is at which a measure is taken; 0 for a test."""
    words = tokens(name)
    named = (rank for rank, places in enumerate(TESTS) if words & places)
    return next(named, len(TESTS) - 2)


def _last(name: str) -> str:
    """What stands after the last point or slash of a name."""
    return re.split(r"[./:]", name.rstrip("./:"))[-1] or name


def _first(name: str) -> str:
    return re.split(r"[./:_ ]", name.strip().casefold())[0]
