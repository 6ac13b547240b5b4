"""What words in a table mean: how a run ended, that a value is missing, which side is better."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

Ending: TypeAlias = Literal["finished", "diverged", "failed", "missing"]
Direction: TypeAlias = Literal["higher", "lower"]

STATUS = "status"
"""The column that says how runs ended."""

ENDINGS: Mapping[Ending, tuple[str, ...]] = MappingProxyType(
    {
        "finished": (
            "finished", "finish", "completed", "complete", "ok", "okay", "success", "successful",
            "succeeded", "done", "passed",
        ),
        "diverged": ("diverged", "divergent", "diverging", "nan", "inf", "exploded"),
        "failed": (
            "failed", "fail", "failure", "crashed", "crash", "error", "errored", "exception",
            "killed", "timeout", "timed out", "oom", "out of memory", "aborted", "canceled",
            "cancelled", "interrupted", "preempted", "pruned", "node fail", "boot fail", "lost",
        ),
        "missing": (
            "missing", "pending", "queued", "scheduled", "planned", "waiting", "running", "paused",
            "not started", "unfinished",
        ),
    }
)  # fmt: skip
"""Words for every ending, as MLflow, Weights & Biases, SLURM, Ray, Optuna and people write them."""

ABSENT = frozenset(
    {
        "", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "nil", "null", "none", "missing",
        "unknown", "undefined", "not available", "-", "--", "---", ".", "?", "\N{EN DASH}",
        "\N{EM DASH}", "#value!", "#div/0!", "#num!", "#ref!",
    }
)  # fmt: skip
"""What people write in the place of a number that they do not have."""

LOWER_IS_BETTER = frozenset(
    {
        "loss", "nll", "crossentropy", "perplexity", "ppl", "bpb", "bpc", "error", "err",
        "mistake", "wer", "cer", "fer", "eer", "mse", "rmse", "mae", "mape", "smape", "rmsle",
        "nrmse", "regret", "latency", "runtime", "walltime", "traintime", "trainingtime",
        "duration", "seconds", "fid", "kid", "brier", "ece", "cost", "price", "failure",
        "misclassification", "violation", "toxicity",
        "hallucination", "deviation", "residual", "overfitting",
    }
)  # fmt: skip
REVERSING = frozenset(
    {"neg", "negative", "minus", "inverse", "reduction", "improvement", "decrease", "gain", "free"}
)
"""Words that turn a cost into a benefit: neg_mean_squared_error, error_reduction."""
LIKELIHOODS = frozenset({"likelihood", "loglikelihood", "loglik"})
NEGATING = frozenset({"neg", "negative", "minus"})
"""Words that turn a likelihood into a cost."""
UNBOUNDED = frozenset(
    {
        "loss", "nll", "crossentropy", "perplexity", "ppl", "bpb", "bpc", "mse", "rmse", "mae",
        "rmsle", "nrmse", "regret", "latency", "runtime", "walltime", "duration", "seconds", "time",
        "fid", "kid", "cost", "price", "entropy", "kl", "divergence", "distance", "norm", "reward",
        "return", "variance", "std", "sd", "temperature", "lr",
    }
)  # fmt: skip
"""Words for quantities that have no upper bound at 1."""

_ENDING_OF: Mapping[str, Ending] = MappingProxyType(
    {word: ending for ending, words in ENDINGS.items() for word in words}
)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def ending_of(word: str) -> Ending | None:
    """How a run ended by what a table calls it, in any case; None for a word that is not known."""
    return _ENDING_OF.get(" ".join(re.split(r"[\s_-]+", word.strip().casefold())))


def is_absent(text: str) -> bool:
    """Whether a text stands in the place of a number that is not there."""
    return text.strip().casefold() in ABSENT


def direction_of(name: str) -> tuple[Direction, str]:
    """Which values of a column are better by its name, and the word that says so.

    Whole words count: `val_loss` and `valLoss` are losses, `lossless_accuracy` is none. Without a
    word that says otherwise higher is better, and the word is empty.
    """
    words = list(words_of(name))
    likelihood = next((word for word in words if word in LIKELIHOODS), "")
    if likelihood:
        return "lower" if NEGATING.intersection(words) else "higher", likelihood
    lower = next((word for word in words if word in LOWER_IS_BETTER), "")
    reversing = next((word for word in words if word in REVERSING), "")
    if lower and reversing:
        return "higher", reversing
    return ("lower", lower) if lower else ("higher", "")


def is_unbounded(name: str) -> bool:
    """Whether a column's name says that its values have no bound at 1."""
    return any(word in UNBOUNDED | LIKELIHOODS for word in words_of(name))


def words_of(name: str) -> Iterator[str]:
    """The words of a name in small letters; of known words the singular, and `wall_time` as one."""
    known, before = LOWER_IS_BETTER | UNBOUNDED | LIKELIHOODS, ""
    for part in _PARTS.findall(unicodedata.normalize("NFKC", name)):
        word = part.casefold()
        forms = (before + word, word, word.removesuffix("es"), word.removesuffix("s"))
        yield next((form for form in forms if form in known), word)
        before = word


def spelling(text: str) -> str:
    """What spellings of one level share: without case, blanks, signs between words, 1.0 as 1.

    adam_w, Adam-W and adamw are alike; beside digits a sign parts: 1-1 is not 11.
    """
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    try:
        return repr(float(plain))
    except ValueError:
        words = re.sub(r"(?<=\w)[\s_\u2010-\u2015-]+(?=\w)", " ", plain)
        return re.sub(r"(?<=[^\W\d]) (?=[^\W\d])", "", words)
